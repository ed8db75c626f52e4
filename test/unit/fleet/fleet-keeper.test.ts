import { describe, expect, it } from 'vitest';
import type { Ed25519Signer } from '../../../src/crypto/ed25519.ts';
import { FleetKeeper } from '../../../src/fleet/fleet-keeper.ts';
import { decodeFleetState, encodeFleetState } from '../../../src/fleet/fleet-record.ts';
import { noteHeader, underSection } from '../../../src/fleet/fleet-state.ts';
import type { FleetTime } from '../../../src/fleet/fleet-time.ts';
import type { Manifest } from '../../../src/fleet/manifest.ts';
import type { ManifestFile } from '../../../src/fleet/manifest-file.ts';
import { decodeSignedHeader, encodeSignedHeader } from '../../../src/fleet/signed-header.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  freshState,
  handedOver,
  hashOf,
  idOf,
  network,
  platformList,
  START_MS,
  seen,
  signedBy,
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
  const handover = world.handover(next.authority);
  const taken = seen(freshState(world), first, START_MS);
  const waiting = seen(taken, handover, START_MS);
  const stolen = world.handover(new AuthorityWorld('thief').authority);
  const overtaken = seen(handedOver(taken, handover, START_MS), next.issue({}, { serial: 4 }), START_MS);

  it.each([
    ['nothing', freshState(world)],
    ['a manifest with documents', taken],
    ['a newer header', noteHeader(taken, second.header.signed, START_MS + 1).state],
    ['a conflict', noteHeader(taken, world.issue({}).header.signed, START_MS + 1).state],
    ['a handover and a manifest of the successor', overtaken],
    ['a handover that waits', waiting],
    ['two handovers that contradict each other', seen(waiting, stolen, START_MS)],
    ['the serial of a former authority', underSection(taken, next.authority)],
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
    // A restart is no way around the delay: it gives no slot by a date that the authority wrote.
    expect(node.enrolling(at(now)).trustHashes).toEqual([]);
    expect(node.enrolling(at(now + DELAY_MS)).trustHashes).toEqual(section);
    expect(node.granting(at(now)).trustHashes).toEqual([]);
    // What a later manifest takes back is not relied on any more, also when it comes again.
    node.take(fileOf(second), at(now));
    const again = world.issue({ trustHashes: [{ hash: hashOf('section'), since }] }, { serial: 3 });
    node.take(fileOf(again), at(now));
    expect(node.asking(at(now)).trustHashes).toEqual([]);
  });

  it('goes on asking them after a manifest of the same serial that contradicts the one that it has', () => {
    const node = keeper();
    const now = START_MS + 2 * DELAY_MS;
    node.take(fileOf(first), at(now));
    node.open(undefined, at(now));
    const contradiction = world.issue({});
    node.take(fileOf(contradiction), at(now));
    expect(node.state.pending?.conflicting).toBeDefined();
    expect(node.asking(at(now)).trustHashes).toEqual(section);
  });

  it('that is new goes on with the young manifest that it was born with, and grants nothing by it', () => {
    const now = START_MS + 2 * DELAY_MS;
    const born = (ms: number): FleetKeeper => {
      const node = keeper();
      node.take(fileOf(first), at(ms));
      node.open(undefined, at(ms), true);
      return node;
    };
    const soon = keeper();
    soon.open(undefined, at(now), true);
    soon.take(fileOf(first), at(now));
    expect(soon.enrolling(at(now)).trustHashes).toEqual(section);
    const node = born(now);
    expect(node.enrolling(at(now)).trustHashes).toEqual(section);
    expect(node.granting(at(now)).trustHashes).toEqual([]);
    node.take(fileOf(second), at(now));
    expect(node.enrolling(at(now)).trustHashes).toEqual([]);
    const late = START_MS + 181 * DELAY_MS;
    expect(born(late).enrolling(at(late)).trustHashes).toEqual([]);
    expect(born(late).asking(at(late)).trustHashes).toEqual(section);
  });

  it('is new for one day, also where the host set its clock ahead at its birth, or stops it', () => {
    const now = START_MS + 2 * DELAY_MS;
    const late = now + DELAY_MS + 1;
    // Thieves of keys write what date they want.
    const shown = world.issue({ trustHashes: [{ hash: hashOf('section'), since }] }, { issuedAtMs: now });
    const permitted = (atBirth: FleetTime, atFirst: FleetTime): readonly string[] => {
      const node = keeper();
      node.open(undefined, atBirth, true);
      node.take(fileOf(shown), atFirst);
      return node.enrolling(atFirst).trustHashes;
    };
    expect(permitted({ nowMs: now + 9_999 * DELAY_MS, chainMs: now }, at(late))).toEqual([]);
    expect(permitted(at(now), { nowMs: late, chainMs: now + 1 })).toEqual([]);
    expect(permitted(at(now + 2), at(late))).toEqual(section);
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

  it('waits the whole delay when the host sets its clock back', () => {
    const back = (ms: number): FleetTime => ({ nowMs: 0, chainMs: ms });
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), back(START_MS));
    expect(node.granting(back(START_MS)).trustHashes).toEqual([]);

    // Nor does a restart by such a clock shorten the first sight that the store remembers.
    const restarted = keeper();
    restarted.open(node.record(), back(START_MS + 1));
    expect(restarted.granting(back(START_MS + 1)).trustHashes).toEqual([]);
    expect(restarted.granting(back(START_MS + DELAY_MS)).trustHashes).toEqual(section);
  });

  it('hands over to nobody early when the host sets its clock back', () => {
    const back = (ms: number): FleetTime => ({ nowMs: 0, chainMs: ms });
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), at(START_MS));
    node.take(fileOf(world.handover(new AuthorityWorld('thief').authority)), back(START_MS));
    expect(node.settle(back(START_MS))).toBe(false);
    const restarted = keeper();
    restarted.open(node.record(), back(START_MS));
    expect(restarted.settle(back(START_MS))).toBe(false);
    expect(restarted.settle(back(START_MS + DELAY_MS))).toBe(true);
  });

  it('stops new trust at a newer header when the host has set its clock forward, and only new trust', () => {
    const ahead = (ms: number): FleetTime => ({ nowMs: ms + 300 * DELAY_MS, chainMs: ms });
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), at(START_MS));
    node.note(second.header.signed, ahead(START_MS + 1));
    expect(node.granting(at(START_MS + DELAY_MS)).trustHashes).toEqual([]);

    const old = keeper();
    old.open(undefined, at(START_MS));
    old.take(fileOf(first), at(START_MS));
    old.note(second.header.signed, { nowMs: 0, chainMs: START_MS + DELAY_MS });
    expect(old.granting(at(START_MS + DELAY_MS)).trustHashes).toEqual(section);
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
  it('takes no manifest from the future, and none before it knows the time of the chain', () => {
    const node = keeper();
    const ahead = world.issue({}, { serial: 2, issuedAtMs: START_MS + DELAY_MS + 1 });
    expect(codeOf(() => node.take(fileOf(ahead), at(START_MS)))).toBe('FLEET_ISSUED_AHEAD');
    // It is not even noted, or it would stop new trust until that day.
    expect(node.state.pending).toBeUndefined();
    expect(codeOf(() => node.take(fileOf(ahead), at(START_MS + 1)))).toBe('none');
    const untimed = { nowMs: START_MS, chainMs: 0 };
    expect(codeOf(() => keeper().take(fileOf(first), untimed))).toBe('FLEET_ISSUED_AHEAD');
  });
});

describe('a node that was behind', () => {
  const opened = (...manifests: readonly Manifest[]): FleetKeeper => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    for (const manifest of manifests) node.take(fileOf(manifest), at(START_MS));
    return node;
  };

  it('is one whose sources showed an older manifest than its store remembers, or none', () => {
    const record = opened(first, second).record();
    const verdict = (...shown: readonly Manifest[]): boolean => {
      const node = keeper();
      for (const manifest of shown) node.take(fileOf(manifest), at(START_MS));
      return node.open(record, at(START_MS)).wasBehind;
    };
    expect([verdict(), verdict(first), verdict(second)]).toEqual([true, true, false]);
    expect(verdict(world.issue({}, { serial: 3 }))).toBe(false);
    expect(keeper().open(undefined, at(START_MS)).wasBehind).toBe(false);
  });

  it('goes on as a locked node that was shown what the store remembers', () => {
    const record = opened(first, second).record();
    const node = keeper();
    node.take(fileOf(first), at(START_MS));
    const later = at(START_MS + 2 * DELAY_MS);
    expect(node.asking(later).trustHashes).toEqual(section);
    node.open(record, later);
    expect(node.asking(later).trustHashes).toEqual([]);
    node.close();
    expect(node.asking(later).trustHashes).toEqual([]);
    expect(node.open(record, later).wasBehind).toBe(false);
  });

  it('knows by handovers too', () => {
    const next = new AuthorityWorld('next');
    const handover = world.handover(next.authority);
    const late = at(START_MS + DELAY_MS);
    const node = opened(first, handover);
    node.take(fileOf(next.issue({}, { previous: handover.header.hash })), late);
    expect(node.state.newest?.header.signers.id).toBe(next.authority.id);
    const restarted = keeper();
    restarted.take(fileOf(second), late);
    expect(restarted.open(node.record(), late).wasBehind).toBe(true);
    // The other way round it is ahead of its store.
    const ahead = keeper();
    for (const manifest of [handover, next.issue({}, { previous: handover.header.hash })])
      ahead.take(fileOf(manifest), late);
    expect(ahead.state.newest?.header.signers.id).toBe(next.authority.id);
    expect(ahead.open(opened(first).record(), late).wasBehind).toBe(false);
  });
});

describe('a handover', () => {
  const next = new AuthorityWorld('next');
  const handover = world.handover(next.authority);
  const late = START_MS + 2 * DELAY_MS;
  const moved = next.issue(
    { trustHashes: [{ hash: hashOf('moved'), since }] },
    { previous: handover.header.hash },
    { revoked: platformList('b') },
  );

  it('that a restart shows for the first time waits like one that a running node sees', () => {
    const before = keeper();
    before.open(undefined, at(START_MS));
    before.take(fileOf(first), at(START_MS));
    const node = keeper();
    for (const manifest of [first, handover, moved]) node.take(fileOf(manifest), at(late));
    // Locked, it asks by it: its servers may all have moved.
    expect(node.asking(at(late)).trustHashes).toEqual([hashOf('moved')]);
    node.open(before.record(), at(late));
    expect(node.state.handovers).toEqual([]);
    expect(node.state.offered?.seenMs).toBe(late);
    expect(node.asking(at(late))).toMatchObject({
      trustHashes: [...section, hashOf('moved')],
      revoked: [idOf('b')],
    });
    expect(node.granting(at(late)).trustHashes).toEqual(section);
    expect(node.enrolling(at(late)).trustHashes).toEqual(section);
    // The former authority still signs, and says nothing about what the successor permits.
    node.take(fileOf(world.issue({}, { serial: 5 })), at(late));
    expect(node.asking(at(late)).trustHashes).toEqual([hashOf('moved')]);
    expect(codeOf(() => node.take(fileOf(moved), at(late + DELAY_MS)))).toBe('none');
    expect(node.state.newest?.header.hash).toEqual(moved.header.hash);
  });

  it('by keys that the next section replaces takes no effect there, also where the id stays', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(first), at(START_MS));
    node.take(fileOf(world.handover(new AuthorityWorld('thief').authority)), at(START_MS));
    const { keys } = new AuthorityWorld('new keys').authority;
    for (const [authority, isKept] of [
      [{ ...world.authority, keys }, false],
      [world.authority, true],
    ] as const) {
      const upgraded = new FleetKeeper(authority, network);
      upgraded.open(node.record(), at(START_MS + 1));
      expect(upgraded.settle(at(START_MS + DELAY_MS))).toBe(isKept);
      expect(upgraded.state.newest?.serial).toBe(1);
    }
  });

  it('takes effect without another manifest, and not by a clock that was ahead at its first sight', () => {
    const node = keeper();
    node.open(undefined, at(START_MS));
    node.take(fileOf(handover), { nowMs: START_MS + 900 * DELAY_MS, chainMs: START_MS });
    expect(node.settle(at(START_MS + DELAY_MS))).toBe(false);
    const restarted = keeper();
    restarted.open(node.record(), at(START_MS));
    expect(restarted.settle(at(START_MS + DELAY_MS - 1))).toBe(false);
    expect(restarted.settle(at(START_MS + DELAY_MS))).toBe(true);
  });

  it('is handed on in the order in which a reader takes it, also where it waits or is contradicted', () => {
    const stolen = world.handover(new AuthorityWorld('thief').authority);
    const serialsOf = (node: FleetKeeper): readonly string[] =>
      node.files().map(({ signed }) => Buffer.from(signed).toString('hex'));
    const hexOf = ({ header }: Manifest): string => Buffer.from(header.signed).toString('hex');
    const node = keeper();
    node.open(undefined, at(START_MS));
    for (const manifest of [first, handover, stolen]) node.take(fileOf(manifest), at(START_MS));
    expect(serialsOf(node)).toEqual([first, handover, stolen].map(hexOf));
    const over = keeper();
    for (const manifest of [first, handover]) over.take(fileOf(manifest), at(late));
    // By the authority before the handover: after it a reader would refuse it.
    expect(serialsOf(over)).toEqual([first, handover].map(hexOf));
    const reader = keeper();
    for (const file of over.files()) reader.take(file, at(late));
    expect(reader.state).toEqual(over.state);
    over.take(fileOf(moved), at(late));
    expect(serialsOf(over)).toEqual([handover, moved].map(hexOf));
  });
});

describe('signatures that a host took away', () => {
  /** The fleet changes two of its three keys: nodes under the new section know other keys by the same id. */
  const fresh = new AuthorityWorld('fresh keys');
  const newKeys = fresh.authority.keys;
  const changed = { ...world.authority, keys: newKeys };
  const nodeOf = (authority: typeof changed): FleetKeeper => new FleetKeeper(authority, network);
  const body = {
    trustHashes: [{ hash: hashOf('section'), since }],
    signers: [...newKeys, ...world.authority.keys].sort(),
  };
  const plain = world.issue(body);
  const by = (signers: readonly Ed25519Signer[]): ManifestFile => ({
    ...fileOf(plain),
    signed: signedBy(plain.header.header, signers),
  });
  const [oldKeys, both] = [
    by(world.signers.slice(0, 2)),
    by([...world.signers.slice(0, 2), ...fresh.signers.slice(0, 2)]),
  ];

  it('come back from any other source, and are handed on', () => {
    const node = nodeOf(world.authority);
    node.take(oldKeys, at(START_MS));
    const stripped = node.known();
    const reader = nodeOf(changed);
    expect(codeOf(() => node.files().map((file) => reader.take(file, at(START_MS))))).toBe(
      'FLEET_SIGNATURES_TOO_FEW',
    );
    expect(node.take(both, at(START_MS))).toBe(true);
    // A source that has more signatures gives them to a node that has fewer.
    expect(node.known()).not.toEqual(stripped);
    expect(node.take(oldKeys, at(START_MS))).toBe(false);
    for (const file of node.files()) reader.take(file, at(START_MS));
    expect(reader.state.newest?.serial).toBe(1);
    expect(reader.known()).toEqual(node.known());
  });

  it('are kept over the change of the section itself', () => {
    const before = nodeOf(world.authority);
    before.open(undefined, at(START_MS));
    before.take(oldKeys, at(START_MS));
    const node = nodeOf(changed);
    node.open(before.record(), at(START_MS));
    expect(node.take(both, at(START_MS))).toBe(true);
    const reader = nodeOf(changed);
    for (const file of node.files()) reader.take(file, at(START_MS));
    expect(reader.state.newest?.serial).toBe(1);
  });

  it('leave no room for those of strangers, nor for wrong ones', () => {
    const strangers = new AuthorityWorld('strangers', { keys: 12 }).signers;
    const node = nodeOf(world.authority);
    node.take(by([...world.signers.slice(0, 2), ...strangers]), at(START_MS));
    expect(decodeSignedHeader(node.files()[0]?.signed ?? new Uint8Array()).signatures).toHaveLength(2);
    const [one] = fresh.signers;
    if (one === undefined) throw new TypeError('the authority has keys');
    const wrong = encodeSignedHeader({
      header: plain.header.header,
      signatures: [
        ...decodeSignedHeader(oldKeys.signed).signatures,
        { key: one.publicKey, signature: new Uint8Array(64) },
      ],
    });
    expect(node.take({ ...oldKeys, signed: wrong }, at(START_MS))).toBe(false);
    expect(node.take(both, at(START_MS))).toBe(true);
  });
});
