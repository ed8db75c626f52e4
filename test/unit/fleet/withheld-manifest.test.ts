import { describe, expect, it } from 'vitest';
import { FleetKeeper } from '../../../src/fleet/fleet-keeper.ts';
import type { FleetTime } from '../../../src/fleet/fleet-time.ts';
import type { Manifest } from '../../../src/fleet/manifest.ts';
import type { ManifestFile } from '../../../src/fleet/manifest-file.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  hashOf,
  idOf,
  network,
  platformList,
  START_MS,
} from '../../support/fleet-world.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const permits = (...names: readonly string[]) => ({
  trustHashes: names
    .map((name) => ({ hash: hashOf(name), since: START_MS }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1)),
});
const issuedAtMs = START_MS + 3 * DELAY_MS;
const now = issuedAtMs + DELAY_MS;
const former = world.issue(permits('section'), {}, { revoked: platformList('stolen') });
const withheld = world.issue({}, { serial: 3, issuedAtMs });
const fileOf = ({ header, parts }: Manifest): ManifestFile => ({ signed: header.signed, ...parts });
const at = (ms: number): FleetTime => ({ nowMs: ms, chainMs: ms });
const keeper = (): FleetKeeper => new FleetKeeper(world.authority, network);

describe('a manifest that nobody gives, whose header a locked node has heard', () => {
  it('does not lock it: the manifest before counts, in whatever order a host lets the two through', () => {
    const [heardFirst, tookFirst] = [keeper(), keeper()];
    heardFirst.note(withheld.header.signed, at(now));
    expect(heardFirst.take(fileOf(former), at(now))).toBe(true);
    tookFirst.take(fileOf(former), at(now));
    tookFirst.note(withheld.header.signed, at(now));
    expect(heardFirst.state).toEqual(tookFirst.state);
    expect(heardFirst.asking(at(now)).trustHashes).toEqual([hashOf('section')]);
    expect(heardFirst.asking(at(now)).revoked).toEqual([idOf('stolen')]);
    expect(heardFirst.state.pending?.awaited?.header.serial).toBe(3);
  });

  it('permits nothing of the one before that was not in force at its date, and ends it once it is here', () => {
    const node = keeper();
    node.note(withheld.header.signed, at(now));
    const late = { trustHashes: [{ hash: hashOf('late'), since: issuedAtMs - 1 }] };
    node.take(fileOf(world.issue(late, { serial: 2, issuedAtMs: issuedAtMs - 1 })), at(now));
    expect(node.asking(at(now + 9 * DELAY_MS)).trustHashes).toEqual([]);
    // An older one than the one that is here stays refused, and so does a header alone.
    expect(codeOf(() => node.take(fileOf(former), at(now)))).toBe('FLEET_SERIAL_OLDER');
    expect(codeOf(() => node.note(former.header.signed, at(now)))).toBe('FLEET_SERIAL_OLDER');
    node.take(fileOf(withheld), at(now));
    expect([node.state.newest?.serial, node.state.pending]).toEqual([3, undefined]);
  });

  it('a header between the two is that of a server that is behind', () => {
    const node = keeper();
    node.note(withheld.header.signed, at(now));
    expect(codeOf(() => node.note(former.header.signed, at(now)))).toBe('FLEET_SERIAL_OLDER');
  });

  it('an open node believes what the one between takes away, and nothing that it permits', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(former), at(START_MS));
    expect(node.granting(at(now)).trustHashes).toEqual([hashOf('section')]);
    node.note(withheld.header.signed, at(now));
    node.take(fileOf(world.issue(permits('other'), { serial: 2, issuedAtMs })), at(now + 1));
    expect(node.granting(at(now + 9 * DELAY_MS)).trustHashes).toEqual([]);
  });

  it('what is here has a name, so that no source sends it again at each look', () => {
    const [node, source] = [keeper(), keeper()];
    for (const one of [node, source]) one.take(fileOf(former), at(now));
    const before = node.known();
    node.note(withheld.header.signed, at(now));
    expect(node.known()).toEqual(before);
    expect(node.known()).toEqual(source.known());
    source.take(fileOf(withheld), at(now));
    expect(node.known()).not.toEqual(source.known());
  });
});

describe('a new node that gets its first manifest late', () => {
  const openedMs = START_MS + 2 * DELAY_MS;
  const gets = (afterMs: number): FleetKeeper => {
    const node = keeper();
    node.open(undefined, at(openedMs), true);
    node.take(fileOf(former), at(openedMs + afterMs));
    return node;
  };

  it('takes it without a delay within a day', () => {
    expect(gets(DELAY_MS).enrolling(at(openedMs + DELAY_MS)).trustHashes).toEqual([hashOf('section')]);
  });

  it('waits for the delay from then on: keys that were stolen later are no part of its birth', () => {
    const lateMs = DELAY_MS + 1;
    const node = gets(lateMs);
    expect(node.enrolling(at(openedMs + lateMs)).trustHashes).toEqual([]);
    expect(node.enrolling(at(openedMs + lateMs + DELAY_MS)).trustHashes).toEqual([hashOf('section')]);
  });

  it('a clock that was set back after the birth changes nothing', () => {
    const node = keeper();
    node.open(undefined, at(openedMs), true);
    const chainMs = openedMs + DELAY_MS + 1;
    const time = { nowMs: START_MS, chainMs };
    node.take(fileOf(former), time);
    expect(node.enrolling(time).trustHashes).toEqual([]);
  });
});
