import { ByteReader, ByteWriter } from './byte-layout.ts';

/**
 * What a record says, inside its ciphertext: operation (1) ‖ zero (1) ‖ name length (u16) ‖ namespace (u32) ‖ value
 * length (u32) ‖ name ‖ value ‖ zeros up to a multiple of the padding. Integers are big-endian.
 */
export const RECORD_HEADER_BYTES = 12;

/** Least step of the lengths of ciphertexts, so that a length reveals little and records stay aligned. */
export const MIN_PADDING_BYTES = 16;

/** The meaning of the first byte of a record. */
export const operations = {
  put: 1,
  delete: 2,
  /** Value: kind (0 plain, 1 erasable) ‖ place of the wrapped key (u32). The name is the namespace's. */
  createNamespace: 3,
  eraseNamespace: 4,
  /** Value: a record of an erasable namespace, sealed under that namespace's own key. No name. */
  sealedInner: 5,
} as const;

/** The decoded fixed part of a record. */
export interface RecordHeader {
  readonly operation: number;
  readonly namespace: number;
  readonly nameLength: number;
  readonly valueLength: number;
}

/** A record to be written. */
export interface RecordContent {
  readonly operation: number;
  readonly namespace: number;
  readonly name: string;
  readonly value: Uint8Array;
}

const NOTHING = new Uint8Array(0);
/** A value of no bytes. */
export const noValue = (): Uint8Array => NOTHING;

/** Length of the plaintext of a record, padded. */
export function recordLength(nameBytes: number, valueBytes: number, padding: number): number {
  return Math.ceil((RECORD_HEADER_BYTES + nameBytes + valueBytes) / padding) * padding;
}

/** Lays out plaintexts in one buffer that is used again and again. */
export class RecordEncoder {
  readonly #padding: number;
  #scratch = Buffer.alloc(4096);

  constructor(padding: number) {
    this.#padding = padding;
  }

  /** The plaintext, valid until the next call. */
  encode({ operation, namespace, name, value }: RecordContent): Uint8Array {
    // Three bytes per UTF-16 unit are the most that UTF-8 takes.
    const most = RECORD_HEADER_BYTES + name.length * 3 + value.length + this.#padding;
    if (this.#scratch.length < most) this.#scratch = Buffer.alloc(most * 2);
    const scratch = this.#scratch;
    const nameBytes = scratch.write(name, RECORD_HEADER_BYTES, 'utf8');
    scratch[0] = operation;
    scratch[1] = 0;
    scratch.writeUInt16BE(nameBytes, 2);
    scratch.writeUInt32BE(namespace, 4);
    scratch.writeUInt32BE(value.length, 8);
    const end = RECORD_HEADER_BYTES + nameBytes + value.length;
    scratch.set(value, RECORD_HEADER_BYTES + nameBytes);
    const padded = recordLength(nameBytes, value.length, this.#padding);
    scratch.fill(0, end, padded);
    return scratch.subarray(0, padded);
  }

  /** Overwrites what the last record left in the buffer. */
  wipe(): void {
    if (this.#scratch.length > 65_536) this.#scratch = Buffer.alloc(4096);
    else this.#scratch.fill(0);
  }
}

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads the fixed part; `undefined` when there is less. */
export function readRecordHeader(plaintext: Uint8Array): RecordHeader | undefined {
  if (plaintext.length < RECORD_HEADER_BYTES) return undefined;
  const bytes = view(plaintext);
  return {
    operation: bytes.readUInt8(0),
    nameLength: bytes.readUInt16BE(2),
    namespace: bytes.readUInt32BE(4),
    valueLength: bytes.readUInt32BE(8),
  };
}

/** The name in the plaintext of a record, or in a long enough beginning of the plaintext. */
export function readName(plaintext: Uint8Array, { nameLength }: RecordHeader): string {
  return view(plaintext).toString('utf8', RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + nameLength);
}

/** The value of a whole record, as a view; `undefined` when its lengths do not fit. */
export function readValue(
  plaintext: Uint8Array,
  { nameLength, valueLength }: RecordHeader,
): Uint8Array | undefined {
  const start = RECORD_HEADER_BYTES + nameLength;
  if (start + valueLength > plaintext.length) return undefined;
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset + start, valueLength);
}

/** The value of the record that creates a namespace: kind (0 plain, 1 erasable) ‖ place of its key (u32). */
export function encodeNamespaceKind(keyPlace: number | undefined): Uint8Array {
  return new ByteWriter()
    .u8(keyPlace === undefined ? 0 : 1)
    .u32(keyPlace ?? 0)
    .done();
}

/** Reads what {@link encodeNamespaceKind} wrote: the place of the key, or `undefined` for a plain namespace. */
export function decodeNamespaceKind(value: Uint8Array): number | undefined {
  const reader = new ByteReader(value);
  const isErasable = reader.u8() === 1;
  const place = reader.u32();
  return isErasable ? place : undefined;
}
