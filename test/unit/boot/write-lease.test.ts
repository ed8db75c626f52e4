import { describe, expect, it } from 'vitest';
import { checkSlots, renewAtOlder } from '../../../src/boot/heal/slot-check.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { type LeasedGeneration, WriteLease } from '../../../src/boot/node/write-lease.ts';
import type { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { AccountId, InstanceId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import type { Store } from '../../../src/store/api/store-api.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const LEASE_MS = 10_000;
const slotIdOf = (byte: number) => SlotId.of(new Uint8Array(16).fill(byte));
const generationOf = (needed: number, ...slots: readonly number[]): LeasedGeneration => ({
  slotIds: slots.map(slotIdOf),
  needed,
});

/** A lease over some generations, and its clock. */
function scene(generations: readonly LeasedGeneration[], isNew = false) {
  const clock = { atMs: 1_000, nowMs: () => 7, monotonicMs: () => clock.atMs, sleep: async () => undefined };
  const lease = new WriteLease(LEASE_MS, clock, isNew);
  lease.watch(() => generations);
  return { clock, lease };
}

describe('a lease', () => {
  it('is valid for its time after enough servers were asked that show the mark', () => {
    const { clock, lease } = scene([generationOf(2, 1, 2, 3)]);
    expect(lease.isValid).toBe(false);
    lease.renewed(slotIdOf(1), 1_000);
    expect(lease.isValid).toBe(false);
    lease.renewed(slotIdOf(2), 900);
    expect(lease.isValid).toBe(true);
    clock.atMs = 900 + LEASE_MS - 1;
    expect(lease.isValid).toBe(true);
    clock.atMs++;
    expect(lease.isValid).toBe(false);
    lease.renewed(slotIdOf(3), 1_500);
    expect(lease.isValid).toBe(true);
  });

  it('does not end earlier because of an answer that comes late', () => {
    const { clock, lease } = scene([generationOf(1, 1)]);
    lease.renewed(slotIdOf(1), 1_000);
    lease.renewed(slotIdOf(1), 500);
    clock.atMs = 1_000 + LEASE_MS - 1;
    expect(lease.isValid).toBe(true);
  });

  it('needs every generation, and ends with the first of them', () => {
    const { clock, lease } = scene([generationOf(1, 1), generationOf(1, 2)]);
    lease.renewed(slotIdOf(1), 1_000);
    expect(lease.isValid).toBe(false);
    lease.renewed(slotIdOf(2), 400);
    expect(lease.isValid).toBe(true);
    clock.atMs = 400 + LEASE_MS;
    expect(lease.isValid).toBe(false);
  });

  it('is valid without any generation: no server gives the key to another instance', () => {
    const { clock, lease } = scene([]);
    clock.atMs += 10 * LEASE_MS;
    expect(lease.isValid).toBe(true);
  });

  it('of a store without any generation lasts for its time under the next ones, and no longer', () => {
    const { clock, lease } = scene([]);
    lease.watch(() => [generationOf(1, 1)]);
    expect(lease.isValid).toBe(true);
    clock.atMs += LEASE_MS;
    expect(lease.isValid).toBe(false);
  });

  it('of a lineage that was made just now begins with it', () => {
    const { clock, lease } = scene([generationOf(1, 1)], true);
    expect(lease.isValid).toBe(true);
    clock.atMs += LEASE_MS;
    expect(lease.isValid).toBe(false);
  });

  it('of a new store key ends while the former lineage is open, also where all servers show the mark', () => {
    const { clock, lease } = scene([generationOf(1, 1)]);
    lease.renewed(slotIdOf(1), 1_000);
    let former: LeasedGeneration[] = [{ slotIds: [], needed: 1, isFormer: true }];
    lease.watch(() => [generationOf(1, 9), ...former]);
    expect(lease.isValid).toBe(true);
    clock.atMs += LEASE_MS;
    expect(lease.notRenewed).toContain('shown the mark');
    lease.renewed(slotIdOf(9), clock.atMs);
    expect(lease.notRenewed).toContain('former store key');
    former = [];
    expect(lease.notRenewed).toBeUndefined();
  });

  it('goes on under a new store key for as long as it lasted before', () => {
    const { clock, lease } = scene([generationOf(1, 1)]);
    lease.renewed(slotIdOf(1), 1_000);
    clock.atMs += 4_000;
    lease.watch(() => [generationOf(1, 9)]);
    expect(lease.isValid).toBe(true);
    clock.atMs = 1_000 + LEASE_MS;
    expect(lease.isValid).toBe(false);
  });
});

describe('a store under a lease', () => {
  it('takes writes only while the lease is valid', async () => {
    const { clock, lease } = scene([generationOf(1, 1)]);
    let batches = 0;
    const inner = { batch: async () => void batches++ } as unknown as Store;
    const store = new FencedStore(inner, true, lease);
    await expect(store.batch([])).rejects.toMatchObject({ code: 'NODE_UNCLAIMED' });
    lease.renewed(slotIdOf(1), clock.atMs);
    await store.batch([]);
    expect(batches).toBe(1);
    clock.atMs += LEASE_MS;
    await expect(store.batch([])).rejects.toMatchObject({ code: 'NODE_UNCLAIMED' });
    store.fence('by a newer one');
    await expect(store.batch([])).rejects.toMatchObject({ code: 'NODE_FENCED' });
  });
});

const lineage = lineageOf(1);
const server = AccountId.of(new Uint8Array(32).fill(1));
const instanceId = InstanceId.of(new Uint8Array(16).fill(3));
const snapshot = { servers: [{ account: server }] } as unknown as ChainSnapshot;
const { signal } = new AbortController();

/** A node with a slot in its file and one of an older generation, whose server shows a mark. */
function nodeAt(shown: (own: Incarnation) => Incarnation) {
  const { clock, lease } = scene([generationOf(1, 1), generationOf(1, 2)]);
  const hold = AccountHold.ofNewLineage(lineage, bootOf(5), 4);
  const answer = async () => {
    const state = { instanceId, draining: false, lineage: stateOf({ shown: shown(hold.incarnation) }) };
    // The answer takes its time: the lease counts from the question.
    clock.atMs += 300;
    return state;
  };
  const slot = { server, slotId: slotIdOf(1), instanceId };
  const node = {
    hold,
    identity: { account: AccountId.of(new Uint8Array(32).fill(7)) },
    book: { newest: undefined, slots: () => [{ slot }], keyOf: () => 'known' },
    store: { lease, head: () => ({ sequence: 1, digest: new Uint8Array(32) }) },
    older: { open: [{ slots: [{ ...slot, slotId: slotIdOf(2) }] }] },
  } as unknown as OpenNode;
  const client = { keyStatus: answer, lineageStatus: answer } as unknown as PeerClient;
  return { node, client, lease, clock };
}

describe('a look at the slots', () => {
  it('renews the lease at slots of the keyslot file and of older generations, from when it asked', async () => {
    const { node, client, lease, clock } = nodeAt((own) => own);
    await checkSlots(client, node, snapshot, { live: 0, unknown: new Map() }, signal);
    expect(lease.isValid).toBe(false);
    await renewAtOlder(client, node, snapshot, signal);
    expect(lease.isValid).toBe(true);
    clock.atMs = 1_000 + LEASE_MS;
    expect(lease.isValid).toBe(false);
  });

  it.each(['file', 'older'])('does not renew it where the server shows another mark: %s', async (where) => {
    const { node, client, lease } = nodeAt(() => lineage.incarnation(2, bootOf(2)));
    await checkSlots(client, node, snapshot, { live: 0, unknown: new Map() }, signal);
    await renewAtOlder(client, node, snapshot, signal);
    // The other one of the two is renewed by hand.
    lease.renewed(slotIdOf(where === 'file' ? 2 : 1), 1_000);
    expect(lease.isValid).toBe(false);
  });
});
