import { describe, expect, it } from 'vitest';
import { Holder, type HolderParts } from '../../../src/boot/heal/holder.ts';
import { AccountHold, LAST_NUMBER } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { WriteLease } from '../../../src/boot/node/write-lease.ts';
import { PeerError, type PeerFailure } from '../../../src/boot/peer/peer-failure.ts';
import { AccountId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import type { Incarnation, Reservation } from '../../../src/lineage/incarnation.ts';
import { type LineageFacts, NO_FACTS, reserve, show } from '../../../src/lineage/rules.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);
const { signal } = new AbortController();
const accountOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const slotIdOf = (byte: number) => SlotId.of(new Uint8Array(16).fill(byte));

/** A slot, the server of the same number, and what that server knows. */
interface Server {
  readonly number: number;
  facts: LineageFacts;
  /** Whether it still has the slot. */
  hasSlot: boolean;
  failure?: PeerFailure;
  /** Why a recovery does not believe it. */
  refusal?: PeerFailure;
  /** Whether the fleet does not vouch for its platform. */
  countsInPart?: true;
  /** It has no record on the chain. */
  isGone?: true;
  /** It never gave its key to this process. */
  isKeyUnknown?: true;
  /** It shows another slot of the lineage. */
  showsOther?: true;
}
const serverOf = (number: number): Server => ({ number, facts: NO_FACTS, hasSlot: true });

/** Generations with these thresholds and servers, and a boot that opened by them. */
function scene(
  generations: readonly { readonly t: number; readonly servers: readonly Server[] }[],
  lease?: WriteLease,
  byCustodians?: object,
  {
    clock = { nowMs: () => 0 },
    formerLeaseMs = 0,
  }: { clock?: Pick<Clock, 'nowMs'>; formerLeaseMs?: number } = {},
) {
  const hold = new AccountHold(lineage, bootOf(5), lineage.incarnation(1, bootOf(1)));
  const all = generations.flatMap(({ servers }) => servers);
  const at = ({ account }: { readonly account: AccountId }): Server => {
    const server = all.find(({ number }) => number === account[0]);
    if (server === undefined) throw new Error('no such server');
    if (server.failure !== undefined) throw new PeerError(server.failure);
    return server;
  };
  const told = (server: Server) => ({
    lineage: stateOf({
      ...server.facts,
      slots: server.hasSlot ? [slotIdOf(server.showsOther ? 99 : server.number)] : [],
    }),
  });
  const client = {
    reserve: async (peer: { account: AccountId }, _slot: unknown, wish: Reservation) => {
      const server = at(peer);
      server.facts = reserve(server.facts, wish);
      return told(server);
    },
    claim: async (peer: { account: AccountId }, _slot: unknown, from: Incarnation) => {
      const server = at(peer);
      server.facts = show(server.facts, from);
      return told(server);
    },
    lineageStatus: async (peer: { account: AccountId }) => told(at(peer)),
  };
  const file = {
    generations: generations.map(({ t, servers }, index) => ({
      generation: generations.length - index,
      t,
      n: servers.length,
      slots: servers.map(({ number }) => ({ server: accountOf(number), slotId: slotIdOf(number) })),
    })),
  };
  const written: unknown[] = [];
  /** How many records were written when what is left behind was made durable. */
  const savedAfter: number[] = [];
  const node = {
    hold,
    identity: { account: accountOf(200) },
    book: {
      file,
      newest: file.generations[0],
      slots: () =>
        file.generations.flatMap((generation) => generation.slots.map((slot) => ({ generation, slot }))),
      keyOf: (slotId: SlotId) =>
        all.find(({ number }) => number === slotId[0])?.isKeyUnknown ? undefined : 'known',
    },
    byCustodians,
    sealed: { batch: async (operations: unknown) => void written.push(operations) },
    store: { release: () => undefined, lease },
    older: {
      save: async () => {
        await null;
        savedAfter.push(written.length);
      },
    },
    openings: { recordOf: () => [] },
    formerLeaseMs,
  } as unknown as OpenNode;
  const vetter = {
    platformOf: ({ account }: { readonly account: AccountId }) => `platform ${account[0]}`,
    countsInPart: ({ account }: { readonly account: AccountId }) =>
      all.find(({ number }) => number === account[0])?.countsInPart === true,
    vet: async ({ account }: { readonly account: AccountId }) => {
      const { refusal } = at({ account });
      if (refusal !== undefined) throw new PeerError(refusal);
    },
  };
  const parts = {
    tools: { client, vetter, clock, random: (length: number) => new Uint8Array(length) },
    log: () => undefined,
    options: { minimumThreshold: 2, retryMinMs: 500, retryMaxMs: 8_000 },
  } as unknown as HolderParts;
  const snapshot = {
    servers: all.filter(({ isGone }) => !isGone).map(({ number }) => ({ account: accountOf(number) })),
  } as unknown as ChainSnapshot;
  return { hold, holder: new Holder(parts, node), snapshot, written, savedAfter };
}

const stale: PeerFailure = { kind: 'refused', code: 'TIMESTAMP_STALE', detail: 'the timestamp is 300 s off' };
const silent: PeerFailure = { kind: 'unreachable', detail: 'no answer' };

describe('taking hold by the slots of the keyslot file', () => {
  it('does not count a generation whose threshold is below the minimum: a recovery refuses it too', async () => {
    const newest = [1, 2, 3].map(serverOf);
    for (const server of newest) server.failure = silent;
    const older = [serverOf(4)];
    const low = scene([
      { t: 2, servers: newest },
      { t: 1, servers: older },
    ]);
    expect(await low.holder.bySlots(low.snapshot, signal)).toBe(false);
    const high = scene([
      { t: 2, servers: newest },
      { t: 2, servers: [4, 5, 6].map(serverOf) },
    ]);
    expect(await high.holder.bySlots(high.snapshot, signal)).toBe(true);
  });

  it('asks no server that left the chain, or of which the key is not known', async () => {
    for (const fault of ['isGone', 'isKeyUnknown'] as const) {
      const servers: Server[] = [{ ...serverOf(1), [fault]: true }, serverOf(2), serverOf(3)];
      const { holder, snapshot } = scene([{ t: 2, servers }]);
      expect(await holder.bySlots(snapshot, signal)).toBe(true);
      expect(servers.map(({ facts }) => facts.shown.number)).toEqual([0, 2, 2]);
    }
  });

  it('says what most servers answered, of the last attempt only', async () => {
    const servers = [1, 2, 3, 4].map(serverOf);
    const [one, two, three] = servers;
    if (one === undefined || two === undefined || three === undefined) throw new Error('no servers');
    const { holder, snapshot } = scene([{ t: 3, servers }]);
    expect(holder.failures.reason).toMatch(/mark of this instance$/);
    one.failure = silent;
    two.failure = stale;
    three.failure = stale;
    await holder.bySlots(snapshot, signal);
    expect(holder.failures.reason).toMatch(/2 of 4 servers refused: TIMESTAMP_STALE .*clock of this machine/);
    expect(holder.failures.of(slotIdOf(2))).toEqual(stale);
    expect(holder.failures.of(slotIdOf(4))).toBeUndefined();
    two.failure = silent;
    await holder.bySlots(snapshot, signal);
    expect(holder.failures.reason).toMatch(/2 of 4 servers unreachable \(no answer\)$/);
    delete one.failure;
    await holder.bySlots(snapshot, signal);
    expect(holder.failures.of(slotIdOf(1))).toBeUndefined();
  });
});

describe('the first record of a boot', () => {
  it('is not written once a newer instance has shown itself', async () => {
    const { hold, holder, written } = scene([{ t: 2, servers: [1, 2, 3].map(serverOf) }]);
    hold.take();
    hold.observe(stateOf({ shown: lineage.incarnation(9, bootOf(9)) }));
    await expect(holder.begin(3)).rejects.toMatchObject({ code: 'NODE_FENCED' });
    expect(written).toEqual([]);
  });

  it('is written by a boot that holds; then, before anything else, what the store leaves behind', async () => {
    const { hold, holder, written, savedAfter } = scene([{ t: 2, servers: [1, 2, 3].map(serverOf) }]);
    hold.take();
    expect(await holder.begin(0)).toBeUndefined();
    expect(written).toHaveLength(1);
    expect(savedAfter).toEqual([1]);
  });
});

describe('the first record of a boot under a lease', () => {
  it('waits until the lease of an earlier instance has run out, and for a renewal of its own', async () => {
    const clock = {
      nowMs: () => 0,
      sleep: async () => undefined,
      atMs: 5_000,
      monotonicMs: () => clock.atMs,
    };
    const lease = new WriteLease(10_000, clock, false);
    lease.watch(() => [{ slotIds: [slotIdOf(1)], needed: 1 }]);
    const { hold, holder, written } = scene([{ t: 2, servers: [1, 2, 3].map(serverOf) }], lease, undefined, {
      clock,
    });
    expect(holder.leaseWaitMs).toBe(0);
    hold.take();
    lease.renewed(slotIdOf(1), clock.atMs);
    expect(await holder.begin(3)).toContain('lease');
    expect(holder.leaseWaitMs).toBe(10_000);
    clock.atMs += 9_999;
    expect(await holder.begin(3)).toContain('lease');
    clock.atMs += 1;
    expect(await holder.begin(3)).toContain('10 s');
    expect(written).toEqual([]);
    lease.renewed(slotIdOf(1), clock.atMs);
    expect(await holder.begin(3)).toBeUndefined();
    expect(written).toHaveLength(1);
  });
});

describe('the first record of a boot after an instance with a longer lease', () => {
  it.each([10_000, undefined])('waits for that one, with a lease of its own of %s ms', async (leaseMs) => {
    const clock = {
      nowMs: () => 0,
      sleep: async () => undefined,
      atMs: 5_000,
      monotonicMs: () => clock.atMs,
    };
    const lease = leaseMs === undefined ? undefined : new WriteLease(leaseMs, clock, false);
    lease?.watch(() => [{ slotIds: [slotIdOf(1)], needed: 1 }]);
    const generations = [{ t: 2, servers: [1, 2, 3].map(serverOf) }];
    const { hold, holder, written } = scene(generations, lease, undefined, { clock, formerLeaseMs: 60_000 });
    hold.take();
    expect(await holder.begin(3)).toContain('lease');
    clock.atMs += 59_999;
    lease?.renewed(slotIdOf(1), clock.atMs);
    expect([await holder.begin(3), holder.leaseWaitMs]).toEqual([expect.stringContaining('lease'), 1]);
    expect(written).toEqual([]);
    clock.atMs += 1;
    expect(await holder.begin(3)).toBeUndefined();
    expect(written).toHaveLength(1);
  });
});

describe('a store whose key this process has', () => {
  it('may be closed once t slots of one generation are proved to live', async () => {
    const servers = [1, 2, 3, 4, 5].map(serverOf);
    const { holder, snapshot } = scene([{ t: 3, servers }]);
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
    for (const server of servers.slice(0, 2)) server.hasSlot = false;
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
    const [, , third] = servers;
    if (third === undefined) throw new Error('no server');
    // Silence proves nothing.
    third.failure = silent;
    expect(await holder.mayClose(snapshot, signal)).toBe(false);
  });

  it('may not be closed because of slots of two generations together, or of one that no recovery takes', async () => {
    const half = (numbers: readonly number[]) =>
      numbers.map((number, index) => ({ ...serverOf(number), hasSlot: index === 0 }));
    const apart = scene([
      { t: 2, servers: half([1, 2, 3]) },
      { t: 2, servers: half([4, 5, 6]) },
    ]);
    expect(await apart.holder.mayClose(apart.snapshot, signal)).toBe(false);
    const low = scene([{ t: 1, servers: [serverOf(1)] }]);
    expect(await low.holder.mayClose(low.snapshot, signal)).toBe(false);
  });

  it('may not be closed because of servers that a recovery does not believe, or believes in part', async () => {
    const servers = [1, 2, 3, 4, 5].map(serverOf);
    const { holder, snapshot } = scene([{ t: 3, servers }]);
    for (const server of servers.slice(0, 2)) server.refusal = { kind: 'untrusted', code: 'X', detail: 'x' };
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
    for (const server of servers.slice(2)) server.countsInPart = true;
    expect(await holder.mayClose(snapshot, signal)).toBe(false);
    for (const server of servers.slice(0, 1)) delete server.refusal;
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
    for (const server of servers.slice(0, 1)) server.refusal = { kind: 'untrusted', code: 'X', detail: 'x' };
    expect(await holder.mayClose(snapshot, signal)).toBe(false);
  });

  it('may not be closed because of servers that left the chain, or show another slot of it', async () => {
    for (const fault of ['isGone', 'showsOther'] as const) {
      const servers = [1, 2, 3].map(serverOf);
      const { holder, snapshot } = scene([
        { t: 2, servers: servers.map((one, at) => (at === 0 ? { ...one, [fault]: true } : one)) },
      ]);
      expect(await holder.mayClose(snapshot, signal)).toBe(true);
      const two = scene([
        { t: 2, servers: servers.map((one, at) => (at < 2 ? { ...one, [fault]: true } : one)) },
      ]);
      expect(await two.holder.mayClose(two.snapshot, signal)).toBe(false);
    }
  });

  it('may be closed when custodians gave its key: they can give it again', async () => {
    const servers = [1, 2, 3].map((number) => ({ ...serverOf(number), hasSlot: false }));
    const { holder, snapshot } = scene([{ t: 2, servers }], undefined, {});
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
  });

  it('may be closed when another key is in force, whatever lives', async () => {
    const servers = [1, 2, 3].map((number) => ({ ...serverOf(number), hasSlot: false }));
    const { hold, holder, snapshot } = scene([{ t: 2, servers }]);
    expect(await holder.mayClose(snapshot, signal)).toBe(false);
    hold.observe(stateOf({ shown: lineage.incarnation(LAST_NUMBER, bootOf(9)) }));
    expect(await holder.mayClose(snapshot, signal)).toBe(true);
  });
});
