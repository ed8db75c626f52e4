import type { RandomSource } from '../../crypto/random.ts';
import type { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../../crypto/xchacha20-poly1305.ts';
import { writeU64 } from './byte-layout.ts';
import type { FrameBuilder } from './frame.ts';
import {
  operations,
  RECORD_HEADER_BYTES,
  type RecordContent,
  RecordEncoder,
  type RecordHeader,
  readName,
  readRecordHeader,
  readValue,
} from './record.ts';

/** Bytes that sealing adds. */
export const SEAL_BYTES = XCHACHA_NONCE_BYTES + XCHACHA_TAG_BYTES;
const NONCES_AT_ONCE = 256;
/** Enough of a record for its header and a name of up to 52 bytes: one block of the key stream. */
const PREFIX_BYTES = 64;

/** Segment and number of a record: with the store id, its associated data. */
export interface RecordPosition {
  readonly segmentId: number;
  readonly ordinal: number;
}

/** A record as opened. */
export interface OpenedRecord extends RecordHeader {
  readonly name: string;
  /** A view that is the caller's to keep. */
  readonly value: Uint8Array;
}

/** The parts of a record that a replay uses: all except the value. */
export interface OpenedName extends RecordHeader {
  readonly name: string;
}

/** Finds the own key of an erasable namespace; `undefined` when it was destroyed. */
export type InnerKeys = (namespace: number) => XChaCha20Key | undefined;

/** Seals and opens records: associated data = store id (16) ‖ segment id (u64) ‖ ordinal (u64). */
export class RecordSealer {
  readonly #associatedData = Buffer.alloc(32);
  readonly #encoder: RecordEncoder;
  readonly #random: RandomSource;
  /** The beginning of the record that is replayed. */
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #nonces: Uint8Array = new Uint8Array(0);
  #nextNonce = 0;

  constructor(storeId: Uint8Array, random: RandomSource, padding: number) {
    this.#associatedData.set(storeId);
    this.#encoder = new RecordEncoder(padding);
    this.#random = random;
  }

  /**
   * Seals a record into a frame; under `inner` first, where its namespace has a key of its own.
   * @returns offset of the nonce in the frame, and length of nonce ‖ ciphertext ‖ tag.
   */
  seal(
    frame: FrameBuilder,
    outer: XChaCha20Key,
    position: RecordPosition,
    content: RecordContent,
    inner?: XChaCha20Key,
  ): { readonly offset: number; readonly length: number } {
    const associatedData = this.#bind(position);
    const written = inner === undefined ? content : this.#sealInner(inner, associatedData, content);
    const plaintext = this.#encoder.encode(written);
    const length = plaintext.length + SEAL_BYTES;
    const { bytes, offset } = frame.reserve(length);
    outer.sealInto(bytes, offset, this.#nonce(), associatedData, plaintext);
    return { offset, length };
  }

  /** Opens a whole record; `undefined` when it does not authenticate or its namespace's key is gone. */
  open(
    sealed: Uint8Array,
    outer: XChaCha20Key,
    position: RecordPosition,
    innerKeys: InnerKeys,
  ): OpenedRecord | undefined {
    const associatedData = this.#bind(position);
    const opened = parse(outer.open(sealed, associatedData));
    if (opened?.operation !== operations.sealedInner) return opened;
    return parse(innerKeys(opened.namespace)?.open(opened.value, associatedData));
  }

  /**
   * Reads header and name of a record in an authenticated frame. The MAC of the frame covers every byte of the
   * ciphertext, so replaying may decrypt the beginning only, and leaves the tag to {@link open}.
   * @returns `undefined` when the lengths make no sense; operation `sealedInner` when the namespace's key is gone.
   */
  openName(sealed: Uint8Array, outer: XChaCha20Key, innerKeys: InnerKeys): OpenedName | undefined {
    const opened = this.#nameOf(sealed, outer);
    if (opened?.operation !== operations.sealedInner) return opened;
    const inner = innerKeys(opened.namespace);
    if (inner === undefined) return opened;
    const whole = outer.decryptAuthenticated(sealed, RECORD_HEADER_BYTES + opened.valueLength);
    return this.#nameOf(whole.subarray(RECORD_HEADER_BYTES), inner);
  }

  /** Overwrites plaintext that is left in buffers. */
  wipe(): void {
    this.#encoder.wipe();
    this.#prefix.fill(0);
  }

  #nameOf(sealed: Uint8Array, key: XChaCha20Key): OpenedName | undefined {
    const available = sealed.length - SEAL_BYTES;
    if (available < RECORD_HEADER_BYTES) return undefined;
    const prefix = this.#prefix;
    key.decryptFirst(sealed, prefix, Math.min(available, PREFIX_BYTES));
    const nameLength = prefix.readUInt16BE(2);
    const valueLength = prefix.readUInt32BE(8);
    const nameEnd = RECORD_HEADER_BYTES + nameLength;
    if (nameEnd + valueLength > available) return undefined;
    const header = {
      operation: prefix.readUInt8(0),
      namespace: prefix.readUInt32BE(4),
      nameLength,
      valueLength,
    };
    if (nameEnd <= PREFIX_BYTES)
      return { ...header, name: prefix.toString('utf8', RECORD_HEADER_BYTES, nameEnd) };
    return { ...header, name: readName(key.decryptAuthenticated(sealed, nameEnd), header) };
  }

  #sealInner(inner: XChaCha20Key, associatedData: Uint8Array, content: RecordContent): RecordContent {
    const plaintext = this.#encoder.encode(content);
    const value = new Uint8Array(plaintext.length + SEAL_BYTES);
    inner.sealInto(value, 0, this.#nonce(), associatedData, plaintext);
    return { operation: operations.sealedInner, namespace: content.namespace, name: '', value };
  }

  #bind({ segmentId, ordinal }: RecordPosition): Uint8Array {
    writeU64(this.#associatedData, segmentId, 16);
    writeU64(this.#associatedData, ordinal, 24);
    return this.#associatedData;
  }

  /** Random bytes by the hundred: asking for 24 costs as much as sealing half a record. */
  #nonce(): Uint8Array {
    if (this.#nextNonce === this.#nonces.length) {
      this.#nonces = this.#random(NONCES_AT_ONCE * XCHACHA_NONCE_BYTES);
      this.#nextNonce = 0;
    }
    this.#nextNonce += XCHACHA_NONCE_BYTES;
    return this.#nonces.subarray(this.#nextNonce - XCHACHA_NONCE_BYTES, this.#nextNonce);
  }
}

function parse(plaintext: Uint8Array | undefined): OpenedRecord | undefined {
  const header = plaintext === undefined ? undefined : readRecordHeader(plaintext);
  if (plaintext === undefined || header === undefined) return undefined;
  const value = readValue(plaintext, header);
  return value === undefined ? undefined : { ...header, name: readName(plaintext, header), value };
}
