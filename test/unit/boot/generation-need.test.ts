import { describe, expect, it } from 'vitest';
import { GenerationNeed } from '../../../src/boot/heal/generation-need.ts';
import type { CheckedSlot } from '../../../src/boot/heal/slot-check.ts';
import { contradicted, SuspectedServers } from '../../../src/boot/heal/suspected-servers.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import type { Enrolment } from '../../../src/boot/obtain/enrolment.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import { checkedAt, processAt, serverAt } from '../../support/checked-slots.ts';

const PATIENCE_MS = 1_000;
const HOUR_MS = 3_600_000;
const quorum = { t: 2, n: 4 };
type Standing = Parameters<typeof checkedAt>[1];
const checkOf = (...standings: readonly Standing[]) => ({
  checked: standings.map((standing, index) => checkedAt(index + 1, standing)),
});
const allLive = checkOf('live', 'live', 'live', 'live');
const numbersOf = (servers: readonly Uint8Array[] | undefined) => (servers ?? []).map((one) => one[0]);
/** Servers that have just given a key, as the process that issued their slots, or another one. */
const grantsOf = (servers: readonly number[], process = 100) =>
  servers.map((number) => ({ server: serverAt(number), instanceId: processAt(process) }));
const enrolmentOf = (servers: readonly number[], process?: number, unlinked: readonly number[] = []) =>
  ({ servers: grantsOf(servers, process), unlinked: grantsOf(unlinked) }) as unknown as Enrolment;

/** A node with a generation of the slots of a check, and a clock. */
function scene(newest: object = {}, quorumOfNewest = quorum) {
  const clock = { atMs: 1_000_000, nowMs: () => clock.atMs };
  const suspected = new SuspectedServers();
  const generation = {
    ...quorumOfNewest,
    slots: allLive.checked.map(({ slot }) => slot),
    custody: undefined,
    ...newest,
  };
  const node = { book: { newest: generation } } as unknown as OpenNode;
  const events: string[] = [];
  const need = new GenerationNeed(
    {
      clock: clock as never,
      log: (_level, event) => void events.push(event),
      patienceMs: PATIENCE_MS,
      suspected,
    },
    node,
  );
  /** Looks, waits so long, looks again, and says whether new slots are needed. */
  const isNeededAfter = (check: { checked: readonly CheckedSlot[] }, waitMs: number) => {
    need.note(check);
    clock.atMs += waitMs;
    need.note(check);
    return need.isNeeded(check, quorum);
  };
  return { need, clock, suspected, events, isNeededAfter };
}

describe('new slots are needed', () => {
  it('where there are none, too few, or others than the network asks for', () => {
    expect(scene().need.isNeeded(allLive, quorum)).toBe(false);
    const without = new GenerationNeed(
      {
        clock: { nowMs: () => 0 } as never,
        log: () => undefined,
        patienceMs: PATIENCE_MS,
        suspected: new SuspectedServers(),
      },
      { book: { newest: undefined } } as unknown as OpenNode,
    );
    expect(without.isNeeded({ checked: [] }, quorum)).toBe(true);
    expect(
      scene({ slots: allLive.checked.slice(1).map(({ slot }) => slot) }).need.isNeeded(allLive, quorum),
    ).toBe(true);
    expect(scene({}, { t: 3, n: 4 }).need.isNeeded(allLive, quorum)).toBe(true);
    expect(scene({}, { t: 2, n: 3 }).need.isNeeded(allLive, quorum)).toBe(true);
  });

  it('at once where a server left the chain, or gave a wrong key', () => {
    expect(scene().isNeededAfter(checkOf('live', 'live', 'live', 'departed'), 0)).toBe(true);
    expect(scene().isNeededAfter(checkOf('live', 'live', 'live', 'lied'), 0)).toBe(true);
  });

  it('where a server was silent for longer than the patience, and not before', () => {
    for (const standing of ['unreachable', 'asked'] as const) {
      const check = checkOf('live', 'live', 'live', standing);
      expect(scene().isNeededAfter(check, PATIENCE_MS - 1)).toBe(false);
      expect(scene().isNeededAfter(check, PATIENCE_MS)).toBe(true);
    }
  });

  it('at once where a server says that it forgot, and later each time that it says so again', () => {
    const check = checkOf('live', 'live', 'live', 'forgot');
    const { need, isNeededAfter } = scene();
    expect(isNeededAfter(check, 0)).toBe(true);
    need.replaced(check.checked);
    expect(isNeededAfter(check, 0)).toBe(false);
    expect(isNeededAfter(check, PATIENCE_MS - 1)).toBe(false);
    expect(isNeededAfter(check, 1)).toBe(true);
  });

  it('at once where a server forgot and no slot is to spare, however often it said so', () => {
    const check = checkOf('live', 'live', 'forgot', 'unreachable');
    const { need, isNeededAfter } = scene();
    need.replaced(check.checked);
    expect(isNeededAfter(check, 0)).toBe(true);
    const spare = checkOf('live', 'live', 'forgot', 'live');
    expect(isNeededAfter(spare, 0)).toBe(false);
  });

  it('where a server drains, at once the first time and only after the patience the second time', () => {
    const check = checkOf('live', 'live', 'live', 'draining');
    const { need, isNeededAfter } = scene();
    expect(isNeededAfter(check, 0)).toBe(true);
    need.replaced(check.checked);
    isNeededAfter(allLive, 0);
    expect(isNeededAfter(check, PATIENCE_MS - 1)).toBe(false);
    expect(isNeededAfter(check, 1)).toBe(true);
  });

  it('for a server that says it forgot what it provably holds only after its silence, longer each time', () => {
    const check = checkOf('live', 'live', 'live', 'forgot');
    const { suspected, isNeededAfter } = scene();
    suspected.learn(check.checked, grantsOf([4]));
    expect(isNeededAfter(check, PATIENCE_MS - 1)).toBe(false);
    expect(isNeededAfter(check, 1)).toBe(true);
    suspected.taken(grantsOf([4]) as never);
    expect(isNeededAfter(check, PATIENCE_MS - 1)).toBe(false);
    expect(isNeededAfter(check, 1)).toBe(true);
  });
});

describe('the wish for a new generation', () => {
  const servers = [1, 2, 3, 4, 5].map((number) => ({ account: serverAt(number) }));
  const snapshot = { servers } as unknown as ChainSnapshot;

  it('keeps live servers, asks the unproved ones last, and those that drain not at all', () => {
    const { need } = scene();
    const wish = need.wish(checkOf('live', 'draining', 'unreachable', 'forgot'), snapshot, quorum, 2);
    expect(numbersOf(wish.enrolled)).toEqual([1]);
    // A server that restarted keeps its rank.
    expect(numbersOf(wish.last)).toEqual([3]);
    expect(numbersOf(wish.draining)).toEqual([2]);
  });

  it('asks a server last that denies what it holds, and one that was left a short time ago', () => {
    const { need, suspected, clock } = scene();
    const check = checkOf('live', 'draining', 'live', 'forgot');
    suspected.learn(check.checked, grantsOf([4]));
    expect(numbersOf(need.wish(check, snapshot, quorum, 3).last)).toEqual([4]);
    need.replaced(check.checked);
    expect(numbersOf(need.wish(allLive, snapshot, quorum, 4).last)).toEqual([2, 4]);
    clock.atMs += HOUR_MS;
    expect(numbersOf(need.wish(allLive, snapshot, quorum, 4).last)).toEqual([]);
  });

  it('is worthwhile with t servers, with more than live, with one more than stay, and never needs more than n', () => {
    const { need } = scene();
    const worth = (check: { checked: readonly CheckedSlot[] }, live: number) =>
      need.wish(check, snapshot, quorum, live).worthwhile;
    expect(worth(checkOf('forgot', 'forgot', 'forgot', 'forgot'), 0)).toBe(2);
    expect(worth(checkOf('live', 'live', 'forgot', 'forgot'), 2)).toBe(3);
    expect(worth(checkOf('live', 'live', 'draining', 'draining'), 4)).toBe(4);
    expect(worth(allLive, 4)).toBe(4);
  });
});

describe('a generation is doubtful', () => {
  it('the first time that a process gives a key although it denied one', () => {
    const { need, events } = scene();
    const check = checkOf('live', 'live', 'live', 'forgot');
    expect(need.isDoubtful(check, enrolmentOf([1, 2, 3]), quorum)).toBe(false);
    // Another process proves that the memory is gone.
    expect(need.isDoubtful(check, enrolmentOf([1, 2, 3, 4], 101), quorum)).toBe(false);
    expect(need.isDoubtful(check, enrolmentOf([1, 2, 3, 4]), quorum)).toBe(true);
    expect(events).toEqual(['slot.doubted']);
    // It is known now, and n servers gave a key.
    expect(need.isDoubtful(check, enrolmentOf([1, 2, 3, 4]), quorum)).toBe(false);
    expect(need.isDoubtful(check, enrolmentOf([1, 2, 4]), quorum)).toBe(true);
  });

  it('also when the key was not linked', () => {
    const check = checkOf('live', 'live', 'live', 'forgot');
    expect(scene().need.isDoubtful(check, enrolmentOf([1, 2, 3], 100, [4]), quorum)).toBe(true);
  });
});

describe('a clock that is set', () => {
  /** A scene whose clock the host sets ahead by so much, beside the time that passes. */
  function settable() {
    const one = scene();
    const set = { aheadMs: 0 };
    Object.assign(one.clock, {
      nowMs: () => one.clock.atMs + set.aheadMs,
      monotonicMs: () => one.clock.atMs,
    });
    return { ...one, set };
  }

  it('ahead when a server falls silent, and back, does not hold its replacement off', () => {
    const { set, need, isNeededAfter } = settable();
    const check = checkOf('live', 'live', 'live', 'unreachable');
    set.aheadMs = 24 * HOUR_MS;
    need.note(check);
    set.aheadMs = 0;
    expect(isNeededAfter(check, PATIENCE_MS)).toBe(true);
  });

  it('ahead does not make a server look silent for long, nor a repeated claim old', () => {
    const { set, need, isNeededAfter } = settable();
    const silent = checkOf('live', 'live', 'live', 'unreachable');
    need.note(silent);
    set.aheadMs = 24 * HOUR_MS;
    expect(need.isNeeded(silent, quorum)).toBe(false);
    const forgot = checkOf('live', 'live', 'live', 'forgot');
    need.replaced(forgot.checked);
    set.aheadMs = 72 * HOUR_MS;
    expect(isNeededAfter(forgot, 0)).toBe(false);
  });
});

describe('the news of a check', () => {
  it('are logged once: a slot that does not live, and a server that drains', () => {
    const { need, events } = scene();
    const check = checkOf('live', 'draining', 'unreachable', 'asked');
    need.note(check);
    need.note(check);
    expect(events).toEqual(['slot.lost', 'slot.lost', 'server.draining']);
  });
});

describe('servers that are doubted', () => {
  const check = checkOf('live', 'live', 'live', 'forgot');
  const [, , , forgotten] = check.checked;
  if (forgotten === undefined) throw new Error('no slot');
  const { slot } = forgotten;

  it('are those whose process gave another key, not those that live or gave a wrong one', () => {
    expect(contradicted(check.checked, grantsOf([1, 2, 3, 4])).map(({ slotId }) => slotId[0])).toEqual([4]);
    expect(contradicted(check.checked, grantsOf([4], 101))).toEqual([]);
    expect(contradicted(check.checked, grantsOf([3]))).toEqual([]);
    expect(contradicted(checkOf('lied').checked, grantsOf([1]))).toEqual([]);
  });

  it('are doubted as the process that they were, until all of their slots live', () => {
    const suspected = new SuspectedServers();
    expect(suspected.covers(slot)).toBe(false);
    expect(numbersOf(suspected.learn(check.checked, grantsOf([4])))).toEqual([4]);
    expect(suspected.learn(check.checked, grantsOf([4]))).toEqual([]);
    expect(suspected.covers(slot)).toBe(true);
    expect(suspected.covers({ ...slot, instanceId: processAt(101) })).toBe(false);
    suspected.clear([checkedAt(4, 'live'), checkedAt(5, 'forgot', 4)]);
    expect(suspected.covers(slot)).toBe(true);
    suspected.clear([checkedAt(4, 'live'), checkedAt(5, 'forgot')]);
    expect(suspected.covers(slot)).toBe(false);
  });

  it('may be silent for twice as long each time, 1,024 times as long at most; others as before', () => {
    const suspected = new SuspectedServers();
    suspected.learn(check.checked, grantsOf([4]));
    const factors = Array.from({ length: 13 }, () => {
      const factor = suspected.patienceFactor(slot);
      suspected.taken(grantsOf([3, 4]) as never);
      return factor;
    });
    expect(factors).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_024, 1_024]);
    expect(suspected.patienceFactor(checkedAt(3, 'live').slot)).toBe(1);
  });
});
