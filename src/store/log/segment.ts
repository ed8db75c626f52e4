import { equalBytes } from '../../bytes/concat.ts';
import { equalConstantTime } from '../../crypto/constant-time.ts';
import { hmacSha256 } from '../../crypto/hkdf.ts';
import type { FileHandle } from '../../disk/file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { RecordKeys } from '../keys/store-keys.ts';
import { ByteReader, ByteWriter } from './byte-layout.ts';

/**
 * A segment file starts with a header of 128 bytes: `LATCHSEG` ‖ version (u16) ‖ kind (1) ‖ zero (1) ‖ key version (u32) ‖
 * store id (16) ‖ segment id (u64) ‖ ordinal of the first record (u64) ‖ salt (16) ‖ digest of the log before (32) ‖
 * HMAC-SHA-256 under the chain key over the 96 bytes before. Frames follow.
 */
export const SEGMENT_HEADER_BYTES = 128;
const MAC_AT = 96;
const MAGIC = Buffer.from('LATCHSEG');
/** Version of the format of segments. */
export const SEGMENT_VERSION = 1;
/** A segment's records and bytes must fit the index's packed numbers; see `segment-table.ts`. */
export const MAX_SEGMENT_BYTES = 2 ** 31 - 1;

/** Largest configurable segment size in bytes; the last group of a segment may exceed it. */
export const LARGEST_SEGMENT_TARGET = 1024 * 1024 * 1024;

/** Most zeros that are written after a log, in bytes. */
export const MAX_ROOM_BYTES = 1024 * 1024;

/** `log`: written by commits. `compacted`: the live records of older segments, written by compaction. */
export type SegmentKind = 'log' | 'compacted';

/** The fields of the header of a segment. */
export interface SegmentHeader {
  readonly kind: SegmentKind;
  /** Version of the record keys that its frames are sealed under. */
  readonly keyVersion: number;
  readonly storeId: Uint8Array;
  readonly id: number;
  readonly firstOrdinal: number;
  /** 16 random bytes, so that no two segments ever have the same header. */
  readonly salt: Uint8Array;
  /** Digest that the first frame continues: the log's, or random bytes in a compacted segment. */
  readonly previous: Uint8Array;
}

/** Name of a segment's file. */
export const segmentFileName = (id: number): string => `segment-${String(id).padStart(10, '0')}`;

/** Lays out a header. @returns its 128 bytes; the last 32 are the MAC. */
export function encodeSegmentHeader(header: SegmentHeader, chainKey: Uint8Array): Uint8Array {
  const fields = new ByteWriter()
    .bytes(MAGIC)
    .u16(SEGMENT_VERSION)
    .u8(header.kind === 'log' ? 0 : 1)
    .u8(0)
    .u32(header.keyVersion)
    .bytes(header.storeId)
    .u64(header.id)
    .u64(header.firstOrdinal)
    .bytes(header.salt)
    .bytes(header.previous)
    .done();
  return new ByteWriter().bytes(fields).bytes(hmacSha256(chainKey, fields)).done();
}

/**
 * What a header says without the chain key: nothing of it is authenticated.
 * @returns `undefined` for bytes that are no header.
 */
export function peekSegmentHeader(
  bytes: Uint8Array,
): Pick<SegmentHeader, 'kind' | 'firstOrdinal'> | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC))
    return undefined;
  const reader = new ByteReader(bytes.subarray(MAGIC.length, MAC_AT));
  reader.u16();
  const kind = reader.u8() === 0 ? 'log' : 'compacted';
  reader.bytes(1 + 4 + 16 + 8);
  return { kind, firstOrdinal: reader.u64() };
}

/** The values of a segment's header that the manifest requires. */
export interface ExpectedHeader {
  readonly id: number;
  readonly headerMac: Uint8Array;
  readonly storeId: Uint8Array;
}

/**
 * Checks a header against the manifest and reads it.
 * @throws EvidenceError STORE_SEGMENT_FOREIGN, STORE_SEGMENT_SWAPPED, STORE_FORMAT_UNSUPPORTED or
 *   STORE_SEGMENT_DAMAGED.
 */
export function readSegmentHeader(
  bytes: Uint8Array,
  expected: ExpectedHeader,
  chainKey: Uint8Array,
): SegmentHeader {
  const authentic =
    bytes.length === SEGMENT_HEADER_BYTES &&
    equalConstantTime(hmacSha256(chainKey, bytes.subarray(0, MAC_AT)), bytes.subarray(MAC_AT));
  if (!authentic || !equalConstantTime(bytes.subarray(MAC_AT), expected.headerMac))
    throw headerError(bytes, expected, authentic);
  const reader = new ByteReader(bytes.subarray(MAGIC.length, MAC_AT));
  reader.u16();
  const kind = reader.u8() === 0 ? 'log' : 'compacted';
  reader.u8();
  return {
    kind,
    keyVersion: reader.u32(),
    storeId: reader.bytes(16),
    id: reader.u64(),
    firstOrdinal: reader.u64(),
    salt: reader.bytes(16),
    previous: reader.bytes(32),
  };
}

/** Says in what way a header is wrong. The fields are not authenticated, which is enough to name the fault. */
function headerError(bytes: Uint8Array, expected: ExpectedHeader, authentic: boolean): EvidenceError {
  const place = segmentFileName(expected.id);
  const bad = (
    code:
      | 'STORE_SEGMENT_FOREIGN'
      | 'STORE_SEGMENT_SWAPPED'
      | 'STORE_FORMAT_UNSUPPORTED'
      | 'STORE_SEGMENT_DAMAGED',
    what: string,
  ) => new EvidenceError(code, `${place} ${what}`, { field: `${place}, bytes 0 to 127` });
  if (bytes.length < SEGMENT_HEADER_BYTES || !equalBytes(bytes.subarray(0, 8), MAGIC))
    return bad('STORE_SEGMENT_DAMAGED', 'has no segment header');
  const reader = new ByteReader(bytes.subarray(8));
  const version = reader.u16();
  if (!authentic && version > SEGMENT_VERSION)
    return bad('STORE_FORMAT_UNSUPPORTED', `is of version ${version}; this program reads ${SEGMENT_VERSION}`);
  reader.bytes(6);
  if (!equalBytes(reader.bytes(16), expected.storeId))
    return bad('STORE_SEGMENT_FOREIGN', 'belongs to another store');
  const id = reader.u64();
  if (authentic || id !== expected.id)
    return bad('STORE_SEGMENT_SWAPPED', `holds another segment (number ${id})`);
  return bad('STORE_SEGMENT_DAMAGED', 'has a damaged header');
}

/** One open segment file with its state. */
export interface Segment {
  readonly id: number;
  readonly kind: SegmentKind;
  readonly path: string;
  readonly handle: FileHandle;
  readonly keys: RecordKeys;
  readonly headerMac: Uint8Array;
  readonly firstOrdinal: number;
  /** Position in the segment table, which the index's packed numbers refer to. */
  readonly row: number;
  /** Durable bytes. */
  length: number;
  /** Zeros behind them in the file, ready for frames. */
  room: number;
  /** False once the disk had none to give. */
  takesRoom: boolean;
  /** Ordinal behind the last record. */
  nextOrdinal: number;
  /** Digest of the last frame. */
  digest: Uint8Array;
  /** No record that was dead when the log was at this sequence is in here (0: nothing is known). */
  cleanAsOf: number;
  /** Bytes of records that the index still refers to. */
  liveBytes: number;
  /** Bytes of records of erased namespaces; a sweep removes them. */
  erasedBytes: number;
  /** Bytes that compaction had to keep in addition to records: namespaces, and deletions that hide older records. */
  keptBytes: number;
  /** Snapshots and iterations that may still read it. */
  readers: number;
  /** The manifest no longer lists it; the file goes when the last reader does. */
  obsolete: boolean;
}
