import { describe, expect, it } from 'vitest';
import type { AttemptPace } from '../../../src/boot/heal/attempt-pace.ts';
import type { GenerationMaker } from '../../../src/boot/heal/generation-maker.ts';
import { Holder } from '../../../src/boot/heal/holder.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import type { EnrolmentTools } from '../../../src/boot/obtain/enrolment.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import type { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { Head } from '../../../src/lineage/head.ts';
import type { Incarnation, Reservation } from '../../../src/lineage/incarnation.ts';
import { type LineageFacts, NO_FACTS, reserve, show } from '../../../src/lineage/rules.ts';
import { MAX_LINEAGE_SLOTS } from '../../../src/protocol/lineage-state.ts';
import { processAt, serverAt, slotAt, slotIdAt } from '../../support/checked-slots.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);
const { signal } = new AbortController();
const PATIENCE_MS = 1_000;
const quorum = { t: 2, n: 3 };

/** How the server of a slot answers the question for the lineage, and which process it attests. */
interface Standing {
  readonly answer:
    | 'shows the slot'
    | 'shows other slots'
    | 'shows as many others as an answer has'
    | 'knows nothing';
  readonly process?: number;
  /** It has no record on the chain. */
  readonly isGone?: boolean;
}
const holding: Standing = { answer: 'shows the slot' };
const erased: Standing = { answer: 'shows other slots' };
/** The server has more slots of the lineage than one answer names. */
const crowded: Standing = { answer: 'shows as many others as an answer has' };
const silent: Standing = { answer: 'knows nothing' };
const reborn: Standing = { answer: 'knows nothing', process: 101 };
const denying: Standing = { answer: 'knows nothing', process: 100 };
const gone: Standing = { answer: 'knows nothing', isGone: true };

/** A boot that opened its store by slots 1 to 3 (t = 2); servers 4 to 6 of the chain give new ones. */
function scene(
  standings: readonly Standing[],
  options: { granted?: number; isByCustodians?: boolean; accepts?: boolean } = {},
) {
  const { granted = 3, isByCustodians = false, accepts = false } = options;
  const rollback = new RollbackCheck(lineage, [], new RollbackAcceptance(accepts));
  const hold = new AccountHold(lineage, bootOf(5), lineage.incarnation(1, bootOf(1)), rollback);
  const clock = {
    atMs: 0,
    /** How far the host has set the clock ahead. */
    aheadMs: 0,
    nowMs: () => clock.atMs + clock.aheadMs,
    monotonicMs: () => clock.atMs,
    sleep: () => new Promise<void>(() => undefined),
  };
  const facts = new Map<number, LineageFacts>();
  const seen = { head: undefined as Head | undefined, refusesClaims: false, isDue: true };
  const done: string[] = [];
  /** Servers that were asked for the lineage. */
  const swept: number[] = [];
  const numberOf = ({ account }: { readonly account: AccountId }) => account[0] ?? 0;
  const change = (peer: { account: AccountId }, by: (before: LineageFacts) => LineageFacts) => {
    const after = by(facts.get(numberOf(peer)) ?? NO_FACTS);
    facts.set(numberOf(peer), after);
    return { lineage: stateOf(after) };
  };
  const client = {
    lineageStatus: async (peer: { account: AccountId }, held: { observer: AccountHold }) => {
      swept.push(numberOf(peer));
      const standing = standings[numberOf(peer) - 1];
      if (standing === undefined || standing.answer === 'knows nothing')
        throw new PeerError({ kind: 'forgot', detail: 'x' });
      const others = standing.answer === 'shows other slots' ? 1 : MAX_LINEAGE_SLOTS;
      const slots =
        standing.answer === 'shows the slot'
          ? [slotIdAt(numberOf(peer))]
          : Array.from({ length: others }, (_one, at) => slotIdAt(99 + at));
      const shown = stateOf({ slots, head: seen.head });
      held.observer.observe(shown);
      return { lineage: shown };
    },
    reserve: async (peer: { account: AccountId }, _held: unknown, wish: Reservation) =>
      change(peer, (before) => reserve(before, wish)),
    claim: async (peer: { account: AccountId }, _held: unknown, from: Incarnation) => {
      if (seen.refusesClaims) throw new PeerError({ kind: 'unreachable', detail: 'x' });
      return change(peer, (before) => show(before, from));
    },
  };
  const vetter = {
    platformOf: () => 'a platform',
    instanceOf: async (peer: { account: AccountId }) => {
      const process = standings[numberOf(peer) - 1]?.process;
      if (process === undefined) throw new PeerError({ kind: 'unreachable', detail: 'x' });
      return processAt(process);
    },
  };
  const servers = [4, 5, 6].slice(0, granted).map((number) => ({
    server: serverAt(number),
    slotId: slotIdAt(number),
    key: 'a key',
  }));
  const maker = {
    quorumOf: (): typeof quorum | undefined => quorum,
    enrol: async () => {
      done.push('enrol');
      return { servers };
    },
    backOff: () => void done.push('back off'),
    forget: () => void done.push('forget'),
    putInFront: async () => void done.push('put in front'),
  };
  const generation = { generation: 1, t: 2, n: 3, slots: standings.map((_one, at) => slotAt(at + 1)) };
  const node = {
    hold,
    rollback,
    identity: { account: serverAt(200) },
    book: {
      file: { generations: [generation] },
      newest: generation,
      slots: () => generation.slots.map((slot) => ({ generation, slot })),
      keyOf: () => undefined,
    },
    byCustodians: isByCustodians ? {} : undefined,
  } as unknown as OpenNode;
  const pace = {
    get isDue() {
      return seen.isDue;
    },
  };
  const holder = new Holder(
    {
      tools: { client, vetter, clock, random: () => new Uint8Array(1) } as unknown as EnrolmentTools,
      presentProcess: ({ record }) => vetter.instanceOf(record),
      log: (_level, event) => void done.push(event),
      options: { minimumThreshold: 2, patienceMs: PATIENCE_MS, retryMinMs: 500, retryMaxMs: 8_000 },
      maker: maker as unknown as GenerationMaker,
      pace: pace as unknown as AttemptPace,
    },
    node,
  );
  const onChain = [1, 2, 3, 4, 5, 6].filter((number) => standings[number - 1]?.isGone !== true);
  const snapshot = {
    servers: onChain.map((number) => ({ account: serverAt(number) })),
  } as unknown as ChainSnapshot;
  return {
    hold,
    holder,
    maker,
    clock,
    seen,
    done,
    swept,
    shownAt: () => [...facts.keys()].sort(),
    take: () => holder.byNewSlots(snapshot, signal),
    bySlots: () => holder.bySlots(snapshot, signal),
  };
}

const made = ['node.slots-lost', 'enrol', 'put in front'];

describe('a boot whose slots are lost takes hold by new ones', () => {
  it.each([
    ['the servers show the lineage without the slots', [erased, erased, holding]],
    ['other processes of the servers are attested', [reborn, reborn, holding]],
    ['the servers left the chain', [gone, gone, holding]],
  ])('when %s', async (_how, standings) => {
    const { take, hold, done, shownAt } = scene(standings);
    expect(await take()).toBe(true);
    expect([hold.holds, done, shownAt()]).toEqual([true, made, [4, 5, 6]]);
  });

  it.each([
    ['t slots are shown', [holding, holding, erased]],
    ['servers are silent: they may serve another instance', [silent, silent, silent]],
    ['the process that issued the slot says that it knows nothing', [denying, denying, denying]],
    ['one proof is missing', [erased, denying, silent]],
    ['full answers do not name the slots: they may have been left out', [crowded, crowded, holding]],
  ])('not when %s', async (_why, standings) => {
    const { take, hold, done, clock } = scene(standings);
    clock.atMs = 10 * PATIENCE_MS;
    expect([await take(), hold.holds, done]).toEqual([false, false, []]);
  });

  it('also when servers are silent beyond patience, where custodians gave the key', async () => {
    const { take, clock, done, holder } = scene([silent, silent, silent], { isByCustodians: true });
    clock.atMs = PATIENCE_MS - 1;
    expect([await take(), done]).toEqual([false, []]);
    clock.atMs = PATIENCE_MS;
    holder.hurry();
    expect([await take(), done]).toEqual([true, made]);
  });

  it('not when the host sets the clock ahead: patience is measured by the monotonic clock', async () => {
    const { take, clock, done, holder } = scene([silent, silent, silent], { isByCustodians: true });
    clock.aheadMs = 24 * 3_600_000;
    expect([await take(), done]).toEqual([false, []]);
    clock.atMs = PATIENCE_MS;
    holder.hurry();
    expect([await take(), done]).toEqual([true, made]);
  });

  it('not when a server shows a newer head: the disk is an older one, and nothing is made for it', async () => {
    const { take, seen, done } = scene([erased, erased, holding]);
    seen.head = lineage.head(lineage.incarnation(3, bootOf(9)), 5, new Uint8Array(32));
    await expect(take()).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
    expect(done).toEqual(['node.slots-lost']);
  });

  it('not with fewer than t of them: their keys are erased again', async () => {
    const { take, hold, done } = scene([erased, erased, erased], { granted: 1 });
    expect([await take(), hold.holds]).toEqual([false, false]);
    expect(done).toEqual(['node.slots-lost', 'enrol', 'back off', 'forget']);
  });

  it('with t of them, though n are wanted', async () => {
    const { take, done } = scene([erased, erased, erased], { granted: 2 });
    expect([await take(), done]).toEqual([true, made]);
  });

  it('not where their servers do not show its mark: their keys are erased again', async () => {
    const { take, seen, hold, done } = scene([erased, erased, erased]);
    seen.refusesClaims = true;
    expect([await take(), hold.holds]).toEqual([false, false]);
    expect(done).toEqual(['node.slots-lost', 'enrol', 'back off', 'forget']);
  });

  it('not while an attempt has to wait, or the chain shows too few servers', async () => {
    const { take, seen, maker, done } = scene([erased, erased, erased]);
    seen.isDue = false;
    expect(await take()).toBe(false);
    seen.isDue = true;
    maker.quorumOf = () => undefined;
    expect([await take(), done]).toEqual([false, []]);
  });

  it('looks for lost slots with a back-off while they may answer', async () => {
    const standings = [holding, holding, holding];
    const { take, done, holder } = scene(standings);
    expect(await take()).toBe(false);
    standings.fill(erased);
    expect([await take(), done]).toEqual([false, []]);
    holder.hurry();
    expect([await take(), done]).toEqual([true, made]);
  });
});

describe('a boot that takes hold by its slots', () => {
  it('asks all servers of the chain once where no server, or one alone, has shown the newest head', async () => {
    const { bySlots, swept } = scene([holding, holding, holding], { isByCustodians: true });
    await bySlots();
    await bySlots();
    expect([...swept].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    // With an accepted older store, the one server that has the newest head would else refuse it again and again.
    const accepted = scene([holding, holding, holding], { accepts: true });
    await accepted.bySlots();
    expect(accepted.swept).toHaveLength(6);
    const byServers = scene([holding, holding, holding]);
    await byServers.bySlots();
    expect(byServers.swept).toEqual([]);
  });
});

describe('the first record of a boot that the disk does not take', () => {
  /** A boot that holds, and the error of its disk. */
  function broken(code: 'STORE_WRITE_FAILED' | 'STORE_DISK_FULL') {
    const hold = AccountHold.ofNewLineage(lineage, bootOf(5));
    const error = new ProblemError(code, 'the disk failed');
    const node = {
      hold,
      book: { newest: { t: 2 } },
      sealed: { batch: () => Promise.reject(error) },
      store: { lease: undefined, release: () => undefined },
      openings: { recordOf: () => [] },
    };
    const parts = {
      tools: { clock: { nowMs: () => 0 }, random: () => new Uint8Array(1) },
      log: () => undefined,
      options: { minimumThreshold: 2, retryMinMs: 500, retryMaxMs: 8_000 },
    };
    return new Holder(parts as never, node as unknown as OpenNode);
  }

  it('ends this opening when the store takes nothing more and t slots live to open it again', async () => {
    await expect(broken('STORE_WRITE_FAILED').begin(2)).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
  });

  it('keeps the store open otherwise: the key may be nowhere else', async () => {
    expect(await broken('STORE_WRITE_FAILED').begin(1)).toContain('was not written');
    expect(await broken('STORE_DISK_FULL').begin(3)).toContain('was not written');
  });
});
