import { runInNewContext } from 'node:vm';

/** Maker of one kind of bytes with the given content. */
export interface KindOfBytes {
  readonly kind: string;
  readonly make: (content: Uint8Array) => Uint8Array;
}

/** The four kinds of bytes that a caller may pass where a `Uint8Array` is asked for. */
export const kindsOfBytes: readonly KindOfBytes[] = [
  { kind: 'Uint8Array', make: (content) => Uint8Array.from(content) },
  { kind: 'Buffer', make: (content) => Buffer.from(content) },
  {
    kind: 'view into a larger buffer',
    make(content) {
      const larger = new Uint8Array(content.length + 64).fill(0xee);
      larger.set(content, 17);
      return larger.subarray(17, 17 + content.length);
    },
  },
  {
    kind: 'Uint8Array of another realm',
    // runInNewContext is untyped; the script's result is a Uint8Array made by another realm's constructor.
    make: (content) => runInNewContext('Uint8Array.from(numbers)', { numbers: [...content] }) as Uint8Array,
  },
];

/** Bytes of a transferred buffer, so that nothing can be read from them. */
export function detachedBytes(length = 32): Uint8Array {
  const bytes = new Uint8Array(length);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}
