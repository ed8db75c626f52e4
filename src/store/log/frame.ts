import { equalConstantTime } from '../../crypto/constant-time.ts';
import { hmacSha256 } from '../../crypto/hkdf.ts';
import { readU64, writeU64 } from './byte-layout.ts';

/**
 * A frame is what one group commit appends: header ‖ records ‖ MAC. Header, 72 bytes: `LKf1` ‖ first 8 bytes of the
 * store id ‖ length of the records (u32) ‖ ordinal of the first record (u64) ‖ number of records (u32) ‖ zero (u32) ‖
 * durable watermark (u64) ‖ digest of the frame before (32). Each record: length (u32) ‖ nonce (24) ‖ ciphertext ‖
 * tag (16). The MAC is HMAC-SHA-256 over all before it, and is the digest that the next frame continues.
 */
export const FRAME_HEADER_BYTES = 72;
/** Bytes of the MAC at the end of a frame. */
export const FRAME_MAC_BYTES = 32;
/**
 * Most bytes of a frame: room for a full group of 4 MiB and one batch of 64 MiB, because a first version counted only
 * half of the padding.
 */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024;
/** First four bytes of a frame. */
export const FRAME_MAGIC: Uint8Array = Buffer.from('LKf1');
const STORE_TAG_BYTES = 8;
const LENGTH_PREFIX_BYTES = 4;

/** The header of a frame, as read; nothing in it is to be trusted before {@link frameDigest} matched. */
export interface FrameHeader {
  readonly storeTag: Uint8Array;
  readonly bodyLength: number;
  readonly firstOrdinal: number;
  readonly records: number;
  /** Ordinal up to which all was durable when this frame was written. */
  readonly watermark: number;
  readonly previous: Uint8Array;
  /** Whole length with header and MAC. */
  readonly length: number;
}

/** Reads a frame header at an offset; `undefined` when there is no frame magic or too little. */
export function readFrameHeader(bytes: Buffer, at: number): FrameHeader | undefined {
  if (bytes.length < at + FRAME_HEADER_BYTES) return undefined;
  if (bytes.compare(FRAME_MAGIC, 0, FRAME_MAGIC.length, at, at + FRAME_MAGIC.length) !== 0) return undefined;
  const bodyLength = bytes.readUInt32BE(at + 12);
  return {
    storeTag: bytes.subarray(at + 4, at + 4 + STORE_TAG_BYTES),
    bodyLength,
    firstOrdinal: readU64(bytes, at + 16),
    records: bytes.readUInt32BE(at + 24),
    watermark: readU64(bytes, at + 32),
    previous: bytes.subarray(at + 40, at + FRAME_HEADER_BYTES),
    length: FRAME_HEADER_BYTES + bodyLength + FRAME_MAC_BYTES,
  };
}

/** The length of a frame by its header; not trusted before the frame is authenticated. */
export const claimedLength = (header: Buffer): number =>
  FRAME_HEADER_BYTES + header.readUInt32BE(12) + FRAME_MAC_BYTES;

/**
 * Authenticates a whole frame.
 * @returns its digest (32 bytes), or `undefined` when the MAC does not match.
 */
export function frameDigest(frame: Uint8Array, chainKey: Uint8Array): Uint8Array | undefined {
  const end = frame.length - FRAME_MAC_BYTES;
  const digest = hmacSha256(chainKey, frame.subarray(0, end));
  return equalConstantTime(digest, frame.subarray(end)) ? digest : undefined;
}

/** A sealed record inside an authenticated frame. */
export interface SealedRecord {
  /** Offset of the nonce from the start of the frame. */
  readonly offset: number;
  /** nonce ‖ ciphertext ‖ tag. */
  readonly sealed: Buffer;
}

/** The records of an authenticated frame in order. The lengths were written by the store itself. */
export function* recordsOf(frame: Buffer): Generator<SealedRecord> {
  const end = frame.length - FRAME_MAC_BYTES;
  let at = FRAME_HEADER_BYTES;
  while (at < end) {
    const length = frame.readUInt32BE(at);
    const offset = at + LENGTH_PREFIX_BYTES;
    yield { offset, sealed: frame.subarray(offset, offset + length) };
    at = offset + length;
  }
}

/** Bytes that a frame needs for a record of this sealed length. */
export const framedLength = (sealedLength: number): number => LENGTH_PREFIX_BYTES + sealedLength;

/** Collects the records of one frame in one buffer, so that a commit is one write. */
export class FrameBuilder {
  #bytes: Buffer;
  #length = FRAME_HEADER_BYTES;
  #records = 0;

  constructor(capacity = 65_536) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get records(): number {
    return this.#records;
  }

  /** Length that the frame would have now. */
  get length(): number {
    return this.#length + FRAME_MAC_BYTES;
  }

  /**
   * Makes room for a record and writes its length.
   * @returns where nonce ‖ ciphertext ‖ tag go: `bytes` from `offset`.
   */
  reserve(sealedLength: number): { readonly bytes: Buffer; readonly offset: number } {
    const end = this.#length + LENGTH_PREFIX_BYTES + sealedLength;
    if (end + FRAME_MAC_BYTES > this.#bytes.length) this.#grow(end + FRAME_MAC_BYTES);
    this.#bytes.writeUInt32BE(sealedLength, this.#length);
    const offset = this.#length + LENGTH_PREFIX_BYTES;
    this.#length = end;
    this.#records += 1;
    return { bytes: this.#bytes, offset };
  }

  /** A record that was written before, as a view. */
  view(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  /** Fills in the header and the MAC. @returns the frame, which shares the builder's memory. */
  finish(fields: {
    readonly storeId: Uint8Array;
    readonly firstOrdinal: number;
    readonly watermark: number;
    readonly previous: Uint8Array;
    readonly chainKey: Uint8Array;
  }): { readonly frame: Buffer; readonly digest: Uint8Array } {
    const bytes = this.#bytes;
    bytes.set(FRAME_MAGIC, 0);
    bytes.set(fields.storeId.subarray(0, STORE_TAG_BYTES), 4);
    bytes.writeUInt32BE(this.#length - FRAME_HEADER_BYTES, 12);
    writeU64(bytes, fields.firstOrdinal, 16);
    bytes.writeUInt32BE(this.#records, 24);
    bytes.writeUInt32BE(0, 28);
    writeU64(bytes, fields.watermark, 32);
    bytes.set(fields.previous, 40);
    const digest = hmacSha256(fields.chainKey, bytes.subarray(0, this.#length));
    bytes.set(digest, this.#length);
    return { frame: bytes.subarray(0, this.length), digest };
  }

  /** Makes the builder empty again, for another frame. */
  reset(): void {
    this.#length = FRAME_HEADER_BYTES;
    this.#records = 0;
    if (this.#bytes.length > 8 * 1024 * 1024) this.#bytes = Buffer.allocUnsafeSlow(65_536);
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
