import { describe, expect, it } from 'vitest';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { AccountId, InstanceId, type SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { olderLines } from '../../../src/cli/commands/status.ts';
import { NodeReport } from '../../../src/node/node-report.ts';
import { StoreWatch } from '../../../src/node/store-watch.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { enrol } from '../../support/keyslot-fixtures.ts';
import { aLineageSecret, bootOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

/** A backed node that left one generation of three slots behind, of which two open an older disk. */
async function reported(inFile: readonly SlotId[] = []) {
  const { metrics, verifier, pki, clock } = keyServerWorld();
  const { generation } = await enrol({ t: 2, n: 3 }, { generation: 4 });
  const store = new MemoryStore();
  const older = await OlderGenerations.open(store, aLineageSecret());
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
  const metric = async (name = 'older_generations_open') => {
    await report.refreshMetrics();
    return new RegExp(`latchkey_${name} (\\d+)`).exec(await metrics.text())?.[1];
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
    expect(olderLines({ olderGenerationOpen: open })).toEqual([
      '  generation 4 is open (2 of its slots open an older disk); no answer from 5A, 5B',
    ]);
    for (const none of [undefined, [], 'open', {}, { olderGenerationOpen: 'open' }]) {
      expect(olderLines(none)).toEqual([]);
    }
  });
});

describe('a former store key that is not closed everywhere', () => {
  const serverOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
  const instanceId = InstanceId.of(new Uint8Array(16).fill(1));
  const servers = [1, 2].map((byte) => ({ server: serverOf(byte), instanceId }));
  const former = () => ({
    secret: new SecretBytes(new Uint8Array(32).fill(8)),
    last: { number: 7, boot: bootOf(3) },
    // A server with slots of two generations is named once.
    generations: [1, 2].map((t) => ({ t, servers })),
  });

  it('is in status, readiness and metrics with the servers that have not answered', async () => {
    const { report, older, metric } = await reported();
    expect(report.readiness().report).not.toHaveProperty('formerLineageOpen');
    await older.leaveLineage(former());
    const unanswered = [1, 2].map((byte) => encodeSs58(serverOf(byte)));
    const whole = { formerLineageOpen: [{ incarnation: 7, unanswered }] };
    expect(report.readiness()).toMatchObject({ ready: true, report: whole });
    expect(report.status()).toMatchObject({
      ...whole,
      explanation: expect.stringContaining('A former store key is not closed'),
    });
    expect(await metric('former_lineages_open')).toBe('1');
    // A server that left the chain is asked for no key.
    await older.noteChain((server) => !equalBytes(server, serverOf(1)), 1);
    expect(report.readiness().report).toMatchObject({
      formerLineageOpen: [{ unanswered: [encodeSs58(serverOf(2))] }],
    });
    await older.closed(former().secret, servers);
    expect(report.readiness().report).not.toHaveProperty('formerLineageOpen');
    expect(report.status()['explanation']).not.toContain('A former store key');
    expect(await metric('former_lineages_open')).toBe('0');
  });

  it('is one line of `latchkey status`', () => {
    expect(olderLines({ formerLineageOpen: [{ incarnation: 7, unanswered: ['5A'] }] })).toEqual([
      '  the store key before the change by boot 7 is not closed; no answer from 5A',
    ]);
  });
});

describe('what made room in a full list', () => {
  it('is counted in status, readiness and metrics', async () => {
    const { report, older, metric } = await reported();
    expect(report.readiness().report).not.toHaveProperty('olderDropped');
    expect(await metric('older_dropped')).toBe('0');
    const made = Array.from({ length: 256 }, async (_, at) => enrol({ t: 2, n: 3 }, { generation: at + 10 }));
    await older.leave((await Promise.all(made)).map(({ generation }) => generation));
    expect(report.status()).toMatchObject({
      olderDropped: 1,
      explanation: expect.stringContaining('its list of what they should erase was full'),
    });
    expect(await metric('older_dropped')).toBe('1');
    expect(olderLines(report.status()).at(-1)).toContain('1 older generations or store keys were given up');
  });
});
