import { expect, it } from 'vitest';
import { findOpening, type OpenedSlot, type Search } from '../../../src/keyslots/open-generation.ts';
import { enrol } from '../../support/keyslot-fixtures.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const quorum = { t: 4, n: 12 };
const { generation } = await enrol(quorum);
const opened: readonly OpenedSlot[] = generation.slots.map((slot) => ({
  slot,
  platform: `platform ${slot.index}`,
  countsInPart: false,
  content: seededBytes(slot.index, 33).fill(slot.index + 1, 32),
}));

/** Searches in vain as the slots open, and counts how often other work has its turn. */
async function turnsDuring(search: Search): Promise<number> {
  let turns = 0;
  let isRunning = true;
  const count = (): void => {
    turns += 1;
    if (isRunning) setImmediate(count);
  };
  setImmediate(count);
  for (const at of opened.keys()) expect(await findOpening(search, opened.slice(0, at + 1))).toBeUndefined();
  isRunning = false;
  return turns;
}

it('each subset is tried once, and other work gets a turn after every 64', async () => {
  const search: Search = { ...quorum, isStoreKey: () => false, tried: 0 };
  const turns = await turnsDuring(search);
  // 12 over 4.
  expect(search.tried).toBe(495);
  expect(turns).toBeGreaterThanOrEqual(7);
  expect(turns).toBeLessThan(70);
});
