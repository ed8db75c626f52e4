import { byteAt } from '../bytes/byte-at.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Reads a quote from front to back; no read goes beyond `end`. Values are views. */
export class QuoteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }

  /** @throws EvidenceError QUOTE_TRUNCATED when fewer bytes are left. */
  take(byteLength: number, field: string): Uint8Array {
    const start = this.#advance(byteLength, field);
    return this.#bytes.subarray(start, start + byteLength);
  }

  /** Little-endian. @throws EvidenceError QUOTE_TRUNCATED. */
  u16(field: string): number {
    const at = this.#advance(2, field);
    return byteAt(this.#bytes, at) + byteAt(this.#bytes, at + 1) * 0x100;
  }

  /** Little-endian. @throws EvidenceError QUOTE_TRUNCATED. */
  u32(field: string): number {
    return this.u16(field) + this.u16(field) * 0x1_0000;
  }

  /** A reader of the next `byteLength` bytes, past which this one moves. @throws EvidenceError QUOTE_TRUNCATED. */
  section(byteLength: number, field: string): QuoteReader {
    const start = this.#advance(byteLength, field);
    return new QuoteReader(this.#bytes, start, start + byteLength);
  }

  /** Requires that a section was read to its end. @throws EvidenceError QUOTE_MALFORMED. */
  end(field: string): void {
    if (this.#offset === this.#end) return;
    const observed = `${this.#end - this.#offset} bytes more`;
    throw new EvidenceError('QUOTE_MALFORMED', `${field} is longer than its contents: ${observed}`, {
      field,
      expected: 'a length that its parts use up',
      observed,
    });
  }

  #advance(byteLength: number, field: string): number {
    const start = this.#offset;
    const left = this.#end - start;
    if (byteLength > left) {
      throw new EvidenceError(
        'QUOTE_TRUNCATED',
        `quote ends within ${field}: ${byteLength} bytes at offset ${start}, ${left} are left`,
        { field, expected: `${byteLength} bytes at offset ${start}`, observed: `${left} bytes` },
      );
    }
    this.#offset = start + byteLength;
    return start;
  }
}
