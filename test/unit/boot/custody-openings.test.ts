import { expect, it } from 'vitest';
import { type CustodyOpening, CustodyOpenings } from '../../../src/boot/node/custody-openings.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const opening = (openedAtMs: number, forced = false): CustodyOpening => ({
  openedAtMs,
  generation: 3,
  custodians: ['alice', 'bob'],
  forced,
});

it('openings by custodians are remembered by the store, the last sixteen of them', async () => {
  const store = new MemoryStore();
  await store.namespace('latchkey/lineage');
  for (let number = 1; number <= 20; number++) {
    const openings = await CustodyOpenings.read(store);
    const operations = openings.recordOf(opening(number, number === 20));
    await store.batch(operations);
    expect(openings.list.at(-1)?.openedAtMs).toBe(number);
  }
  const { list } = await CustodyOpenings.read(store);
  expect(list).toHaveLength(16);
  expect(list.at(-1)).toEqual(opening(20, true));
});

it('an opening is noted once, however often its record has to be written', () => {
  const openings = new CustodyOpenings();
  const one = opening(1);
  expect(openings.recordOf(undefined)).toEqual([]);
  openings.recordOf(one);
  openings.recordOf(one);
  expect(openings.list).toEqual([one]);
});

it('a record that is none locks no store', async () => {
  const store = new MemoryStore();
  const [operation = expect.fail()] = new CustodyOpenings().recordOf(opening(1));
  const { namespace, name } = operation;
  await (await store.namespace(namespace)).put(name, new Uint8Array(3));
  expect((await CustodyOpenings.read(store)).list).toEqual([]);
});
