import { describe, expect, it } from 'vitest';
import { judgeFirstManifest, MAX_FIRST_MANIFEST_AGE_MS } from '../../../src/fleet/first-manifest.ts';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import {
  type FleetState,
  MAX_SERIAL_STEP,
  newestHeader,
  noteHeader,
  settled,
  takeManifest,
  underSection,
} from '../../../src/fleet/fleet-state.ts';
import { signersNow } from '../../../src/fleet/succession.ts';
import { verifyHeader } from '../../../src/fleet/verify-header.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  freshState,
  HOUR_MS,
  handedOver,
  hashOf,
  network,
  START_MS,
  seen,
} from '../../support/fleet-world.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const empty = freshState(world);
const since = START_MS;
const first = world.issue({ trustHashes: [{ hash: hashOf('one'), since }] });
const second = world.issue(
  { trustHashes: [{ hash: hashOf('two'), since }] },
  { serial: 2, previous: first.header.hash },
);
const twin = world.issue({ trustHashes: [{ hash: hashOf('twin'), since }] }, { serial: 2 });
const third = world.issue({}, { serial: 3 });
const note = (state: FleetState, manifest: typeof first, nowMs = START_MS) =>
  noteHeader(state, manifest.header.signed, nowMs);

describe('serials', () => {
  it('a newer header is awaited, and its manifest taken', () => {
    const noted = note(empty, first);
    expect(noted.finding).toBe('newer');
    expect(noted.state.newest).toBeUndefined();
    expect(noted.state.pending?.awaited?.isSameAs(first.header)).toBe(true);
    const taken = takeManifest(noted.state, first, START_MS);
    expect(taken.newest).toBe(first);
    expect(taken.pending).toBeUndefined();
  });

  it('the newest one is known, with or without its manifest', () => {
    expect(note(note(empty, first).state, first).finding).toBe('known');
    expect(note(seen(empty, first, START_MS), first).finding).toBe('known');
  });

  it('an older one is refused; while the newer manifest is not here, one that is newer than what is here is late', () => {
    const state = seen(seen(empty, first, START_MS), second, START_MS);
    expect(codeOf(() => note(state, first))).toBe('FLEET_SERIAL_OLDER');
    const waiting = note(empty, second).state;
    expect(note(waiting, first)).toMatchObject({ finding: 'late', state: waiting });
    expect(codeOf(() => note(seen(waiting, first, START_MS), first))).toBe('FLEET_SERIAL_OLDER');
  });

  it('a number without signatures is nothing', () => {
    const hint = world.sign(world.header({ serial: 900 }), 1);
    expect(codeOf(() => noteHeader(empty, hint, START_MS))).toBe('FLEET_SIGNATURES_TOO_FEW');
  });

  it('a manifest that nobody announced, or another one than was announced, is not taken', () => {
    expect(takeManifest(empty, first, START_MS)).toBe(empty);
    const waiting = note(empty, second).state;
    expect(takeManifest(waiting, twin, START_MS)).toBe(waiting);
  });

  it('a manifest of the same serial changes nothing that was taken; a higher serial ends the conflict', () => {
    const state = seen(empty, second, START_MS);
    const conflict = note(state, twin);
    expect(conflict.finding).toBe('conflict');
    expect(conflict.state.newest).toBe(second);
    expect(conflict.state.pending?.conflicting?.isSameAs(twin.header)).toBe(true);
    expect(takeManifest(conflict.state, twin, START_MS)).toBe(conflict.state);
    const ended = seen(conflict.state, third, START_MS);
    expect(ended.newest).toBe(third);
    expect(ended.pending).toBeUndefined();
  });

  it('of two headers of one serial without manifests, neither is taken, in any order', () => {
    for (const [one, other] of [
      [second, twin],
      [twin, second],
    ] as const) {
      const conflict = note(note(empty, one).state, other);
      expect(conflict.finding).toBe('conflict');
      expect(newestHeader(conflict.state)?.isSameAs(one.header)).toBe(true);
      expect(takeManifest(conflict.state, one, START_MS)).toBe(conflict.state);
      expect(takeManifest(conflict.state, other, START_MS)).toBe(conflict.state);
      // To see the first one again does not end it.
      const again = note(conflict.state, one);
      expect(again.finding).toBe('known');
      expect(again.state.pending?.conflicting?.isSameAs(other.header)).toBe(true);
      expect(seen(again.state, third, START_MS).newest).toBe(third);
    }
  });

  it('new trust stops at the first sight of what stops it, not at the last', () => {
    const conflict = note(seen(empty, second, START_MS), twin, START_MS + 1);
    const later = note(conflict.state, third, START_MS + HOUR_MS);
    expect(later.state.pending).toMatchObject({ sinceMs: START_MS + 1, conflicting: undefined });
  });

  it('what stood in the manifest before keeps its first sight; what left it loses it', () => {
    const entry = { hash: hashOf('one'), since };
    const more = world.issue(
      { trustHashes: [entry, { hash: hashOf('more'), since }].sort((a, b) => (a.hash < b.hash ? -1 : 1)) },
      { serial: 2 },
    );
    const back = world.issue({ trustHashes: [entry] }, { serial: 4 });
    const one = seen(empty, first, START_MS);
    const two = seen(one, more, START_MS + 5);
    expect(Object.fromEntries(two.firstSeen)).toEqual({
      [`trust-hash ${hashOf('one')}`]: START_MS,
      [`trust-hash ${hashOf('more')}`]: START_MS + 5,
    });
    const four = seen(seen(two, third, START_MS + 6), back, START_MS + 7);
    expect(Object.fromEntries(four.firstSeen)).toEqual({ [`trust-hash ${hashOf('one')}`]: START_MS + 7 });
  });
});

describe('how far a serial may go', () => {
  const jump = (from: number, by: number) => world.issue({}, { serial: from + by });

  it('is 2^20 above the newest one, or above the minimum: a thief cannot use the serials up', () => {
    expect(codeOf(() => note(empty, jump(1, MAX_SERIAL_STEP)))).toBe('none');
    expect(codeOf(() => note(empty, jump(1, MAX_SERIAL_STEP + 1)))).toBe('FLEET_SERIAL_TOO_HIGH');
    expect(codeOf(() => note(empty, world.issue({}, { serial: LAST_SERIAL - 1 })))).toBe(
      'FLEET_SERIAL_TOO_HIGH',
    );
    const state = seen(empty, jump(1, 500), START_MS);
    expect(codeOf(() => note(state, jump(501, MAX_SERIAL_STEP)))).toBe('none');
    expect(codeOf(() => note(state, jump(501, MAX_SERIAL_STEP + 1)))).toBe('FLEET_SERIAL_TOO_HIGH');
    // A header without its body counts as well.
    expect(codeOf(() => note(note(empty, jump(1, 500)).state, jump(501, MAX_SERIAL_STEP)))).toBe('none');
  });
});

describe('authorities', () => {
  const next = new AuthorityWorld('next');
  const { id, threshold, keys } = next.authority;
  const handover = world.handover(next.authority);
  const before = seen(empty, first, START_MS);
  const after = handedOver(before, handover, START_MS);
  const nextFirst = next.issue({}, { previous: handover.header.hash });

  it('another authority signs only after a handover', () => {
    expect(codeOf(() => note(before, nextFirst))).toBe('FLEET_AUTHORITY_OTHER');
    expect(note(after, nextFirst).finding).toBe('newer');
  });

  it('a handover changes nothing that is in force', () => {
    expect(after.newest).toBe(first);
    expect(after.firstSeen).toEqual(before.firstSeen);
    expect(signersNow(after).signers).toEqual({ id, threshold, keys });
  });

  it('after the handover the former authority signs nothing more', () => {
    expect(codeOf(() => note(after, third))).toBe('FLEET_AUTHORITY_OTHER');
    const stolen = world.handover(new AuthorityWorld('thief').authority);
    expect(codeOf(() => note(after, stolen))).toBe('FLEET_AUTHORITY_OTHER');
  });

  it('a handover waits for the delay, by the time of the chain; meanwhile the authority signs', () => {
    const waiting = seen(before, handover, START_MS);
    const at = (nowMs: number, chainMs: number): FleetState =>
      settled(waiting, { nowMs, chainMs }, 'own-sight');
    expect(at(START_MS + 9 * DELAY_MS, START_MS + DELAY_MS - 1)).toBe(waiting);
    expect(at(START_MS + DELAY_MS, START_MS + DELAY_MS).handovers).toEqual([handover]);
    expect(codeOf(() => note(waiting, nextFirst))).toBe('FLEET_AUTHORITY_OTHER');
    expect(seen(waiting, second, START_MS + 1).newest).toBe(second);
    // To be seen again does not begin the delay again.
    expect(seen(waiting, handover, START_MS + 1)).toEqual(waiting);
  });

  it('a node without memory counts the delay of a handover from its date', () => {
    const late = world.handover(next.authority, { issuedAtMs: START_MS + DELAY_MS });
    const waiting = seen(before, late, START_MS);
    const at = (chainMs: number): number =>
      settled(waiting, { nowMs: START_MS, chainMs }, 'issue').handovers.length;
    expect([at(START_MS + 2 * DELAY_MS - 1), at(START_MS + 2 * DELAY_MS)]).toEqual([0, 1]);
  });

  it('two handovers contradict each other: none takes effect, and the authority goes on signing', () => {
    const stolen = world.handover(new AuthorityWorld('thief').authority);
    for (const [one, other] of [
      [handover, stolen],
      [stolen, handover],
    ] as const) {
      const both = seen(seen(before, one, START_MS), other, START_MS + 1);
      expect(handedOver(both, one, START_MS + 2).handovers).toEqual([]);
      expect(seen(both, second, START_MS + 2).newest).toBe(second);
    }
  });

  it('the header of a handover without its body stops nothing', () => {
    const noted = note(before, handover);
    expect(noted.finding).toBe('handover');
    expect(noted.state).toBe(before);
  });

  it('the serial of a handover is for handovers alone, and a handover has no other', () => {
    expect(codeOf(() => world.issue({}, { serial: LAST_SERIAL }))).toBe('FLEET_BODY_MALFORMED');
    expect(codeOf(() => world.handover(next.authority, { serial: 5 }))).toBe('FLEET_BODY_MALFORMED');
  });

  it('a header that the former authority announced is dropped by the handover', () => {
    const announced = note(seen(before, handover, START_MS), second).state;
    const over = settled(announced, { nowMs: 0, chainMs: START_MS + DELAY_MS }, 'own-sight');
    expect(over.pending).toBeUndefined();
  });

  it('the first manifest of the successor names the handover', () => {
    const elsewhere = next.issue({}, { previous: first.header.hash });
    expect(codeOf(() => note(after, elsewhere))).toBe('FLEET_PREDECESSOR_OTHER');
    expect(note(after, next.issue({}, { serial: 2 })).finding).toBe('newer');
    expect(codeOf(() => note(seen(after, nextFirst, START_MS), elsewhere))).toBe('FLEET_PREDECESSOR_OTHER');
  });

  it('the serials of the successor begin anew, and order its manifests', () => {
    const state = seen(seen(after, nextFirst, START_MS), next.issue({}, { serial: 2 }), START_MS);
    expect(state.newest?.serial).toBe(2);
    expect(codeOf(() => note(state, nextFirst))).toBe('FLEET_SERIAL_OLDER');
  });

  it('an authority does not return', () => {
    const self = world.handover({ ...next.authority, id: world.authority.id });
    const noted = note(empty, self);
    expect(codeOf(() => takeManifest(noted.state, self, START_MS))).toBe('FLEET_BODY_MALFORMED');
    const back = next.handover(world.authority);
    const waiting = note(after, back);
    expect(codeOf(() => takeManifest(waiting.state, back, START_MS))).toBe('FLEET_BODY_MALFORMED');
  });

  it('a section that names the successor goes on where the node is', () => {
    const state = seen(after, nextFirst, START_MS);
    const moved = underSection(state, next.authority);
    expect(moved.newest).toBe(nextFirst);
    expect(moved.handovers).toEqual([]);
    expect(codeOf(() => note(moved, nextFirst))).toBe('none');
    const awaiting = underSection(note(after, nextFirst).state, next.authority);
    expect(awaiting.pending?.awaited?.isSameAs(nextFirst.header)).toBe(true);
  });

  it('a section that names another authority keeps what is in force, until that authority has a manifest', () => {
    const waiting = note(before, second).state;
    const moved = underSection(waiting, next.authority);
    expect(moved.newest).toBe(first);
    expect(moved.pending).toBeUndefined();
    expect(codeOf(() => note(moved, second))).toBe('FLEET_AUTHORITY_OTHER');
    expect(seen(moved, nextFirst, START_MS).newest).toBe(nextFirst);
  });

  it('a section that names the successor keeps what its keys announced; another one does not', () => {
    const third = new AuthorityWorld('third').authority;
    const offered = seen(after, next.handover(third), START_MS);
    expect(underSection(offered, next.authority).offered?.manifest.body).toMatchObject({ kind: 'handover' });
    expect(underSection(seen(before, handover, START_MS), third).offered).toBeUndefined();
  });

  describe('a fleet that moves to a section of another authority and back', () => {
    const other = new AuthorityWorld('other way');
    const otherFirst = other.issue({}, { issuedAtMs: START_MS + DELAY_MS });
    const there = seen(underSection(seen(before, second, START_MS), other.authority), otherFirst, START_MS);
    const back = underSection(there, world.authority);

    it('takes nothing that the authority signed the first time', () => {
      for (const old of [first, second]) expect(codeOf(() => note(back, old))).toBe('FLEET_SERIAL_OLDER');
      expect(note(back, third).finding).toBe('newer');
      expect(codeOf(() => note(underSection(back, other.authority), otherFirst))).toBe('none');
    });

    it('counts the delay from the sight of an entry this time', () => {
      const again = world.issue({ trustHashes: [{ hash: hashOf('two'), since }] }, { serial: 3 });
      const state = seen(back, again, START_MS + 5 * DELAY_MS);
      expect([...state.firstSeen.values()]).toEqual([START_MS + 5 * DELAY_MS]);
    });

    it('remembers the highest serial, also of a header whose body never came', () => {
      const announced = note(seen(before, second, START_MS), world.issue({}, { serial: 9 })).state;
      const returned = underSection(underSection(announced, other.authority), world.authority);
      const after = seen(returned, world.issue({}, { serial: 9 }), START_MS);
      expect(returned.formerSerials.get(world.authority.id)).toBe(9);
      expect(after.newest?.serial).toBe(9);
    });
  });

  it('a section of the same authority keeps everything, under the new keys and delay', () => {
    const changed = { ...world.authority, delayMs: 1 };
    expect(underSection(after, changed)).toEqual({ ...after, authority: changed });
  });
});

describe('the first manifest of a new node', () => {
  const header = (issuedAtMs: number) =>
    verifyHeader(world.sign(world.header({ issuedAtMs })), { ...world.rules, network });

  it.each([
    ['issued now', START_MS, 'none'],
    ['as old as permitted', START_MS - MAX_FIRST_MANIFEST_AGE_MS, 'none'],
    ['older', START_MS - MAX_FIRST_MANIFEST_AGE_MS - 1, 'FLEET_AGE_REFUSED'],
    ['a day ahead', START_MS + 24 * HOUR_MS, 'none'],
    ['further ahead', START_MS + 24 * HOUR_MS + 1, 'FLEET_ISSUED_AHEAD'],
  ])('%s', (_, issuedAtMs, code) => {
    expect(codeOf(() => judgeFirstManifest(header(issuedAtMs), START_MS))).toBe(code);
  });
});
