import { describe, expect, it } from 'vitest';
import { compact, vec } from '../../../devnet/chain/scale.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { type ProvenValues, SnapshotDecoder } from '../../../src/chain/snapshot-decoder.ts';
import { mapKey, storageItems } from '../../../src/chain/storage-keys.ts';
import { codeOf } from '../../support/thrown.ts';

const account = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const byteVec = (bytes: Uint8Array): Uint8Array => concatBytes(compact(bytes.length), bytes);
const entry = (n: number): readonly [Uint8Array, Uint8Array] => [
  new Uint8Array(Buffer.from(mapKey(storageItems.thresholdServers, account(n)).slice(2), 'hex')),
  concatBytes(
    account(n + 100),
    account(n + 50),
    byteVec(new Uint8Array(Buffer.from(`192.0.2.${n}:1`))),
    byteVec(new Uint8Array(700).fill(n)),
  ),
];
const time = (ms: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(ms), true);
  return bytes;
};

/** Of the runtime `node`, version 500. */
const version = concatBytes(compact(500), byteVec(new Uint8Array(Buffer.from('node'))));
const values: ProvenValues = {
  lastRuntimeUpgrade: version,
  plainMeasurements: undefined,
  validators: vec([account(1), account(2)]),
  signers: vec([account(1)]),
  now: time(1000),
  acceptedMeasurements: vec([byteVec(account(9))]),
  thresholdServers: [entry(1), entry(2)],
};
const genesis = BlockHash.of(account(0));
const block = (number: number) => ({ number, hash: BlockHash.of(account(number)) });

describe('snapshots of one block after another', () => {
  it('have the same lists while only the block and its time differ', () => {
    const decoder = new SnapshotDecoder();
    const first = decoder.decode(genesis, block(1), values);
    expect(first.servers.map(({ active, signer }) => [active, signer])).toEqual([
      [true, true],
      [true, false],
    ]);
    const second = decoder.decode(genesis, block(2), { ...values, now: time(7000) });
    expect(second.servers).toBe(first.servers);
    expect(second).toEqual({ ...first, block: { ...block(2), timestampMs: 7000 } });
    const third = decoder.decode(genesis, block(3), { ...values, now: undefined });
    expect(third.block).toEqual({ ...block(3), timestampMs: undefined });
    expect(third.servers).toBe(first.servers);
  });

  it.each<[string, Partial<ProvenValues>]>([
    ['the records', { thresholdServers: [entry(2)] }],
    ['the validators', { validators: vec([account(2)]) }],
    ['all validators', { validators: undefined }],
    ['the signers', { signers: vec([account(2)]) }],
    ['the first signers', { signers: undefined }],
    ['the measurements', { acceptedMeasurements: vec([]) }],
    ['all measurements', { acceptedMeasurements: undefined }],
  ])('are decoded anew when %s change, and again when they change back', (_what, change) => {
    const decoder = new SnapshotDecoder();
    const other = { ...values, ...change };
    for (const [index, now] of [values, other, values, other, other].entries()) {
      const fresh = new SnapshotDecoder().decode(genesis, block(index), now);
      expect(decoder.decode(genesis, block(index), now)).toEqual(fresh);
    }
  });

  it('of another chain, or with another form, have nothing of those before', () => {
    const decoder = new SnapshotDecoder();
    decoder.decode(genesis, block(1), values);
    const elsewhere = BlockHash.of(account(4));
    expect(decoder.decode(elsewhere, block(2), values).genesisHash).toEqual(elsewhere);
    const unknown = { ...values, lastRuntimeUpgrade: Uint8Array.of(0) };
    expect(codeOf(() => decoder.decode(genesis, block(3), unknown))).toBe('CHAIN_SHAPE_UNKNOWN');
    const plain = { ...values, plainMeasurements: Uint8Array.of(0) };
    expect(codeOf(() => decoder.decode(genesis, block(3), plain))).toBe('CHAIN_SHAPE_UNKNOWN');
    const broken = { ...values, thresholdServers: [[entry(1)[0], Uint8Array.of(1)] as const] };
    expect(codeOf(() => decoder.decode(genesis, block(3), broken))).toBe('CHAIN_SHAPE_UNKNOWN');
    expect(decoder.decode(genesis, block(3), values).servers).toHaveLength(2);
  });
});
