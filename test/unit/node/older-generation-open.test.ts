import { describe, expect, it } from 'vitest';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { olderGenerationLines } from '../../../src/cli/commands/status.ts';
import { NodeReport } from '../../../src/node/node-report.ts';
import { StoreWatch } from '../../../src/node/store-watch.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { enrol } from '../../support/keyslot-fixtures.ts';
import { MemoryStore } from '../../support/memory-store.ts';

/** A backed node that left one generation of three slots behind, of which two open an older disk. */
async function reported(inFile: readonly SlotId[] = []) {
  const { metrics, verifier, pki, clock } = keyServerWorld();
  const { generation } = await enrol({ t: 2, n: 3 }, { generation: 4 });
  const store = new MemoryStore();
  const older = await OlderGenerations.open(store);
  await older.leave([generation]);
  const has = (slotId: SlotId) => inFile.some((one) => equalBytes(one, slotId));
  // A report asks a node for nothing else.
  const identity = { account: new Uint8Array(32), x25519PublicKey: new Uint8Array(32) };
  const open = { older, book: { has }, store, identity } as unknown as OpenNode;
  const parts = {
    metrics,
    verifier,
    clock: new FlooredClock(clock),
    collateral: memoryCollateral(pki, clock),
    storeWatch: new StoreWatch({ log: silentLog, metrics }),
  };
  const report = new NodeReport(parts, { open: () => open, serving: () => undefined });
  report.setState({ name: 'backed', live: 3, n: 3, t: 2, generation: 5, slots: [] });
  const metric = async () => {
    await report.refreshMetrics();
    return /latchkey_older_generations_open (\d+)/.exec(await metrics.text())?.[1];
  };
  return { report, older, generation, metric };
}

describe('an older generation that is open', () => {
  it('is in status, readiness and metrics with the servers that have not answered, and the node is ready', async () => {
    const { report, older, generation, metric } = await reported();
    const [gone, ...rest] = generation.slots;
    const unanswered = generation.slots.map(({ server }) => encodeSs58(server));
    const whole = [{ generation: 4, needed: 2, unanswered }];
    expect(report.readiness()).toMatchObject({ ready: true, report: { olderGenerationOpen: whole } });
    expect(report.status()).toMatchObject({
      olderGenerationOpen: whole,
      explanation: expect.stringContaining('An older generation of slots is open'),
    });
    expect(await metric()).toBe('1');
    await older.erased(gone === undefined ? [] : [gone.slotId]);
    expect(report.readiness().report['olderGenerationOpen']).toEqual([
      { generation: 4, needed: 2, unanswered: rest.map(({ server }) => encodeSs58(server)) },
    ]);
  });

  it('is closed, and in none of them, once fewer than t of its slots can give their keys', async () => {
    const { report, older, generation, metric } = await reported();
    await older.erased(generation.slots.filter(({ index }) => index < 2).map(({ slotId }) => slotId));
    expect(report.readiness().report).not.toHaveProperty('olderGenerationOpen');
    expect(report.status()['explanation']).not.toContain('An older generation');
    expect(await metric()).toBe('0');
  });

  it('is not one that is in the keyslot file: the host put the older file back', async () => {
    const { generation } = await enrol({ t: 2, n: 3 }, { generation: 4 });
    const inFile: SlotId[] = [];
    const { report, older, metric } = await reported(inFile);
    await older.erased(older.generations.flatMap(({ slots }) => slots.map(({ slotId }) => slotId)));
    await older.leave([generation]);
    inFile.push(...generation.slots.map(({ slotId }) => slotId));
    expect(report.readiness().report).not.toHaveProperty('olderGenerationOpen');
    expect(await metric()).toBe('0');
  });

  it('is one line of `latchkey status`', () => {
    const open = [{ generation: 4, needed: 2, unanswered: ['5A', '5B'] }];
    expect(olderGenerationLines(open)).toEqual([
      '  generation 4 is open (2 of its slots open an older disk); no answer from 5A, 5B',
    ]);
    for (const none of [undefined, [], 'open']) expect(olderGenerationLines(none)).toEqual([]);
  });
});
