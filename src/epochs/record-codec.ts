import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Builds the binary form of epoch records and DKG messages. */
export class RecordWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  /** Big-endian, 8 bytes. */
  u64(value: number): this {
    this.#parts.push(u64BigEndian(value));
    return this;
  }

  /** LEB128 of a u32, in its shortest form. */
  varint(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new RangeError(`${value} is not a u32`);
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
    this.#parts.push(Uint8Array.from(bytes));
    return this;
  }

  /** Bytes of a length that the reader knows. */
  fixed(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).fixed(bytes);
  }

  /** 0, or 1 and the value. */
  option<T>(value: T | undefined, write: (writer: RecordWriter, value: T) => void): this {
    this.u8(value === undefined ? 0 : 1);
    if (value !== undefined) write(this, value);
    return this;
  }

  finish(): Uint8Array {
    return concatBytes(...this.#parts);
  }
}

/**
 * Reads the encoding of {@link RecordWriter} and refuses any other: each value has one encoding, lengths are bounded
 * before bytes are copied, and {@link end} refuses trailing bytes. Every method throws EvidenceError EPOCH_ENCODING.
 */
export class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** `what` names the record in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  u8(): number {
    return this.fixed(1)[0] ?? 0;
  }

  /** Big-endian; refused above 2^53 − 1, which no counter of epochs or rounds reaches. */
  u64(): number {
    const value = readU64BigEndian(this.fixed(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.refuse('a number up to 2^53 - 1', `${value}`);
    return Number(value);
  }

  varint(): number {
    let value = 0;
    for (let index = 0; index < 5; index++) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        if (index > 0 && byte === 0) this.refuse('the shortest varint', 'a padded one');
        if (value > 0xffff_ffff) this.refuse('a u32', `${value}`);
        return value;
      }
    }
    return this.refuse('a varint of at most 5 bytes', 'a longer one');
  }

  /** Copies `length` bytes. */
  fixed(length: number): Uint8Array {
    const left = this.#bytes.length - this.#offset;
    if (left < length) this.refuse(`${length} more bytes`, `${left}`);
    const bytes = copyBytes(this.#bytes.subarray(this.#offset, this.#offset + length));
    this.#offset += length;
    return bytes;
  }

  /** A length of at most `maxBytes`, then as many bytes. */
  bytes(maxBytes: number): Uint8Array {
    return this.fixed(this.count(maxBytes));
  }

  /** A varint of at most `most`. */
  count(most: number): number {
    const count = this.varint();
    // Written so that a bound that is no number refuses.
    if (!(count <= most)) this.refuse(`at most ${most}`, `${count}`);
    return count;
  }

  option<T>(read: (reader: RecordReader) => T): T | undefined {
    const tag = this.u8();
    if (tag > 1) this.refuse('0 or 1', `${tag}`);
    return tag === 1 ? read(this) : undefined;
  }

  /** Refuses trailing bytes. */
  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left > 0) this.refuse('the end', `${left} more bytes`);
  }

  /** @throws EvidenceError EPOCH_ENCODING always, naming the record and the place. */
  refuse(expected: string, observed: string): never {
    throw new EvidenceError(
      'EPOCH_ENCODING',
      `${this.#what} is malformed near byte ${this.#offset}: expected ${expected}, got ${observed}`,
      { field: this.#what, expected, observed },
    );
  }
}
