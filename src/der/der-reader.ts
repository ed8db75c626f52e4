import { byteAt } from '../bytes/byte-at.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Name and error code of the document that a reader reads, for its errors. */
export interface DerContext {
  /** Code of the error that a malformed document gives. */
  readonly code: ErrorCode;
  /** Name of the document in messages, such as "PCK leaf certificate". */
  readonly document: string;
}

/** The universal tags (X.690 section 8) that X.509 certificates and CRLs are made of. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a constructed, context-specific element such as `[0] EXPLICIT`. */
export const contextTag = (number: number): number => 0xa0 | number;

/**
 * Reads DER (X.690 section 10) from front to back, strictly: definite and minimal lengths, minimal integers, nothing
 * beyond the end. Values are views into the input. Every malformation throws an EvidenceError with the context's
 * code, the byte offset, what was expected and what came.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #context: DerContext;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, context: DerContext, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#context = context;
    this.#offset = start;
    this.#end = end;
  }

  /** Whether anything is left. */
  get hasMore(): boolean {
    return this.#offset < this.#end;
  }

  /** The next tag, or `undefined` at the end. */
  get nextTag(): number | undefined {
    return this.hasMore ? this.#bytes[this.#offset] : undefined;
  }

  /** A second reader at the same place. */
  clone(): DerReader {
    return new DerReader(this.#bytes, this.#context, this.#offset, this.#end);
  }

  /** Refuses the document. */
  fail(expected: string, observed: string, at = this.#offset): never {
    const { code, document } = this.#context;
    throw new EvidenceError(
      code,
      `${document} is not valid DER: expected ${expected} at byte ${at}, got ${observed}`,
      {
        field: document,
        expected,
        observed,
      },
    );
  }

  /** Requires that nothing is left. */
  end(): void {
    if (this.hasMore) this.fail('the end', `${this.#end - this.#offset} more bytes`);
  }

  /** Reads one element with this tag; returns its contents. */
  contents(tag: number): Uint8Array {
    const start = this.#element(tag);
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Reads one element with this tag; returns it whole, with tag and length. */
  whole(tag: number): Uint8Array {
    const begin = this.#offset;
    this.#element(tag);
    return this.#bytes.subarray(begin, this.#offset);
  }

  /** Enters one constructed element with this tag. */
  enter(tag: number = tags.sequence): DerReader {
    const start = this.#element(tag);
    return new DerReader(this.#bytes, this.#context, start, this.#offset);
  }

  /** Enters the next element when it has this tag. */
  enterOptional(tag: number): DerReader | undefined {
    return this.nextTag === tag ? this.enter(tag) : undefined;
  }

  /** A BOOLEAN; DER knows only 00 and FF (X.690 section 11.1). */
  boolean(): boolean {
    const at = this.#offset;
    const contents = this.contents(tags.boolean);
    const value = contents[0];
    if (contents.length !== 1 || (value !== 0 && value !== 0xff))
      this.fail('a BOOLEAN of 00 or FF', 'other bytes', at);
    return value === 0xff;
  }

  /** A BOOLEAN DEFAULT FALSE: DER leaves the default out (X.690 section 11.5). */
  flag(): boolean {
    return this.nextTag === tags.boolean && (this.boolean() || this.fail('no explicit FALSE', 'one'));
  }

  /** A non-negative INTEGER of any size; big-endian without the sign byte, at least one byte. */
  unsignedInteger(tag: number = tags.integer): Uint8Array {
    const at = this.#offset;
    const contents = this.contents(tag);
    const first = contents[0];
    if (first === undefined) return this.fail('an INTEGER', 'an empty one', at);
    if (first >= 0x80) return this.fail('an INTEGER that is not negative', 'a negative one', at);
    if (first !== 0 || contents.length === 1) return contents;
    if (byteAt(contents, 1) < 0x80) this.fail('a minimal INTEGER', 'one with a leading zero', at);
    return contents.subarray(1);
  }

  /** A non-negative INTEGER (or ENUMERATED) up to `max`, which is below 2^32. */
  smallInteger(max: number, tag: number = tags.integer): number {
    const at = this.#offset;
    const bytes = this.unsignedInteger(tag);
    let value = bytes.length > 4 ? Number.POSITIVE_INFINITY : 0;
    for (let index = 0; value <= max && index < bytes.length; index++)
      value = value * 256 + byteAt(bytes, index);
    return value <= max ? value : this.fail(`an integer up to ${max}`, `one of ${bytes.length} bytes`, at);
  }

  /** An OCTET STRING, of exactly `byteLength` bytes when that is given. */
  octetString(byteLength?: number): Uint8Array {
    const at = this.#offset;
    const contents = this.contents(tags.octetString);
    if (byteLength !== undefined && contents.length !== byteLength) {
      this.fail(`an OCTET STRING of ${byteLength} bytes`, `${contents.length} bytes`, at);
    }
    return contents;
  }

  /** A BIT STRING; returns its bytes and the number of unused bits, which must be zero bits (X.690 section 11.2). */
  bitString(): { readonly bytes: Uint8Array; readonly unusedBits: number } {
    const at = this.#offset;
    const contents = this.contents(tags.bitString);
    const unusedBits = contents[0];
    const bytes = contents.subarray(1);
    if (unusedBits === undefined || unusedBits > 7 || (unusedBits > 0 && bytes.length === 0)) {
      return this.fail('a BIT STRING with 0 to 7 unused bits', 'another first byte', at);
    }
    const unused = (1 << unusedBits) - 1;
    if (unused !== 0 && (byteAt(bytes, bytes.length - 1) & unused) !== 0)
      this.fail('unused bits of zero', 'ones', at);
    return { bytes, unusedBits };
  }

  /** A BIT STRING of whole bytes, as keys and signatures are. */
  byteString(): Uint8Array {
    const at = this.#offset;
    const { bytes, unusedBits } = this.bitString();
    return unusedBits === 0
      ? bytes
      : this.fail('a BIT STRING of whole bytes', `${unusedBits} unused bits`, at);
  }

  /** An OBJECT IDENTIFIER in dotted text. Certificates are full of them, hence the plain loop. */
  oid(): string {
    const at = this.#offset;
    const contents = this.contents(tags.oid);
    let text = '';
    let value = 0;
    let isInArc = false;
    for (let index = 0; index < contents.length; index++) {
      const byte = byteAt(contents, index);
      if (!isInArc && byte === 0x80) this.fail('a minimal OBJECT IDENTIFIER', 'a padded arc', at);
      value = value * 128 + (byte & 0x7f);
      if (value > 0xffff_ffff) this.fail('arcs below 2^32', 'a larger one', at);
      isInArc = byte >= 0x80;
      if (isInArc) continue;
      text = text === '' ? firstArcs(value) : `${text}.${value}`;
      value = 0;
    }
    if (isInArc) return this.fail('an OBJECT IDENTIFIER', 'one cut off in an arc', at);
    return text === '' ? this.fail('an OBJECT IDENTIFIER', 'an empty one', at) : text;
  }

  /** Moves past one element with this tag. @returns where its contents start; they end at the new offset. */
  #element(tag: number): number {
    const at = this.#offset;
    const found = this.nextTag;
    if (found !== tag) {
      this.fail(
        `tag 0x${tag.toString(16)}`,
        found === undefined ? 'the end' : `tag 0x${found.toString(16)}`,
        at,
      );
    }
    const length = this.#length(at + 1);
    const start = at + 2 + lengthBytesAfterFirst(length);
    if (start + length > this.#end)
      this.fail(`${length} bytes of contents`, `${this.#end - start} bytes`, at);
    this.#offset = start + length;
    return start;
  }

  /** X.690 sections 8.1.3 and 10.1: definite, in the fewest bytes. */
  #length(at: number): number {
    const first = at < this.#end ? this.#bytes[at] : undefined;
    if (first === undefined) return this.fail('a length', 'the end', at);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3)
      return this.fail('a definite length of at most 3 bytes', `0x${first.toString(16)}`, at);
    if (at + 1 + count > this.#end) return this.fail('a length', 'the end', at);
    let length = 0;
    for (let index = 1; index <= count; index++) length = length * 256 + byteAt(this.#bytes, at + index);
    return lengthBytesAfterFirst(length) === count
      ? length
      : this.fail('a minimal length', 'a padded one', at);
  }
}

/** How many bytes follow the first byte of a length in DER, where lengths are minimal. */
const lengthBytesAfterFirst = (length: number): number =>
  length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3;

/** The first two arcs share a number (X.690 section 8.19.4). */
function firstArcs(value: number): string {
  const root = Math.min(Math.floor(value / 40), 2);
  return `${root}.${value - root * 40}`;
}
