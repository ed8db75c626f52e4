/** Appends big-endian integers and bytes; for the small structures of the store, not for its hot path. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  u16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeUInt16BE(value);
    return this.bytes(part);
  }

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    return this.bytes(part);
  }

  /** A safe integer in 8 bytes. */
  u64(value: number): this {
    const part = Buffer.alloc(8);
    writeU64(part, value, 0);
    return this.bytes(part);
  }

  done(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

/** Reads what {@link ByteWriter} wrote. Reading beyond the end throws a RangeError. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A copy of the next bytes. */
  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new RangeError('the structure ends too early');
    const part = new Uint8Array(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    return part;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#skip(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#skip(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  u64(): number {
    return readU64(this.#bytes, this.#skip(8));
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #skip(length: number): number {
    this.#at += length;
    return this.#at - length;
  }
}

const TWO_32 = 2 ** 32;

/** Writes a safe integer as a big-endian u64, without a BigInt. */
export function writeU64(into: Buffer, value: number, at: number): void {
  into.writeUInt32BE(Math.floor(value / TWO_32), at);
  into.writeUInt32BE(value % TWO_32, at + 4);
}

/** Reads a big-endian u64; one beyond the safe integers comes back inexact, and so matches nothing. */
export const readU64 = (from: Buffer, at: number): number =>
  from.readUInt32BE(at) * TWO_32 + from.readUInt32BE(at + 4);
