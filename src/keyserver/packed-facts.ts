import { copyBytes } from '../bytes/copy-bytes.ts';
import { BOOT_ID_BYTES } from '../lineage/incarnation.ts';
import type { LineageFacts } from '../lineage/rules.ts';

const DIGEST_BYTES = 32;
const NUMBER_BYTES = 8;
const HAS_HEAD = 1;
const CLOSED = 2;

/** Bytes of the packed facts of a lineage. */
export const FACTS_BYTES = 1 + 3 * (NUMBER_BYTES + BOOT_ID_BYTES) + NUMBER_BYTES + DIGEST_BYTES;

/** Numbers and byte strings, one after another, in memory of fixed length. Numbers up to 2^53 are exact as f64. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #numbers: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  number(): number {
    return this.#numbers.getFloat64(this.#step(NUMBER_BYTES));
  }

  setNumber(value: number): void {
    this.#numbers.setFloat64(this.#step(NUMBER_BYTES), value);
  }

  bytes(length: number): Uint8Array {
    const from = this.#step(length);
    return copyBytes(this.#bytes.subarray(from, from + length));
  }

  setBytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#step(value.length));
  }

  byte(): number {
    return this.#numbers.getUint8(this.#step(1));
  }

  setByte(value: number): void {
    this.#numbers.setUint8(this.#step(1), value);
  }

  #step(length: number): number {
    const from = this.#at;
    this.#at += length;
    return from;
  }
}

/** Writes the facts of a lineage into {@link FACTS_BYTES} bytes. */
export function packFacts({ reserved, shown, head, closed }: LineageFacts, into: Uint8Array): void {
  const to = new Cursor(into);
  to.setByte((head === undefined ? 0 : HAS_HEAD) | (closed ? CLOSED : 0));
  to.setNumber(reserved.number);
  to.setBytes(reserved.boot);
  to.setNumber(shown.number);
  to.setBytes(shown.bootId);
  if (head === undefined) return;
  to.setNumber(head.incarnation.number);
  to.setBytes(head.incarnation.bootId);
  to.setNumber(head.sequence);
  to.setBytes(head.digest);
}

/** Reads what {@link packFacts} wrote. */
export function unpackFacts(packed: Uint8Array): LineageFacts {
  const from = new Cursor(packed);
  const flags = from.byte();
  return {
    closed: (flags & CLOSED) !== 0,
    reserved: { number: from.number(), boot: from.bytes(BOOT_ID_BYTES) },
    shown: { number: from.number(), bootId: from.bytes(BOOT_ID_BYTES) },
    head:
      (flags & HAS_HEAD) === 0
        ? undefined
        : {
            incarnation: { number: from.number(), bootId: from.bytes(BOOT_ID_BYTES) },
            sequence: from.number(),
            digest: from.bytes(DIGEST_BYTES),
          },
  };
}
