import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import type { FleetRules } from '../../../src/fleet/fleet-body.ts';
import { type FleetState, noteHeader } from '../../../src/fleet/fleet-state.ts';
import type { DelayFrom, FleetTime } from '../../../src/fleet/fleet-time.ts';
import { inForce } from '../../../src/fleet/in-force.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  fixed,
  freshState,
  HOUR_MS,
  hashOf,
  idOf,
  platformList,
  START_MS,
  seen,
} from '../../support/fleet-world.ts';

const world = new AuthorityWorld();
const empty = freshState(world);
const since = START_MS;
const move = { account: encodeSs58(AccountId.of(fixed('account'))), from: idOf('from'), to: idOf('to') };
const rules: Partial<FleetRules> = {
  trustHashes: [{ hash: hashOf('section'), since }],
  measurements: [{ id: idOf('image'), since }],
  moves: [move],
  minimumTcbEvaluationDataNumber: 18,
  rekey: { id: toPrefixedHex(fixed('rekey', 16)), reason: 'a key was extracted' },
};
const lists = { endorsed: platformList('good', 'bad'), revoked: platformList('bad') };
const manifest = world.issue(rules, {}, lists);

/** Times at which chain and own clock agree. */
const at = (nowMs: number, changes: Partial<FleetTime> = {}): FleetTime => ({
  nowMs,
  chainMs: nowMs,
  ...changes,
});
const hashesAt = (state: FleetState, time: FleetTime, from: DelayFrom = 'own-sight'): readonly string[] =>
  inForce(state, time, from).trustHashes;
const section = [hashOf('section')];

describe('what is in force', () => {
  it('is nothing without a manifest, and nothing while the body of the first is not here', () => {
    const nothing = {
      trustHashes: [],
      measurements: [],
      endorsed: [],
      revoked: [],
      moves: [],
      rekey: undefined,
    };
    expect(inForce(empty, at(START_MS), 'issue')).toMatchObject(nothing);
    const { state } = noteHeader(empty, manifest.header.signed, START_MS);
    expect(inForce(state, at(START_MS + DELAY_MS), 'issue')).toMatchObject(nothing);
  });

  it('before the delay: restrictions, revocations and the request for new keys only', () => {
    const state = seen(empty, manifest, START_MS);
    expect(inForce(state, at(START_MS + DELAY_MS - 1), 'own-sight')).toEqual({
      trustHashes: [],
      measurements: [],
      minimumTcbEvaluationDataNumber: 18,
      endorsed: [],
      revoked: [idOf('bad')],
      moves: [],
      rekey: rules.rekey,
    });
  });

  it('after the delay: everything; revoked beats endorsed', () => {
    const state = seen(empty, manifest, START_MS);
    const now = inForce(state, at(START_MS + DELAY_MS), 'own-sight');
    expect(now).toMatchObject({ trustHashes: section, measurements: [idOf('image')], moves: [move] });
    expect(now.endorsed.map(({ platform }) => platform)).toEqual([idOf('good')]);
  });

  it('a manifest without number requires none', () => {
    expect(inForce(seen(empty, world.issue({}), 0), at(0), 'own-sight').minimumTcbEvaluationDataNumber).toBe(
      0,
    );
  });
});

describe('the delay', () => {
  const seenLate = seen(empty, manifest, START_MS + 10 * DELAY_MS);

  it('counts from the own first sight for what a node grants: a date of the authority does not shorten it', () => {
    expect(hashesAt(seenLate, at(START_MS + 11 * DELAY_MS - 1))).toEqual([]);
    expect(hashesAt(seenLate, at(START_MS + 11 * DELAY_MS))).toEqual(section);
  });

  it('is not over by the own clock alone: the host can set it forward', () => {
    const forward = at(START_MS + 11 * DELAY_MS, { chainMs: START_MS + 11 * DELAY_MS - 1 });
    expect(hashesAt(seenLate, forward)).toEqual([]);
  });

  it('counts from the date of the authority where a node has no memory, by the time of the chain', () => {
    const ahead = at(START_MS + 100 * DELAY_MS, { chainMs: START_MS + DELAY_MS - 1 });
    expect(hashesAt(seenLate, ahead, 'issue')).toEqual([]);
    expect(hashesAt(seenLate, at(0, { chainMs: START_MS + DELAY_MS }), 'issue')).toEqual(section);
  });

  it('does not begin anew with a manifest that repeats an entry, for a node with or without memory', () => {
    const repeated = world.issue(rules, { serial: 2, issuedAtMs: START_MS + 5 * DELAY_MS }, lists);
    const state = seen(seen(empty, manifest, START_MS), repeated, START_MS + 5 * DELAY_MS);
    const now = at(START_MS + 5 * DELAY_MS + 1);
    expect(hashesAt(state, now)).toEqual(section);
    expect(hashesAt(seen(empty, repeated, 0), now, 'issue')).toEqual(section);
  });

  it('a permission that is taken back within the delay never takes effect', () => {
    const revoked = world.issue({}, { serial: 2 });
    const state = seen(seen(empty, manifest, START_MS), revoked, START_MS + DELAY_MS - 1);
    expect(hashesAt(state, at(START_MS + 9 * DELAY_MS))).toEqual([]);
    const again = seen(state, world.issue(rules, { serial: 3 }, lists), START_MS + DELAY_MS);
    expect(hashesAt(again, at(START_MS + 2 * DELAY_MS - 1))).toEqual([]);
  });
});

describe('until', () => {
  const untilMs = START_MS + 5 * DELAY_MS;
  const bounded = world.issue({ trustHashes: [{ hash: hashOf('section'), since, until: untilMs }] });
  const state = seen(empty, bounded, START_MS);

  it('ends by a fresh block of the chain', () => {
    expect(hashesAt(state, at(untilMs - 1))).toEqual(section);
    expect(hashesAt(state, at(untilMs))).toEqual([]);
  });

  it('does not end by the own clock, nor while the chain is silent', () => {
    expect(hashesAt(state, at(untilMs + HOUR_MS, { chainMs: untilMs - 1 }))).toEqual(section);
  });

  it('what has ended does not come back when the host cuts off the chain or sets the clock', () => {
    expect(hashesAt(state, at(untilMs + 30 * DELAY_MS, { chainMs: untilMs }))).toEqual([]);
    expect(hashesAt(state, at(untilMs, { chainMs: untilMs }), 'issue')).toEqual([]);
  });

  it('ends a revocation and an endorsement too', () => {
    const [listed] = platformList('good').platforms;
    if (listed === undefined) throw new TypeError('the list has a platform');
    const short = { version: 1 as const, platforms: [{ ...listed, until: untilMs }] };
    const endorsed = seen(empty, world.issue({}, {}, { endorsed: short }), START_MS);
    expect(inForce(endorsed, at(untilMs - 1), 'own-sight').endorsed).toHaveLength(1);
    expect(inForce(endorsed, at(untilMs), 'own-sight').endorsed).toEqual([]);
    const revoked = seen(empty, world.issue({}, {}, { revoked: short }), START_MS);
    expect(inForce(revoked, at(untilMs - 1), 'own-sight').revoked).toHaveLength(1);
    expect(inForce(revoked, at(untilMs), 'own-sight').revoked).toEqual([]);
  });
});

describe('while a newer manifest is not here, or two contradict each other', () => {
  const state = seen(empty, manifest, START_MS);
  const announce = (serial: number, nowMs: number): FleetState => {
    const other = world.issue({}, { serial, issuedAtMs: nowMs });
    return noteHeader(state, other.header.signed, nowMs).state;
  };

  it.each([
    ['a newer header', 2],
    ['a conflict', 1],
  ])('%s: what was in force stays, nothing new comes', (_, serial) => {
    const inTime = announce(serial, START_MS + DELAY_MS);
    const tooEarly = announce(serial, START_MS + DELAY_MS - 1);
    const later = at(START_MS + 9 * DELAY_MS);
    for (const from of ['own-sight', 'issue'] as const) {
      expect(hashesAt(inTime, later, from)).toEqual(section);
      expect(hashesAt(tooEarly, later, from)).toEqual([]);
    }
    expect(inForce(tooEarly, later, 'own-sight').revoked).toEqual([idOf('bad')]);
  });
});
