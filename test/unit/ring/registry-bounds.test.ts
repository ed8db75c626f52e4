import { describe, expect, it } from 'vitest';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../../../src/chain/chain-view.ts';
import {
  firstRegistry,
  followRegistry,
  type PlatformProof,
  type Registry,
  type RingConstants,
  registryDigest,
} from '../../../src/ring/members/registry.ts';
import { type LogPart, MAX_KEPT, RegistryLog } from '../../../src/ring/members/registry-log.ts';
import { serverRecord } from '../../support/chain-fixtures.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const constants: RingConstants = { firstBlock: 100, everyBlocks: 10, replicas: 3 };
const proof: PlatformProof = ({ quote }) => `aa${quote[0]}`;

const boundary = (number: number, servers: readonly ServerRecord[]): ChainSnapshot => ({
  genesisHash: BlockHash.of(new Uint8Array(32)),
  block: { number, hash: BlockHash.of(new Uint8Array(32).fill(number % 251)), timestampMs: number * 6_000 },
  servers,
  undecodableRecords: 0,
  acceptedMeasurements: [],
});

/** A log with a change at each of so many boundaries. */
function changing(boundaries: number, salt = 0): RegistryLog {
  let log = RegistryLog.from(constants);
  for (let at = 0; at < boundaries; at++) {
    const servers = [serverRecord(1, { quote: Uint8Array.of(at % 250, at >> 8, salt) })];
    const number = log.upTo + constants.everyBlocks;
    log = log.with(followRegistry(log.newest, boundary(number, servers), proof), number);
  }
  return log;
}
const blocks = ({ registries }: { readonly registries: readonly Registry[] }) =>
  registries.map(({ block }) => block);

describe('a log that comes from outside', () => {
  const whole = changing(3).part();
  const read = (change: Partial<LogPart>) => codeOf(() => RegistryLog.of({ ...whole, ...change }));
  const [first, second, third, fourth] = whole.registries;
  if (first === undefined || second === undefined || third === undefined || fourth === undefined)
    throw new RangeError('four registries');

  it('may end with the boundary of its last change, and not before it', () => {
    expect(read({ upTo: 130 })).toBe('none');
    expect(read({ upTo: 129 })).toBe('RING_VIEWS_DIFFER');
    expect(read({ upTo: 500 })).toBe('none');
  });

  it('has a registry, and each of them once, in order', () => {
    expect(read({ registries: [] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ registries: [first, second, second] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ registries: [second, first] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ registries: [first, third] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ registries: [second], before: first.digest })).toBe('none');
  });

  it('has one registry at a block, though its digest follows on the one before', () => {
    for (const [block, code] of [
      [110, 'RING_VIEWS_DIFFER'],
      [109, 'RING_VIEWS_DIFFER'],
      [111, 'none'],
    ] as const) {
      const content = { ...second, block };
      const forged = { ...content, digest: registryDigest(second.digest, content) };
      expect(read({ registries: [first, second, forged], upTo: 200 })).toBe(code);
    }
  });

  it('may begin with block 0', () => {
    const log = RegistryLog.from({ ...constants, firstBlock: 0 });
    expect(codeOf(() => RegistryLog.of(log.part()))).toBe('none');
  });

  it('does not have another server, time or digest', () => {
    const other = { ...second, timestampMs: second.timestampMs + 1 };
    expect(read({ registries: [first, other] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ registries: [first, { ...second, servers: [] }] })).toBe('RING_VIEWS_DIFFER');
    expect(read({ before: new Uint8Array(32) })).toBe('RING_VIEWS_DIFFER');
  });
});

describe('a log that grows', () => {
  it('keeps 256 registries, and more where they are needed', () => {
    const full = changing(MAX_KEPT - 1);
    expect(full.registries).toHaveLength(MAX_KEPT);
    expect(full.trimmed(full.upTo)).toBe(full);
    const more = changing(MAX_KEPT + 1);
    const trimmed = more.trimmed(more.upTo);
    expect(trimmed.registries).toHaveLength(MAX_KEPT);
    expect(blocks(trimmed)).toEqual(blocks(more).slice(2));
    expect(codeOf(() => RegistryLog.of(trimmed.part()))).toBe('none');
    const [, next] = blocks(more);
    expect(blocks(more.trimmed(next ?? 0))).toEqual(blocks(more).slice(1));
    expect(more.trimmed(0)).toBe(more);
  });

  it('tells what comes after a registry, as many as are asked for', () => {
    const log = changing(5);
    expect(blocks(log)).toEqual([100, 110, 120, 130, 140, 150]);
    const part = log.after(110, 2);
    expect([blocks(part), part.upTo]).toEqual([[110, 120, 130], 130]);
    expect(codeOf(() => RegistryLog.of(part))).toBe('none');
    const rest = log.after(130, 2);
    expect([blocks(rest), rest.upTo]).toEqual([[130, 140, 150], 150]);
    const unknown = log.after(115, 1);
    expect([blocks(unknown), unknown.upTo]).toEqual([[100, 110], 110]);
    expect(codeOf(() => RegistryLog.of(unknown))).toBe('none');
  });

  it('has no registry twice when nothing changed, and tells up to where nothing changed', () => {
    const log = changing(2);
    const still = log.with(log.newest, 130).with(log.newest, 140);
    expect([blocks(still), still.upTo]).toEqual([[100, 110, 120], 140]);
    expect([still.after(120, 5).upTo, still.after(100, 5).upTo, still.after(100, 1).upTo]).toEqual([
      140, 140, 110,
    ]);
    expect(still.joined(log.with(log.newest, 140))).toBe(still);
  });

  it('says what holds at a boundary that it covers', () => {
    const log = changing(2);
    expect([99, 100, 109, 110, 119, 120, 121].map((block) => log.at(block)?.block)).toEqual([
      ...[undefined, 100, 100, 110, 110, 120, undefined],
    ]);
  });
});

describe('two logs', () => {
  const full = changing(6);
  const [early, late] = [changing(2), RegistryLog.of(full.after(140, 9))];

  it('that have no boundary in common do not contradict each other, and agree on nothing', () => {
    expect([early.upTo, late.oldest.block]).toEqual([120, 140]);
    expect([early.contradicts(late), late.contradicts(early)]).toEqual([false, false]);
    expect([early.agreed(late), late.agreed(early)]).toEqual([undefined, undefined]);
    expect([late.follows(early), early.follows(late)]).toEqual([false, true]);
    // What was forgotten in between is not made up.
    expect(early.joined(late)).toBe(late);
    expect(late.joined(early)).toBe(late);
  });

  it('that meet at one boundary go on', () => {
    const meeting = RegistryLog.of(full.after(120, 9));
    expect([meeting.oldest.block, meeting.follows(early)]).toEqual([120, true]);
    expect(blocks(early.joined(meeting))).toEqual([100, 110, 120, 130, 140, 150, 160]);
    for (const agreed of [early.agreed(meeting), meeting.agreed(early)])
      expect([blocks(agreed ?? full), agreed?.upTo]).toEqual([[120], 120]);
  });

  it('agree on what both cover, of which the shorter one decides', () => {
    for (const agreed of [full.agreed(early), early.agreed(full)])
      expect([blocks(agreed ?? full), agreed?.upTo]).toEqual([[100, 110, 120], 120]);
    expect(codeOf(() => RegistryLog.of(full.agreed(early)?.part() ?? full.part()))).toBe('none');
  });

  it('that differ at the one boundary which both cover are refused', () => {
    const other = RegistryLog.of(changing(6, 1).after(120, 9));
    for (const call of [() => early.agreed(other), () => early.joined(other), () => other.joined(early)])
      expect(codeOf(call)).toBe('RING_VIEWS_DIFFER');
    expect([early.contradicts(other), other.contradicts(early)]).toEqual([true, true]);
  });

  it('that differ in the middle only are refused', () => {
    const lie = { ...early.newest, block: 115 };
    const forged = { ...lie, digest: registryDigest(early.registries[1]?.digest ?? new Uint8Array(32), lie) };
    const between = RegistryLog.of({
      ...early.part(),
      registries: [...early.registries.slice(0, 2), forged],
    });
    expect(early.contradicts(between)).toBe(true);
  });
});

describe('a boundary', () => {
  it('without a time is refused', () => {
    const { block, ...rest } = boundary(110, []);
    const timeless = { ...rest, block: { ...block, timestampMs: undefined } };
    expect(thrownBy(() => followRegistry(firstRegistry(constants), timeless, proof))).toMatchObject({
      code: 'CHAIN_SHAPE_UNKNOWN',
      field: 'Timestamp.Now',
    });
  });

  it('judges a quote again when the key or the quote changed, and not when the stake moved', () => {
    const judged: number[] = [];
    const counting: PlatformProof = (record, atMs) => {
      judged.push(atMs / 6_000);
      return proof(record, atMs);
    };
    let registry = firstRegistry(constants);
    const show = (number: number, change: Partial<ServerRecord>) => {
      registry = followRegistry(registry, boundary(number, [{ ...serverRecord(1), ...change }]), counting);
      return registry;
    };
    show(110, {});
    show(120, {});
    const key = new Uint8Array(32).fill(77) as ServerRecord['x25519PublicKey'];
    show(130, { x25519PublicKey: key });
    const moved = show(140, { x25519PublicKey: key, stash: serverRecord(2).stash });
    expect(judged).toEqual([110, 130]);
    expect(moved.block).toBe(140);
    expect(moved.servers[0]?.anchor).toEqual(boundary(120, []).block.hash);
  });

  it('has its servers in the order of their accounts, and is the one before when nothing changed', () => {
    const some = [3, 1, 2].map((byte) => serverRecord(byte));
    const first = followRegistry(firstRegistry(constants), boundary(110, some), proof);
    const second = followRegistry(first, boundary(120, some.toReversed()), proof);
    expect(second.servers.map(({ account }) => account[0])).toEqual([1, 2, 3]);
    expect(followRegistry(second, boundary(130, some), proof)).toBe(second);
    expect(followRegistry(second, boundary(130, some.slice(1)), proof)).not.toBe(second);
  });
});
