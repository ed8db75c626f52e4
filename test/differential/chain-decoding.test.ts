import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compact, option, u32, vec } from '../../devnet/chain/scale.ts';
import type { TypeId, TypeTable } from '../../devnet/chain/type-registry.ts';
import { concatBytes, equalBytes } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { importLibrary, type LoadedMetadata } from '../../src/chain/decoder/load-metadata.ts';
import { layoutOfMetadata } from '../../src/chain/decoder/metadata-layout.ts';
import { parseDecoderAnswer } from '../../src/chain/decoder-answer.ts';
import { headerHash } from '../../src/chain/header-hash.ts';
import { compactU32 } from '../../src/chain/proof/header.ts';
import { type RecordDecoders, recordDecoders } from '../../src/chain/record-decoders.ts';
import { forgedMetadata } from '../support/forged-metadata.ts';

/** One more field of a ServerInfo: its type, and the bytes of its values. */
interface Field {
  readonly type: (types: TypeTable) => TypeId;
  readonly value: fc.Arbitrary<Uint8Array>;
}

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const list = (item: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.array(item, { maxLength: 5 }).map(vec);

const fields: Readonly<Record<string, Field>> = {
  u8: { type: (t) => t.primitive('u8'), value: bytesOf(1) },
  u128: { type: (t) => t.primitive('u128'), value: bytesOf(16) },
  compact: {
    type: (t) => t.compact(t.primitive('u32')),
    value: fc.oneof(fc.nat(2 ** 6), fc.nat(2 ** 14), fc.nat(2 ** 30), fc.nat(2 ** 31)).map(compactU32),
  },
  array: { type: (t) => t.array(7, t.primitive('u16')), value: bytesOf(14) },
  bytes: { type: (t) => t.sequence(t.primitive('u8')), value: list(bytesOf(1)) },
  'list of lists': {
    type: (t) => t.sequence(t.sequence(t.primitive('u32'))),
    value: list(list(bytesOf(4))),
  },
  option: {
    type: (t) => t.option(t.primitive('u64')),
    value: fc.option(bytesOf(8), { nil: undefined }).map(option),
  },
  enum: {
    type: (t) =>
      t.variant(
        ['a', 'Choice'],
        [['None'], ['Word', t.primitive('u32')], ['Both', t.primitive('u8'), t.primitive('u8')]],
      ),
    value: fc.oneof(
      fc.constant(Uint8Array.of(0)),
      bytesOf(4).map((bytes) => concatBytes(Uint8Array.of(1), bytes)),
      bytesOf(2).map((bytes) => concatBytes(Uint8Array.of(2), bytes)),
    ),
  },
  'struct of a list and a compact': {
    type: (t) =>
      t.struct(['a', 'Pair'], {
        many: t.sequence(t.tuple(t.primitive('u8'), t.primitive('u32'))),
        one: t.compact(t.primitive('u128')),
      }),
    value: fc
      .tuple(list(bytesOf(5)), fc.nat(2 ** 20))
      .map(([many, one]) => concatBytes(many, compactU32(one))),
  },
  nothing: { type: (t) => t.tuple(), value: fc.constant(new Uint8Array(0)) },
};

const record = fc
  .tuple(bytesOf(32), bytesOf(32), fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 300 }))
  .map((parts) => parts.map((part) => new Uint8Array(part)));

let load: (metadata: Uint8Array) => Promise<LoadedMetadata>;

beforeAll(async () => {
  load = await importLibrary();
});

/** What @polkadot/api makes of the same bytes; `undefined` when they are not exactly one value. */
function byLibrary({ registry, metadata }: LoadedMetadata, bytes: Uint8Array): Uint8Array[] | undefined {
  const pallet = metadata.asLatest.pallets.find(({ name }) => name.toString() === 'StakingExtension');
  const item = pallet?.storage.unwrap().items.find(({ name }) => name.toString() === 'ThresholdServers');
  if (item === undefined) throw new Error('the metadata has no servers');
  try {
    const type = registry.createLookupType(item.type.asMap.value);
    const value = registry.createTypeUnsafe(type, [bytes]);
    if (!equalBytes(value.toU8a(), bytes)) return undefined;
    // A struct, which the library decodes to a Map of values.
    const map = value as unknown as ReadonlyMap<string, { toU8a(isBare: boolean): Uint8Array }>;
    return ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'].map(
      (name) => new Uint8Array(map.get(name)?.toU8a(true) ?? []),
    );
  } catch {
    return undefined;
  }
}

function byOurs(shape: RecordDecoders, bytes: Uint8Array): Uint8Array[] | undefined {
  try {
    const { account, x25519PublicKey, endpoint, quote } = shape.serverInfo(bytes);
    return [account, x25519PublicKey, endpoint, quote];
  } catch {
    return undefined;
  }
}

describe('a record with one more field', () => {
  it.each(Object.keys(fields))(
    'of type %s is decoded as by @polkadot/api, whole or damaged',
    async (name) => {
      const field = fields[name];
      if (field === undefined) throw new Error('a field expected');
      const loaded = await load(forgedMetadata((types) => ({ extra: field.type(types) })));
      const answer = JSON.stringify({ kind: 'layout', layout: layoutOfMetadata(loaded) });
      const parsed = parseDecoderAnswer(answer);
      if (parsed.kind !== 'layout') throw new Error('a layout expected');
      const shape = recordDecoders(parsed.layout);
      const damage = fc.record({ at: fc.nat(200), to: fc.nat(255), cut: fc.nat(3), more: fc.nat(2) });
      fc.assert(
        fc.property(record, field.value, damage, ([account, key, endpoint, quote], value, hit) => {
          if (!account || !key || !endpoint || !quote) throw new Error('four fields expected');
          const lists = [endpoint, quote].map((bytes) => concatBytes(compact(bytes.length), bytes));
          const whole = concatBytes(account, key, ...lists, value);
          expect(byOurs(shape, whole)).toEqual([account, key, endpoint, quote]);
          expect(byLibrary(loaded, whole)).toEqual([account, key, endpoint, quote]);
          const damaged = concatBytes(whole.subarray(0, whole.length - hit.cut), new Uint8Array(hit.more));
          damaged[damaged.length - 1 - (hit.at % damaged.length)] = hit.to;
          expect(byOurs(shape, damaged)).toEqual(byLibrary(loaded, damaged));
        }),
        { numRuns: 300 },
      );
    },
  );
});

describe('the hash of a header', () => {
  it('equals the hash of @polkadot/api', async () => {
    const { registry } = await load(forgedMetadata(() => ({})));
    const engine = bytesOf(4);
    const payload = fc
      .uint8Array({ maxLength: 80 })
      .map((bytes) => concatBytes(compact(bytes.length), bytes));
    const log = fc.oneof(
      payload.map((bytes) => concatBytes(Uint8Array.of(0), bytes)),
      fc
        .tuple(fc.constantFrom(4, 5, 6), engine, payload)
        .map(([kind, id, bytes]) => concatBytes(Uint8Array.of(kind), id, bytes)),
      fc.constant(Uint8Array.of(8)),
    );
    const number = fc.oneof(fc.nat(100), fc.nat(2 ** 15), fc.nat(2 ** 31), fc.constant(2 ** 32 - 1));
    const header = fc
      .tuple(bytesOf(32), number, bytesOf(32), bytesOf(32), fc.array(log, { maxLength: 70 }))
      .map(([parentHash, block, stateRoot, extrinsicsRoot, logs]) => ({
        parentHash: toPrefixedHex(parentHash),
        number: `0x${block.toString(16)}`,
        stateRoot: toPrefixedHex(stateRoot),
        extrinsicsRoot: toPrefixedHex(extrinsicsRoot),
        digest: { logs: logs.map(toPrefixedHex) },
      }));
    fc.assert(
      fc.property(header, (json) => {
        expect(toPrefixedHex(headerHash(json))).toBe(
          registry.createTypeUnsafe('Header', [json]).hash.toHex(),
        );
      }),
      { numRuns: 300 },
    );
  });

  it.each([0, 63, 64, 16_383, 16_384, 2 ** 30 - 1])('equals that of the development chain: %i', (value) => {
    expect(compactU32(value)).toEqual(compact(value));
  });

  it('encodes a number of four bytes in five', () => {
    expect(compactU32(2 ** 32 - 1)).toEqual(concatBytes(Uint8Array.of(3), u32(2 ** 32 - 1)));
  });
});
