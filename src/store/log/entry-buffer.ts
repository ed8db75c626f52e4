import { writeU64 } from './byte-layout.ts';

/** Appends big-endian integers, texts and bytes to one buffer that grows and is used again and again. */
export class EntryBuffer {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#bytes.writeUInt8(value, this.#take(1));
    return this;
  }

  u32(value: number): this {
    this.#bytes.writeUInt32BE(value, this.#take(4));
    return this;
  }

  u64(value: number): this {
    const at = this.#take(8);
    writeU64(this.#bytes, value, at);
    return this;
  }

  /** Length (u16), then UTF-8. */
  text(value: string): this {
    // Three bytes per UTF-16 unit are the most that UTF-8 takes.
    const at = this.#take(2 + value.length * 3);
    const length = this.#bytes.write(value, at + 2, 'utf8');
    this.#bytes.writeUInt16BE(length, at);
    this.#length = at + 2 + length;
    return this;
  }

  raw(value: Uint8Array): this {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** What was appended, as a view that is valid until the next call. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes it empty, and overwrites what was in it. */
  reset(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
  }

  #take(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(2 * this.#length);
      this.#bytes.copy(grown);
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    return at;
  }
}
