import type { Layout } from './runtime-layout.ts';

/** Steps over the fields that are not read, for one value; honest records need some dozens. */
const MAX_SKIP_STEPS = 1024;

/** Smallest values of compact integers with 1, 2 and 4 bytes. */
const smallestOfMode = [0, 2 ** 6, 2 ** 14] as const;

/**
 * Reads SCALE bytes from front to back. Takes exactly what the runtime writes: compact integers in their shortest
 * form, known variants, no bytes left over. Every method throws RangeError on anything else.
 */
export class ScaleReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #stepsLeft = MAX_SKIP_STEPS;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next bytes, as a view of what is read. */
  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new RangeError('the value ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Count of the items that follow. Each item has at least one byte, so the count is at most the remaining bytes. */
  count(): number {
    const head = this.#compact();
    if (head.length > 4) throw new RangeError('a count beyond all bytes');
    // Mode and value share the bytes: the value is above the two lowest bits.
    return new DataView(Uint8Array.of(...head, 0, 0, 0, 0).buffer).getUint32(0, true) >>> 2;
  }

  /** `Vec<u8>`, as a view of what is read. */
  byteVec(): Uint8Array {
    return this.take(this.count());
  }

  /** Steps over one value. */
  skip(layout: Layout): void {
    this.#stepsLeft -= 1;
    if (this.#stepsLeft < 0) throw new RangeError('too many parts to step over');
    switch (layout.kind) {
      case 'fixed':
        this.take(layout.bytes);
        return;
      case 'compact':
        this.#compact();
        return;
      case 'tuple':
        for (const part of layout.parts) this.skip(part);
        return;
      case 'sequence':
        this.#skipMany(this.count(), layout.of);
        return;
      case 'array':
        this.#skipMany(layout.length, layout.of);
        return;
      case 'choice': {
        const [chosen] = this.take(1);
        const variant = layout.variants.find(({ index }) => index === chosen);
        if (variant === undefined) throw new RangeError('a variant that is not there');
        for (const part of variant.parts) this.skip(part);
      }
    }
  }

  /** Nothing may be left over. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError('bytes are left over');
  }

  #skipMany(count: number, layout: Layout): void {
    if (layout.kind === 'fixed') this.take(count * layout.bytes);
    else for (let done = 0; done < count; done += 1) this.skip(layout);
  }

  /** The bytes of a compact integer, which must be the fewest that hold its value. */
  #compact(): Uint8Array {
    const mode = (this.#bytes[this.#at] ?? 0) & 3;
    if (mode !== 3) {
      const bytes = this.take(1 << mode);
      const value = new DataView(Uint8Array.of(...bytes, 0, 0, 0, 0).buffer).getUint32(0, true) >>> 2;
      if (value < (smallestOfMode[mode] ?? 0)) throw new RangeError('a compact integer that is too long');
      return bytes;
    }
    const bytes = this.take(((this.#bytes[this.#at] ?? 0) >>> 2) + 5);
    const isShortest = bytes.at(-1) !== 0 && (bytes.length > 5 || (bytes[4] ?? 0) >= 0x40);
    if (!isShortest) throw new RangeError('a compact integer that is too long');
    return bytes;
  }
}
