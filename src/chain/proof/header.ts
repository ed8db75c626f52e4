import { concatBytes } from '../../bytes/concat.ts';
import { BlockHash } from '../../bytes/fixed-bytes.ts';
import { tryFromHex } from '../../bytes/hex.ts';
import { blake2b256 } from '../../crypto/blake2.ts';
import { invalidProof } from './proof-errors.ts';
import { ProofReader } from './proof-reader.ts';

/** One entry of a header's digest (`sp_runtime::generic::DigestItem`). `engine` is four ASCII characters. */
export type DigestItem =
  | { readonly kind: 'other'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'consensus' | 'seal' | 'preRuntime';
      readonly engine: string;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'environmentUpdated' };

/** A block header, decoded from the bytes that its hash commits to. */
export interface Header {
  readonly hash: BlockHash;
  /** 32 bytes. */
  readonly parentHash: Uint8Array;
  readonly number: number;
  /** Root of the state after this block; 32 bytes. */
  readonly stateRoot: Uint8Array;
  /** 32 bytes. */
  readonly extrinsicsRoot: Uint8Array;
  readonly digest: readonly DigestItem[];
}

/** The smallest header: three hashes, a number and an empty digest. */
export const LEAST_HEADER_BYTES = 3 * 32 + 2;
/** A change to 10,000 authorities takes 400 kB. */
const MAX_HEADER_BYTES = 1024 * 1024;
/** Honest headers have two to five; each costs some hundred bytes of objects, however few bytes it has. */
const MAX_DIGEST_ITEMS = 64;
const HASH_BYTES = 32;
const ENGINE_BYTES = 4;

function readDigestItem(reader: ProofReader): DigestItem {
  const variant = reader.u8('digest item');
  switch (variant) {
    case 0:
      return { kind: 'other', bytes: reader.byteString('digest item') };
    case 4:
      return { kind: 'consensus', ...readEngine(reader) };
    case 5:
      return { kind: 'seal', ...readEngine(reader) };
    case 6:
      return { kind: 'preRuntime', ...readEngine(reader) };
    case 8:
      return { kind: 'environmentUpdated' };
    default:
      return reader.fail('digest item', 'variant 0, 4, 5, 6 or 8', String(variant));
  }
}

function readEngine(reader: ProofReader) {
  const engine = Buffer.from(reader.take(ENGINE_BYTES, 'consensus engine')).toString('latin1');
  return { engine, bytes: reader.byteString('digest item') };
}

/**
 * Reads one SCALE header and leaves the reader behind it.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function readHeader(reader: ProofReader): Header {
  const start = reader.offset;
  const parentHash = reader.take(HASH_BYTES, 'parentHash');
  const number = reader.compactU32('number');
  const stateRoot = reader.take(HASH_BYTES, 'stateRoot');
  const extrinsicsRoot = reader.take(HASH_BYTES, 'extrinsicsRoot');
  const items = reader.count(1, 'digest');
  if (items > MAX_DIGEST_ITEMS) reader.fail('digest', `at most ${MAX_DIGEST_ITEMS} items`, String(items));
  const digest = Array.from({ length: items }, () => readDigestItem(reader));
  // Compact integers were read in their only accepted form, so these are the bytes that Substrate hashes.
  const hash = BlockHash.of(blake2b256(reader.since(start)));
  return { hash, parentHash, number, stateRoot, extrinsicsRoot, digest };
}

/**
 * Decodes one SCALE header, to the last byte.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function decodeHeader(bytes: Uint8Array): Header {
  const reader = new ProofReader(bytes, 'header');
  if (bytes.length > MAX_HEADER_BYTES) {
    reader.fail('length', `at most ${MAX_HEADER_BYTES} bytes`, `${bytes.length} bytes`);
  }
  const header = readHeader(reader);
  reader.end();
  return header;
}

/** A copy of a header in its own memory, so that a kept header does not keep the whole answer in memory. */
export function detachedHeader(header: Header): Header {
  const copy = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
  return {
    hash: header.hash,
    parentHash: copy(header.parentHash),
    number: header.number,
    stateRoot: copy(header.stateRoot),
    extrinsicsRoot: copy(header.extrinsicsRoot),
    digest: header.digest.map((item) => ('bytes' in item ? { ...item, bytes: copy(item.bytes) } : item)),
  };
}

/** SCALE compact integer of a u32. */
export function compactU32(value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  const view = new DataView(bytes.buffer);
  if (value >= 2 ** 30) {
    bytes[0] = 3;
    view.setUint32(1, value, true);
    return bytes;
  }
  const [mode, length] = value < 2 ** 6 ? [0, 1] : value < 2 ** 14 ? [1, 2] : [2, 4];
  view.setUint32(0, value * 4 + mode, true);
  return bytes.subarray(0, length);
}

/**
 * Reads a header in the RPC's JSON form (`chain_getHeader`): hashes and digest logs are `0x` hex, `number` is `0x` hex
 * without leading zeros.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function headerFromJson(json: unknown): Header {
  const { parentHash, number, stateRoot, extrinsicsRoot, digest } = asObject(json, 'header');
  const logs = asObject(digest, 'digest')['logs'];
  if (!Array.isArray(logs) || logs.length > MAX_DIGEST_ITEMS)
    throw malformed('digest.logs', `a list of at most ${MAX_DIGEST_ITEMS}`);
  if (typeof number !== 'string' || !/^0x[0-9a-fA-F]{1,8}$/.test(number)) throw malformed('number', 'a u32');
  const items = logs.map((log) => asBytes(log, 'digest.logs'));
  const encoded = concatBytes(
    asBytes(parentHash, 'parentHash', HASH_BYTES),
    compactU32(Number(number)),
    asBytes(stateRoot, 'stateRoot', HASH_BYTES),
    asBytes(extrinsicsRoot, 'extrinsicsRoot', HASH_BYTES),
    compactU32(items.length),
    ...items,
  );
  // Decoding what was encoded checks the logs, and that they are as many as they say.
  return decodeHeader(encoded);
}

const malformed = (field: string, expected: string) =>
  invalidProof('header', field, expected, 'something else');

function asObject(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw malformed(field, 'an object');
  // Just checked; the values stay unknown.
  return value as Record<string, unknown>;
}

function asBytes(value: unknown, field: string, byteLength?: number): Uint8Array {
  if (typeof value !== 'string' || !value.startsWith('0x')) throw malformed(field, '0x hex');
  const bytes = tryFromHex(value);
  if (bytes === undefined) throw malformed(field, '0x hex');
  if (byteLength !== undefined && bytes.length !== byteLength) throw malformed(field, `${byteLength} bytes`);
  return bytes;
}
