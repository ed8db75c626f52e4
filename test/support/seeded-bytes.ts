/** Repeatable bytes for tests that print their seed (xorshift32; not for anything secret). */
export function seededBytes(seed: number, byteLength: number): Uint8Array {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return Uint8Array.from({ length: byteLength }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}
