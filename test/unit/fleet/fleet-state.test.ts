import { describe, expect, it } from 'vitest';
import { judgeFirstManifest, MAX_FIRST_MANIFEST_AGE_MS } from '../../../src/fleet/first-manifest.ts';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import {
  type FleetState,
  newestHeader,
  noteHeader,
  signersNow,
  takeManifest,
  underSection,
} from '../../../src/fleet/fleet-state.ts';
import { verifyHeader } from '../../../src/fleet/verify-header.ts';
import {
  AuthorityWorld,
  freshState,
  HOUR_MS,
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

  it('an older one is refused, also while the newer manifest is not here', () => {
    const state = seen(seen(empty, first, START_MS), second, START_MS);
    expect(codeOf(() => note(state, first))).toBe('FLEET_SERIAL_OLDER');
    expect(codeOf(() => note(note(empty, second).state, first))).toBe('FLEET_SERIAL_OLDER');
  });

  it('a number without signatures is nothing', () => {
    const hint = world.sign(world.header({ serial: 900 }), 1);
    expect(codeOf(() => noteHeader(empty, hint, START_MS))).toBe('FLEET_SIGNATURES_TOO_FEW');
  });

  it('a manifest that nobody announced, or another one than was announced, is not taken', () => {
    expect(takeManifest(empty, first, START_MS)).toBe(empty);
    const waiting = note(empty, second).state;
    expect(takeManifest(waiting, first, START_MS)).toBe(waiting);
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

describe('authorities', () => {
  const next = new AuthorityWorld('next');
  const { id, threshold, keys } = next.authority;
  const handover = world.issue(
    { kind: 'handover', version: 1, successor: { id, threshold, keys } },
    { serial: LAST_SERIAL },
  );
  const before = seen(empty, first, START_MS);
  const after = seen(before, handover, START_MS);
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
    const other = new AuthorityWorld('thief').authority;
    const stolen = world.issue(
      { kind: 'handover', version: 1, successor: { id: other.id, threshold: 2, keys: other.keys } },
      { serial: LAST_SERIAL },
    );
    expect(codeOf(() => note(after, stolen))).toBe('FLEET_AUTHORITY_OTHER');
    // Before it is taken, two of them contradict each other and neither counts.
    const conflict = note(note(before, handover).state, stolen).state;
    expect(takeManifest(conflict, handover, START_MS)).toBe(conflict);
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
    const self = world.issue(
      { kind: 'handover', version: 1, successor: { id: world.authority.id, threshold, keys } },
      { serial: 5 },
    );
    const noted = note(empty, self);
    expect(codeOf(() => takeManifest(noted.state, self, START_MS))).toBe('FLEET_BODY_MALFORMED');
    const back = next.issue(
      {
        kind: 'handover',
        version: 1,
        successor: { id: world.authority.id, threshold: 1, keys: world.authority.keys },
      },
      { serial: 2 },
    );
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
    ['further ahead', START_MS + 24 * HOUR_MS + 1, 'FLEET_AGE_REFUSED'],
  ])('%s', (_, issuedAtMs, code) => {
    expect(codeOf(() => judgeFirstManifest(header(issuedAtMs), START_MS))).toBe(code);
  });
});
