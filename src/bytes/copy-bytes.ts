/** Reads the internal slot of a typed array; `undefined` for anything else. In every realm, and for `Buffer`. */
const kindOfArray: (this: unknown) => unknown =
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get ??
  (() => undefined);

/**
 * A copy of bytes in memory of its own, as a plain `Uint8Array` of this realm. `slice()` does not do this: on a
 * `Buffer`, which is a `Uint8Array` too, it gives a view into the same memory.
 * @param name What the error calls the argument.
 * @throws TypeError for anything that is not a `Uint8Array`, and when its buffer is detached.
 */
export function copyBytes(bytes: Uint8Array, name = 'bytes'): Uint8Array {
  requireBytes(bytes, name);
  return new Uint8Array(bytes);
}

/**
 * The same memory as a plain `Uint8Array` of this realm, for a new owner: nothing of it stays behind in a copy.
 * @throws TypeError as {@link copyBytes} does.
 */
export function adoptBytes(bytes: Uint8Array, name = 'bytes'): Uint8Array {
  requireBytes(bytes, name);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function requireBytes(bytes: Uint8Array, name: string): void {
  // By the internal slot and not by `instanceof`, which knows the constructors of its own realm only.
  if (kindOfArray.call(bytes) !== 'Uint8Array')
    throw new TypeError(`${name} must be a Uint8Array, got ${kindOf(bytes)}`);
  // Node 20 has no `ArrayBuffer.prototype.detached`. A detached array seems empty; only its use shows the difference.
  if (bytes.length > 0) return;
  try {
    new Uint8Array(bytes);
  } catch (cause) {
    throw new TypeError(`${name} must be readable bytes, got a Uint8Array with a detached buffer`, { cause });
  }
}

/** The type of a value, never the value itself: it may be a secret. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? `an object (${Object.prototype.toString.call(value)})` : typeof value;
}
