import { invalidProof } from './proof-errors.ts';

const U32_BYTES = 4;
const U64_BYTES = 8;
/** First byte of a SCALE compact integer in the big form that holds exactly four bytes. */
const COMPACT_FOUR_BYTES = 3;

/**
 * Reads SCALE strictly: every read stays inside the bytes, compact integers must be of the shortest form, and
 * {@link end} refuses what is left over. Byte strings are views, not copies.
 * @throws EvidenceError CHAIN_PROOF_INVALID, from every method, naming the document and the field.
 */
export class ProofReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** @param what the document, as messages call it. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Bytes that are left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** Where the next byte is read. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes between an earlier {@link offset} and here. */
  since(offset: number): Uint8Array {
    return this.#bytes.subarray(offset, this.#offset);
  }

  /** The bytes from here on. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#offset);
  }

  fail(field: string, expected: string, observed: string): never {
    throw invalidProof(this.#what, field, expected, observed);
  }

  take(byteLength: number, field: string): Uint8Array {
    if (byteLength > this.remaining) this.fail(field, `${byteLength} bytes`, `${this.remaining} bytes`);
    this.#offset += byteLength;
    return this.#bytes.subarray(this.#offset - byteLength, this.#offset);
  }

  u8(field: string): number {
    return littleEndian(this.take(1, field));
  }

  u16(field: string): number {
    return littleEndian(this.take(2, field));
  }

  u32(field: string): number {
    return littleEndian(this.take(U32_BYTES, field));
  }

  u64(field: string): bigint {
    const bytes = this.take(U64_BYTES, field);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  }

  /** A compact integer of at most 32 bits. */
  compactU32(field: string): number {
    const first = this.u8(field);
    const mode = first & 0b11;
    if (mode === 0) return first >>> 2;
    if (mode === 0b11 && first !== COMPACT_FOUR_BYTES) this.fail(field, 'at most 32 bits', 'more');
    const rest = this.take(mode === 1 ? 1 : mode === 2 ? 3 : U32_BYTES, field);
    const high = littleEndian(rest);
    const value = mode === 0b11 ? high : high * 2 ** 6 + (first >>> 2);
    const shortest = mode === 1 ? 2 ** 6 : mode === 2 ? 2 ** 14 : 2 ** 30;
    if (value < shortest) this.fail(field, 'a compact integer of the shortest form', 'a longer form');
    return value;
  }

  /** Length of a sequence of items of at least `leastItemBytes` each. Fails when the remaining bytes are too few. */
  count(leastItemBytes: number, field: string): number {
    const count = this.compactU32(field);
    if (count * leastItemBytes > this.remaining) {
      this.fail(field, `${count} items`, `${this.remaining} bytes, too few for them`);
    }
    return count;
  }

  /** A SCALE `Vec<u8>`. */
  byteString(field: string): Uint8Array {
    return this.take(this.compactU32(field), field);
  }

  /** Requires that nothing follows. */
  end(): void {
    if (this.remaining > 0) this.fail('end', 'the last byte', `${this.remaining} bytes more`);
  }
}

/** An unsigned integer of up to four bytes. */
const littleEndian = (bytes: Uint8Array): number =>
  bytes.reduceRight((value, byte) => value * 2 ** 8 + byte, 0);
