/**
 * A buffer that `node:crypto` made, as a plain array over the same memory: a copy would leave a second secret behind
 * that nobody wipes.
 */
export const plainBytes = (made: Buffer): Uint8Array =>
  new Uint8Array(made.buffer, made.byteOffset, made.length);
