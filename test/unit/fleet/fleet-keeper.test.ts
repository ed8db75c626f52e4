import { describe, expect, it } from 'vitest';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import { FleetKeeper } from '../../../src/fleet/fleet-keeper.ts';
import { decodeFleetState, encodeFleetState } from '../../../src/fleet/fleet-record.ts';
import { noteHeader } from '../../../src/fleet/fleet-state.ts';
import type { FleetTime } from '../../../src/fleet/in-force.ts';
import type { Manifest } from '../../../src/fleet/manifest.ts';
import type { ManifestFile } from '../../../src/fleet/manifest-file.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  freshState,
  hashOf,
  idOf,
  network,
  platformList,
  START_MS,
  seen,
} from '../../support/fleet-world.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const since = START_MS;
const first = world.issue(
  { trustHashes: [{ hash: hashOf('section'), since }] },
  {},
  { endorsed: platformList('a'), revoked: platformList('b') },
);
const second = world.issue({}, { serial: 2 });
const fileOf = ({ header, parts }: Manifest): ManifestFile => ({ signed: header.signed, ...parts });
const at = (ms: number): FleetTime => ({ nowMs: ms, chainMs: ms });
const keeper = (): FleetKeeper => new FleetKeeper(world.authority, network);
const section = [hashOf('section')];

describe('the record of a state', () => {
  const next = new AuthorityWorld('next');
  const { id, threshold, keys } = next.authority;
  const handover = world.issue(
    { kind: 'handover', version: 1, successor: { id, threshold, keys } },
    { serial: LAST_SERIAL },
  );
  const taken = seen(freshState(world), first, START_MS);
  const overtaken = seen(seen(taken, handover, START_MS), next.issue({}, { serial: 4 }), START_MS);

  it.each([
    ['nothing', freshState(world)],
    ['a manifest with documents', taken],
    ['a newer header', noteHeader(taken, second.header.signed, START_MS + 1).state],
    ['a conflict', noteHeader(taken, world.issue({}).header.signed, START_MS + 1).state],
    ['a handover and a manifest of the successor', overtaken],
  ])('keeps %s', (_, state) => {
    expect(decodeFleetState(encodeFleetState(state), network)).toEqual(state);
  });

  it('is refused when it is altered or for another network', () => {
    const text = Buffer.from(encodeFleetState(taken)).toString();
    const altered = Buffer.from(text.replace('"version":1', '"version":2'));
    expect(codeOf(() => decodeFleetState(altered, network))).toBe('FLEET_FILE_MALFORMED');
    expect(codeOf(() => decodeFleetState(encodeFleetState(taken), new Uint8Array(32)))).toBe(
      'FLEET_NETWORK_OTHER',
    );
  });
});

describe('a node', () => {
  it('without memory counts from the date of the authority; what it grants waits from its own sight', () => {
    const node = keeper();
    const now = START_MS + 2 * DELAY_MS;
    expect(node.take(fileOf(first), at(now))).toBe(true);
    expect(node.asking(at(now)).trustHashes).toEqual(section);
    expect(node.granting(at(now)).trustHashes).toEqual([]);
    expect(node.granting(at(now + DELAY_MS)).trustHashes).toEqual(section);
  });

  it('goes on asking the servers that it relied on to open its store, without granting them anything', () => {
    const node = keeper();
    const now = START_MS + 2 * DELAY_MS;
    node.take(fileOf(first), at(now));
    expect(node.open(undefined, at(now))).toEqual({ wasBehind: false });
    expect(node.asking(at(now)).trustHashes).toEqual(section);
    expect(node.enrolling(at(now)).trustHashes).toEqual(section);
    // The bound of age is for the first manifest alone.
    expect(node.enrolling(at(now + 200 * DELAY_MS)).trustHashes).toEqual(section);
    expect(node.granting(at(now)).trustHashes).toEqual([]);
    // What a later manifest takes back is not relied on any more, also when it comes again.
    node.take(fileOf(second), at(now));
    const again = world.issue({ trustHashes: [{ hash: hashOf('section'), since }] }, { serial: 3 });
    node.take(fileOf(again), at(now));
    expect(node.asking(at(now)).trustHashes).toEqual([]);
  });

  it('with an open store takes a new permission only after the delay, whatever date stands in it', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    const now = START_MS + 2 * DELAY_MS;
    node.take(fileOf(first), at(now));
    expect(node.asking(at(now)).trustHashes).toEqual([]);
    expect(node.asking(at(now + DELAY_MS)).trustHashes).toEqual(section);
  });

  it('remembers its first sight over a restart', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), at(START_MS));
    const restarted = keeper();
    restarted.open(node.record(), at(START_MS + DELAY_MS));
    expect(restarted.granting(at(START_MS + DELAY_MS)).trustHashes).toEqual(section);
  });

  it('knows when its store remembers a newer manifest than its sources showed', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), at(START_MS));
    node.take(fileOf(second), at(START_MS));
    const restarted = keeper();
    restarted.take(fileOf(first), at(START_MS));
    expect(restarted.open(node.record(), at(START_MS))).toEqual({ wasBehind: true });
    expect(restarted.state.newest?.serial).toBe(2);
    const upToDate = keeper();
    upToDate.take(fileOf(second), at(START_MS));
    expect(upToDate.open(node.record(), at(START_MS))).toEqual({ wasBehind: false });
  });

  it('that is new takes no manifest that is too old; one that is locked does', () => {
    const late = at(START_MS + 181 * DELAY_MS);
    const node = keeper();
    expect(codeOf(() => node.take(fileOf(first), late))).toBe('none');
    // A locked node asks its servers by it; a new one gives no slot by it.
    expect(node.asking(late).trustHashes).toEqual(section);
    expect(node.enrolling(late)).toMatchObject({ trustHashes: [], endorsed: [], revoked: [idOf('b')] });
    expect(node.enrolling(at(START_MS + DELAY_MS)).trustHashes).toEqual(section);
    node.open(undefined, late);
    expect(node.state.newest).toBeUndefined();
    expect(codeOf(() => node.take(fileOf(first), late))).toBe('FLEET_AGE_REFUSED');
  });

  it('does not read a manifest again that it has: lists are long, and a source may send them for ever', () => {
    const node = keeper();
    node.take(fileOf(first), at(START_MS));
    expect(node.take({ ...fileOf(first), body: new Uint8Array(3) }, at(START_MS))).toBe(false);
  });

  it('that saw an entry while its clock was far ahead does not wait for that time', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), { nowMs: START_MS + 900 * DELAY_MS, chainMs: START_MS });
    const restarted = keeper();
    restarted.open(node.record(), at(START_MS));
    expect(restarted.granting(at(START_MS + DELAY_MS - 1)).trustHashes).toEqual([]);
    expect(restarted.granting(at(START_MS + DELAY_MS)).trustHashes).toEqual(section);
  });

  it('stops new trust at a header whose body is another', () => {
    const node = keeper();
    node.take(fileOf(first), at(START_MS));
    expect(codeOf(() => node.take({ ...fileOf(second), body: new Uint8Array(3) }, at(START_MS)))).toBe(
      'FLEET_BODY_MISMATCH',
    );
    expect(node.state.newest?.serial).toBe(1);
    expect(node.state.pending?.awaited?.header.serial).toBe(2);
    expect(node.files()).toHaveLength(1);
    expect(node.take(fileOf(second), at(START_MS))).toBe(true);
    expect(node.state.newest?.serial).toBe(2);
  });
});
