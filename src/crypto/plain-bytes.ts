/**
 * A buffer that `node:crypto` made, as a plain array over the same memory. A copy would leave a second secret in memory
 * that is never wiped.
 */
export const plainBytes = (made: Buffer): Uint8Array =>
  new Uint8Array(made.buffer, made.byteOffset, made.length);
