import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RecoveryOutcome, recoverStoreKey } from '../../../src/boot/obtain/recovery.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import type { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { Generation, KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { simulatedVetter } from '../../support/simulated-vetter.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 60_000 };
const PEER_DEADLINE_MS = 2_000;
const net = new SimulatedNetwork(841);
const { clock, wire, chain } = net.world;
const dice = seededDice(17);
let node: SimulatedNode;
let file: KeyslotFile;
let storeKey: string;

beforeAll(async () => {
  await net.form(6);
  node = net.nodes[0] ?? net.addMachine();
  storeKey = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
  file = await fileOf(node);
}, 60_000);
afterEach(() => {
  wire.forge = () => undefined;
  wire.misbehaviour.clear();
  vi.restoreAllMocks();
});
afterAll(async () => net.close());

/** Every server key that arrives from now on. */
function arrivingKeys(): SecretBytes[] {
  const keys: SecretBytes[] = [];
  const original = PeerClient.prototype.requestKey;
  vi.spyOn(PeerClient.prototype, 'requestKey').mockImplementation(async function (
    this: PeerClient,
    ...args: Parameters<PeerClient['requestKey']>
  ) {
    const answer = await original.apply(this, args);
    keys.push(answer.grant.key);
    return answer;
  });
  return keys;
}

const isWiped = (key: SecretBytes): boolean => {
  try {
    key.reveal();
    return false;
  } catch {
    return true;
  }
};

async function recover(of: KeyslotFile): Promise<RecoveryOutcome & { readonly tookMs: number }> {
  const client = new PeerClient({
    transport: wire.transportFrom(node.name),
    clock,
    random: (length) => dice.bytes(length),
    deadlineMs: PEER_DEADLINE_MS,
  });
  const startMs = clock.nowMs();
  const outcome = await clock.until(
    recoverStoreKey(
      {
        client,
        clock,
        quotes: node.quotes,
        vetter: simulatedVetter(net.world, client),
        log: () => undefined,
      },
      {
        file: of,
        snapshot: await chain.snapshot(),
        minimumThreshold: 2,
        clockToleranceMs: 120_000,
        maxTimeJumpMs: 86_400_000,
        signal: new AbortController().signal,
      },
    ),
  );
  return { ...outcome, tookMs: clock.nowMs() - startMs };
}

/** The file with a newer generation in front that no server knows. */
function withNewer(): { readonly both: KeyslotFile; readonly newer: Generation } {
  const [real] = file.generations;
  const slots = real.slots.map((slot) => ({ ...slot, slotId: SlotId.of(dice.bytes(16)) }));
  const newer = { ...real, generation: real.generation + 1, slots };
  return { both: { ...file, generations: [newer, real] }, newer };
}

/** Lets requests for these slots hang; the same servers answer for others. */
function hangSlots({ slots }: Generation, count: number): void {
  const ids = slots.slice(0, count).map(({ slotId }) => toPrefixedHex(slotId));
  wire.forge = ({ path, body }) =>
    path === '/request-encryption-key' && ids.some((id) => JSON.stringify(body).includes(id))
      ? 'hang'
      : undefined;
}

const keyOf = (outcome: RecoveryOutcome): string =>
  outcome.ok ? toHex(outcome.recovered.storeKey.reveal()) : 'locked';

describe('the older generation in a recovery', () => {
  it('is asked at once when the newer one can no longer open the store', LONG, async () => {
    const { both } = withNewer();
    const alone = await recover(file);
    const outcome = await recover(both);
    expect([keyOf(alone), keyOf(outcome)]).toEqual([storeKey, storeKey]);
    expect(outcome.tookMs).toBeLessThan(2 * alone.tookMs + 100);
  });

  it('is asked at once when the remaining servers of the newer one hang', LONG, async () => {
    const { both } = withNewer();
    const alone = await recover(file);
    for (const { endpoint } of machinesOf(net, file.generations[0]).slice(0, 2)) {
      wire.misbehaviour.set(endpoint, 'hang');
    }
    const outcome = await recover(both);
    expect(keyOf(outcome)).toBe(storeKey);
    expect(outcome.tookMs).toBeLessThan(2 * alone.tookMs + 200);
    expect(outcome.tookMs).toBeLessThan(1_000);
  });

  it('is asked before the deadline of hanging servers', LONG, async () => {
    const { both, newer } = withNewer();
    hangSlots(newer, 5);
    const outcome = await recover(both);
    expect(keyOf(outcome)).toBe(storeKey);
    expect(outcome.tookMs).toBeLessThan(PEER_DEADLINE_MS);
  });

  it('is not asked when the newer one opens', LONG, async () => {
    const older = { ...withNewer().newer, generation: 0.5 };
    const asked: string[] = [];
    wire.forge = ({ path, body }) => {
      if (path === '/request-encryption-key') asked.push(JSON.stringify(body));
      return undefined;
    };
    const outcome = await recover({ ...file, generations: [file.generations[0], older] });
    expect(keyOf(outcome)).toBe(storeKey);
    const ids = older.slots.map(({ slotId }) => toPrefixedHex(slotId));
    expect(asked.some((body) => ids.some((id) => body.includes(id)))).toBe(false);
  });
});

describe('keys in memory after a recovery', () => {
  it('too few slots: no server key remains', LONG, async () => {
    const keys = arrivingKeys();
    for (const { endpoint } of machinesOf(net, file.generations[0]).slice(0, 3)) {
      wire.misbehaviour.set(endpoint, 'hang');
    }
    expect(await recover(file)).toMatchObject({ ok: false, have: 2 });
    expect(keys).toHaveLength(2);
    expect(keys.every(isWiped)).toBe(true);
  });

  it('success: only the keys of its slots remain', LONG, async () => {
    const keys = arrivingKeys();
    const outcome = await recover(file);
    await clock.advance(5_000);
    const kept = outcome.ok ? [...outcome.recovered.serverKeys.values()] : [];
    expect(kept.length).toBeGreaterThanOrEqual(3);
    expect(kept.some(isWiped)).toBe(false);
    expect(keys.filter((key) => !kept.includes(key)).every(isWiped)).toBe(true);
  });

  it('a store that does not open: no key remains', LONG, async () => {
    const keys = arrivingKeys();
    await clock.until(node.kill());
    const kept = [...node.disk.files()].filter(([path]) => path.startsWith('/data/node/store/'));
    for (const [path, bytes] of kept) {
      node.disk.tamper(
        path,
        bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte)),
      );
    }
    node.start();
    await net.settle(10_000);
    expect(node.state.name).toBe('locked');
    expect(keys.length).toBeGreaterThanOrEqual(3);
    await clock.until(node.stop());
    expect(keys.every(isWiped)).toBe(true);
    for (const [path, bytes] of kept) node.disk.tamper(path, bytes);
    node.start();
    await net.settle(20_000);
    expect(node.state.name).toBe('backed');
  });
});
