import { describe, expect, it } from 'vitest';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { u64BigEndian } from '../../../src/bytes/integers.ts';
import type { ChainSnapshot, ServerRecord } from '../../../src/chain/chain-view.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import {
  firstRegistry,
  followRegistry,
  type PlatformProof,
  type Registry,
  type RingConstants,
  viewOf,
} from '../../../src/ring/members/registry.ts';
import { MAX_KEPT, RegistryLog } from '../../../src/ring/members/registry-log.ts';
import { decodeLogPart, encodeLogPart } from '../../../src/ring/members/registry-wire.ts';
import { ringPosition } from '../../../src/ring/placement/position.ts';
import { serverRecord } from '../../support/chain-fixtures.ts';
import { codeOf } from '../../support/thrown.ts';

const constants: RingConstants = { firstBlock: 100, everyBlocks: 10, replicas: 3 };
const GENESIS = BlockHash.of(new Uint8Array(32));
const hashOf = (number: number, salt = 0): BlockHash =>
  BlockHash.of(sha256(u64BigEndian(number), u64BigEndian(salt)));

/** Every quote proves the platform that its first byte names, but those of the byte 99. */
const proof: PlatformProof = ({ quote }) => (quote[0] === 99 ? undefined : `aa${quote[0]}`);

function boundary(number: number, servers: readonly ServerRecord[], salt = 0): ChainSnapshot {
  return {
    genesisHash: GENESIS,
    block: { number, hash: hashOf(number, salt), timestampMs: number * 6_000 },
    servers,
    undecodableRecords: 0,
    acceptedMeasurements: [],
  };
}

/** The log after these boundaries, from the first one on. */
function logOf(
  boundaries: readonly (readonly ServerRecord[])[],
  known = RegistryLog.from(constants),
): RegistryLog {
  return boundaries.reduce((log, servers) => {
    const number = log.upTo + constants.everyBlocks;
    return log.with(followRegistry(log.newest, boundary(number, servers), proof), number);
  }, known);
}

const records = (...numbers: readonly number[]): ServerRecord[] => numbers.map((n) => serverRecord(n));
const membersOf = (registry: Registry): (number | undefined)[] =>
  viewOf(registry, constants)
    .placement.members.map(({ account }) => account[0])
    .sort();

describe('members by the chain', () => {
  it('begins without members', () => {
    expect(membersOf(firstRegistry(constants))).toEqual([]);
  });

  it('a server becomes a member one boundary after it was seen, and is anchored there', () => {
    const seen = logOf([records(1)]);
    expect(membersOf(seen.newest)).toEqual([]);
    const later = logOf([records(1)], seen);
    const [member] = viewOf(later.newest, constants).placement.members;
    expect(toHex(member?.position ?? new Uint8Array())).toBe(
      toHex(ringPosition(serverRecord(1).account, hashOf(120))),
    );
  });

  it('an author who registers an account in the block of a boundary cannot choose the account by the hash of that block', () => {
    // The enemy tries blocks until the position that this hash would give suits; the next boundary's hash decides.
    for (let salt = 0; salt < 5; salt++) {
      const first = followRegistry(firstRegistry(constants), boundary(110, records(1), salt), proof);
      const second = followRegistry(first, boundary(120, records(1)), proof);
      const [member] = viewOf(second, constants).placement.members;
      expect(toHex(member?.position ?? new Uint8Array())).toBe(
        toHex(ringPosition(serverRecord(1).account, hashOf(120))),
      );
    }
  });

  it('a member keeps its place, also with another quote, and gets another one when it was away', () => {
    const place = (log: RegistryLog): string | undefined =>
      log.newest.servers.map(({ anchor }) => (anchor === undefined ? undefined : toHex(anchor)))[0];
    const member = logOf([records(1), records(1)]);
    const renewed = logOf([[serverRecord(1, { quote: new Uint8Array(8).fill(7) })]], member);
    expect(place(renewed)).toBe(place(member));
    expect(renewed.newest.servers[0]?.platform).toBe('aa7');
    expect(place(logOf([[], records(1), records(1)], member))).not.toBe(place(member));
  });

  it('a quote that proves nothing makes no member, and ends a membership', () => {
    const unproven = [serverRecord(1, { quote: new Uint8Array(8).fill(99) })];
    expect(membersOf(logOf([unproven, unproven, unproven]).newest)).toEqual([]);
    const member = logOf([records(1), records(1)]);
    expect(membersOf(logOf([unproven], member).newest)).toEqual([]);
  });

  it('a quote is judged once, at the time of its first boundary', () => {
    const times: number[] = [];
    const counting: PlatformProof = (record, atMs) => {
      times.push(atMs);
      return proof(record, atMs);
    };
    const first = followRegistry(firstRegistry(constants), boundary(110, records(1)), counting);
    followRegistry(first, boundary(120, records(1)), counting);
    expect(times).toEqual([110 * 6_000]);
  });

  it('a boundary without a change has the registry before it', () => {
    const log = logOf([records(1), records(1), records(1), records(1)]);
    expect(log.upTo).toBe(140);
    expect(log.newest.block).toBe(120);
    expect(log.at(139)).toBe(log.newest);
  });
});

describe('logs of two members', () => {
  const full = logOf([records(1, 2), records(1, 2), records(1, 2, 3), records(1, 2, 3), records(2, 3)]);
  const start = logOf([records(1, 2), records(1, 2)]);
  const lying = logOf([records(1, 2), records(1, 9), records(1, 9)]);

  it('the longer one goes on where the shorter one ends', () => {
    expect(start.joined(full).upTo).toBe(full.upTo);
    expect(toHex(start.joined(full).newest.digest)).toBe(toHex(full.newest.digest));
    expect(full.joined(start)).toBe(full);
  });

  it('what differs at one boundary is refused, from either side', () => {
    expect(codeOf(() => start.joined(lying))).toBe('RING_VIEWS_DIFFER');
    expect(codeOf(() => lying.joined(full))).toBe('RING_VIEWS_DIFFER');
  });

  it('a change that only one of them saw is refused', () => {
    const slept = logOf([records(1, 2), records(1, 2), records(1, 2), records(1, 2)]);
    expect(slept.contradicts(full)).toBe(true);
  });

  it('constants of another ring give other digests', () => {
    const other = RegistryLog.from({ ...constants, replicas: 4 });
    expect(other.contradicts(start)).toBe(true);
  });

  it('goes over the wire and back, a part at a time', () => {
    let mine = start;
    for (let turn = 0; turn < 10 && mine.upTo < full.upTo; turn++)
      mine = mine.joined(decodeLogPart(encodeLogPart(full.after(mine.newest.block, 1))));
    expect(mine.upTo).toBe(full.upTo);
    expect(mine.contradicts(full)).toBe(false);
  });

  it('a registry that was changed on the way is refused', () => {
    const text = encodeLogPart(full.part()).replace('"platform":"aa1"', '"platform":"aa9"');
    expect(codeOf(() => decodeLogPart(text))).toBe('RING_VIEWS_DIFFER');
  });

  it('forgets its beginning, and never what is needed', () => {
    let long = start;
    for (let n = 0; n < MAX_KEPT + 20; n++) long = logOf([n % 2 === 0 ? records(1) : records(1, 2)], long);
    const trimmed = long.trimmed(Number.POSITIVE_INFINITY);
    expect(trimmed.registries).toHaveLength(MAX_KEPT);
    expect(trimmed.contradicts(long)).toBe(false);
    expect(decodeLogPart(encodeLogPart(trimmed.part())).upTo).toBe(long.upTo);
    expect(long.trimmed(120).oldest.block).toBe(120);
    // A member that knows only what was forgotten begins with the whole of the rest.
    expect(start.joined(RegistryLog.of(trimmed.after(start.newest.block, 1024))).upTo).toBe(long.upTo);
  });
});
