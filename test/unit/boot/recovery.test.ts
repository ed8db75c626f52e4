import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import {
  type RecoveryInput,
  type RecoveryOutcome,
  recoverStoreKey,
} from '../../../src/boot/obtain/recovery.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { addGeneration } from '../../../src/keyslots/generations.ts';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { enrol, identity } from '../../support/keyslot-fixtures.ts';
import { KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { simulatedVetter } from '../../support/simulated-vetter.ts';

const net = new SimulatedNetwork(302);
const dice = seededDice(9);
let node: SimulatedNode;
let file: KeyslotFile;
let storeKey: string;
/** The servers of the node's slots, in the order of the file. */
let servers: SimulatedNode[];

beforeAll(async () => {
  await net.form(7);
  node = net.nodes[0] ?? net.addMachine();
  storeKey = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
});
afterAll(async () => net.close());
beforeEach(async () => {
  net.world.wire.misbehaviour.clear();
  await net.settle(30_000);
  file = await new KeyslotDisk(node.disk, KEYSLOTS).read();
  servers = file.generations[0].slots.flatMap(({ server }) =>
    net.nodes.filter(({ open }) => open !== undefined && equalBytes(open.identity.account, server)),
  );
  expect(servers).toHaveLength(5);
});

async function recover(change: Partial<RecoveryInput> = {}): Promise<RecoveryOutcome & { tookMs: number }> {
  const { clock, wire, chain } = net.world;
  const client = new PeerClient({
    transport: wire.transportFrom(node.name),
    clock,
    random: (length) => dice.bytes(length),
    deadlineMs: 2_000,
  });
  const startMs = clock.nowMs();
  const input = {
    file,
    snapshot: await chain.snapshot(),
    minimumThreshold: 2,
    clockToleranceMs: 120_000,
    maxTimeJumpMs: 86_400_000,
    signal: new AbortController().signal,
    ...change,
  };
  const vetter = simulatedVetter(net.world, client);
  const tools = { client, clock, quotes: node.quotes, vetter, log: () => undefined };
  const outcome = await clock.until(recoverStoreKey(tools, input));
  return { ...outcome, tookMs: clock.nowMs() - startMs };
}

const kinds = ({ slots }: Pick<Extract<RecoveryOutcome, { ok: false }>, 'slots'>): string[] =>
  slots.map(({ standing }) => (typeof standing === 'string' ? standing : standing.kind));

function keyOf(outcome: RecoveryOutcome): string {
  if (!outcome.ok) throw new Error(`locked at ${outcome.have} of ${outcome.need}`);
  return toHex(outcome.recovered.storeKey.reveal());
}

/** Makes all servers hang but the first `count`. */
const silenceAllBut = (count: number): void => {
  for (const { endpoint } of servers.slice(count)) net.world.wire.misbehaviour.set(endpoint, 'hang');
};

describe('recovery of the store key', () => {
  it('gives the key with t answers, and does not wait for the others', async () => {
    silenceAllBut(3);
    const outcome = await recover();
    expect(keyOf(outcome)).toBe(storeKey);
    expect(outcome.tookMs).toBeLessThan(600);
  });

  it('with fewer answers gives no key, and reports the number of answers and the reasons', async () => {
    silenceAllBut(2);
    const outcome = await recover();
    expect(outcome).toMatchObject({ ok: false, have: 2, need: 3 });
    expect(!outcome.ok && kinds(outcome)).toEqual([
      'live',
      'live',
      'unreachable',
      'unreachable',
      'unreachable',
    ]);
  });

  it('returns the lineage, what the servers know of it, and the time on which t servers agree', async () => {
    const outcome = await recover();
    if (!outcome.ok) throw new Error('locked');
    const { recovered } = outcome;
    expect(toHex(recovered.lineage.secret.reveal())).toBe(
      toHex(node.open?.hold.lineage.secret.reveal() ?? new Uint8Array(0)),
    );
    const own = node.open?.hold.incarnation;
    expect(recovered.states.length).toBeGreaterThanOrEqual(3);
    for (const { shown, head, slots } of recovered.states) {
      expect(shown).toEqual(own);
      expect(head?.sequence).toBe(node.open?.store.head().sequence);
      expect(head && recovered.lineage.isOwnHead(head)).toBe(true);
      expect(slots).toHaveLength(1);
    }
    expect(Math.abs((recovered.timeMs ?? 0) - net.world.clock.nowMs())).toBeLessThan(1_000);
    expect(recovered.serverKeys.size).toBeGreaterThanOrEqual(3);
  });

  it('names a departed server, and opens without it', async () => {
    const { servers: records, ...rest } = await net.world.chain.snapshot();
    const [first] = file.generations[0].slots;
    const snapshot = {
      ...rest,
      servers: records.filter(({ account }) => !equalBytes(account, first?.server ?? account)),
    };
    silenceAllBut(3);
    const outcome = await recover({ snapshot });
    expect(!outcome.ok && kinds(outcome)[0]).toBe('departed');
    net.world.wire.misbehaviour.clear();
    expect(keyOf(await recover({ snapshot }))).toBe(storeKey);
  });

  it('uses the older generation when the newer one cannot open the store', async () => {
    // Servers that exist nowhere.
    const dead = await enrol({ t: 3, n: 5 }, { generation: file.generations[0].generation + 1 });
    const both = addGeneration(file, dead.generation, () => ({ live: 5, possible: 5 })).file;
    const outcome = await recover({ file: both });
    expect(keyOf(outcome)).toBe(storeKey);
    expect(outcome.ok && outcome.recovered.generation).toBe(file.generations[0].generation);
    expect(identity.account).not.toEqual(file.account);
  });

  it('refuses a generation below the measured minimum threshold', async () => {
    const outcome = await recover({ minimumThreshold: 4 });
    expect(outcome.ok).toBe(false);
  });

  it('knows incarnations and heads that were not made under its lineage for what they are', async () => {
    for (const server of servers) server.inventMarks();
    const outcome = await recover();
    if (!outcome.ok) throw new Error('locked');
    const { lineage, states } = outcome.recovered;
    expect(states.length).toBeGreaterThanOrEqual(3);
    for (const { shown, head } of states) {
      expect(shown.number).toBeGreaterThan(1_000_000);
      expect(lineage.isOwnIncarnation(shown)).toBe(false);
      expect(head && lineage.isOwnHead(head)).toBe(false);
    }
    const believed = new RollbackCheck(lineage, states, new RollbackAcceptance(false));
    expect(believed.sequences).toEqual([]);
    for (const server of servers) server.memory?.wipe();
    await net.settle(60_000);
  });

  it('names servers that lie, and opens with the others', async () => {
    servers[0]?.startLying();
    servers[1]?.startLying();
    silenceAllBut(2);
    const short = await recover();
    expect(short).toMatchObject({ ok: false, have: 0 });
    expect(!short.ok && kinds(short).slice(0, 2)).toEqual(['lied', 'lied']);
    net.world.wire.misbehaviour.clear();
    expect(keyOf(await recover())).toBe(storeKey);
    for (const server of servers.slice(0, 2)) server.memory?.wipe();
    await net.settle(60_000);
  });

  it('ends at once when it is stopped, also before the second generation was asked', async () => {
    for (const { endpoint } of net.nodes) net.world.wire.misbehaviour.set(endpoint, 'hang');
    const newer = { ...file.generations[0], generation: file.generations[0].generation + 1 };
    const slots = newer.slots.map((slot) => ({ ...slot, slotId: dice.bytes(16) as typeof slot.slotId }));
    const both: KeyslotFile = { ...file, generations: [{ ...newer, slots }, file.generations[0]] };
    const stop = new AbortController();
    void net.world.clock.sleep(100).then(() => stop.abort());
    const outcome = await recover({ file: both, signal: stop.signal });
    expect(outcome.ok).toBe(false);
    expect(outcome.tookMs).toBeLessThan(200);
  });
});
