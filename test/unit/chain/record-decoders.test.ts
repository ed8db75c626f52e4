import { describe, expect, it } from 'vitest';
import { compact, vec } from '../../../devnet/chain/scale.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { headerHash } from '../../../src/chain/header-hash.ts';
import { recordDecoders } from '../../../src/chain/record-decoders.ts';
import type { Layout } from '../../../src/chain/runtime-layout.ts';

const shapeWith = (...extra: Layout[]) =>
  recordDecoders({
    serverInfo: ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote', ...extra],
    entropyTssIndex: 3,
    hasTimestamp: false,
  });
const shape = shapeWith();
const record = concatBytes(new Uint8Array(64).fill(7), vec([]), vec([]));

describe('the decoders of a runtime', () => {
  it('read lists of accounts and measurements, and refuse lists of impossible length', () => {
    const account = new Uint8Array(32).fill(9);
    expect(shape.accounts(vec([account, account]))).toEqual([account, account]);
    const many = (count: number) => concatBytes(compact(count), new Uint8Array(32 * count));
    expect(shape.accounts(many(20_000))).toHaveLength(20_000);
    expect(() => shape.accounts(many(20_001))).toThrow(RangeError);
    expect(shape.measurements(vec([concatBytes(compact(32), account)]))).toHaveLength(1);
    const empty = (count: number) => concatBytes(compact(count), new Uint8Array(count));
    expect(() => shape.measurements(empty(10_001))).toThrow(RangeError);
    expect(shape.entropyTssKey).toEqual(Uint8Array.of(3));
    expect(shape.timestampMs(new Uint8Array(8))).toBeUndefined();
  });

  it.each([
    ['no bytes', new Uint8Array(0)],
    ['fewer items than it says', concatBytes(compact(2), new Uint8Array(32))],
    ['bytes left over', concatBytes(compact(1), new Uint8Array(33))],
    ['a count that is too long', Uint8Array.of(0x01, 0x00)],
    ['a count beyond all bytes', Uint8Array.of(0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ])('refuse a list with %s', (_name, bytes) => {
    expect(() => shape.accounts(bytes)).toThrow(RangeError);
  });

  it('skip unread fields, up to a bound', () => {
    const choices: Layout = {
      kind: 'sequence',
      of: { kind: 'choice', variants: [{ index: 0, parts: [] }] },
    };
    const with_ = (count: number) => concatBytes(record, compact(count), new Uint8Array(count));
    expect(shapeWith(choices).serverInfo(with_(1000)).quote).toHaveLength(0);
    expect(() => shapeWith(choices).serverInfo(with_(1024))).toThrow(RangeError);
    const array: Layout = { kind: 'array', length: 65_536, of: { kind: 'compact' } };
    expect(() => shapeWith(array).serverInfo(concatBytes(record, new Uint8Array(65_536)))).toThrow(
      RangeError,
    );
    // Of a fixed size they are one step, however many.
    const words: Layout = { kind: 'sequence', of: { kind: 'fixed', bytes: 4 } };
    const long = concatBytes(record, compact(50_000), new Uint8Array(200_000));
    expect(shapeWith(words).serverInfo(long).account).toHaveLength(32);
  });
});

describe('the hash of a header', () => {
  const hash = `0x${'11'.repeat(32)}`;
  const header = {
    parentHash: hash,
    number: '0x1',
    stateRoot: hash,
    extrinsicsRoot: hash,
    digest: { logs: [] },
  };

  it('has 32 bytes', () => {
    expect(headerHash(header)).toHaveLength(32);
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no digest', { ...header, digest: undefined }],
    ['logs that are no list', { ...header, digest: { logs: {} } }],
    ['a log that is no hex', { ...header, digest: { logs: ['06'] } }],
    ['a root of 31 bytes', { ...header, stateRoot: hash.slice(0, -2) }],
    ['a number above u32', { ...header, number: '0x100000000' }],
    ['too many logs', { ...header, digest: { logs: Array(1001).fill('0x08') } }],
    ['logs that are too long', { ...header, digest: { logs: [`0x${'00'.repeat(1024 * 1024 + 1)}`] } }],
  ])('is refused for %s', (_name, value) => {
    expect(() => headerHash(value)).toThrow(expect.objectContaining({ code: 'CHAIN_UNAVAILABLE' }));
  });
});
