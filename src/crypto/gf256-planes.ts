/**
 * Arithmetic in GF(2^8), polynomial x^8 + x^4 + x^3 + x + 1 as in AES (FIPS 197 section 4.2), on 32 secret bytes at a
 * time, bit-sliced. A host that watches memory addresses, branches or allocations must learn nothing about the bytes:
 *
 * - there is no table, no branch and no index that depends on a secret; loop bounds are constants;
 * - every value stays below 2^30, so that V8 holds it as a small integer and never allocates a number for it.
 *
 * Secrets meet only `^`, `&`, `|`, `>>`, and `<<` with a result below 2^30. Tests watch all of this.
 *
 * Plane b holds bit b of all bytes, in two words of 16 bits: bit k of word 2b + h is bit b of byte 16h + k.
 */
export type Planes = Uint16Array;

/** Bytes in one {@link Planes}. */
export const PLANE_BYTES = 32;
const WORDS = 16;

/** Planes of 32 zero bytes. */
export const zeroPlanes = (): Planes => new Uint16Array(WORDS);

/** Writes the first 32 bytes of `bytes` into planes. */
export function packPlanes(bytes: Uint8Array, planes: Planes): void {
  planes.fill(0);
  for (let at = 0; at < PLANE_BYTES; at++) {
    const byte = bytes[at] ?? 0;
    const half = at >> 4;
    for (let bit = 0; bit < 8; bit++) {
      const word = (bit << 1) | half;
      planes[word] = (planes[word] ?? 0) | (((byte >> bit) & 1) << (at & 15));
    }
  }
}

/** Writes planes to the first 32 bytes of `bytes`. */
export function unpackPlanes(planes: Planes, bytes: Uint8Array): void {
  for (let at = 0; at < PLANE_BYTES; at++) {
    const half = at >> 4;
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) {
      byte |= (((planes[(bit << 1) | half] ?? 0) >> (at & 15)) & 1) << bit;
    }
    bytes[at] = byte;
  }
}

/** sum = sum + planes; addition in GF(2^8) is exclusive or. */
export function addPlanes(sum: Planes, planes: Planes): void {
  for (let word = 0; word < WORDS; word++) sum[word] = (sum[word] ?? 0) ^ (planes[word] ?? 0);
}

/**
 * sum = sum + planes · factor, by shift and add.
 * @param planes Changed: holds planes · x^8 afterwards.
 * @param factor 0 to 255; public.
 */
export function addProduct(sum: Planes, planes: Planes, factor: number): void {
  for (let bit = 0; bit < 8; bit++) {
    const mask = ((factor >> bit) & 1) * 0xffff;
    for (let word = 0; word < WORDS; word++) {
      sum[word] = (sum[word] ?? 0) ^ ((planes[word] ?? 0) & mask);
    }
    timesX(planes);
  }
}

/** planes = planes · x: each plane moves up by one, and the highest comes back at bits 0, 1, 3 and 4. */
function timesX(planes: Planes): void {
  for (let half = 0; half < 2; half++) {
    const carry = planes[14 | half] ?? 0;
    for (let word = 14; word > 0; word -= 2) planes[word | half] = planes[(word - 2) | half] ?? 0;
    planes[half] = carry;
    planes[2 | half] = (planes[2 | half] ?? 0) ^ carry;
    planes[6 | half] = (planes[6 | half] ?? 0) ^ carry;
    planes[8 | half] = (planes[8 | half] ?? 0) ^ carry;
  }
}

/** Product of two public field elements, 0 to 255. */
export function multiplyPublic(a: number, b: number): number {
  let product = 0;
  let shifted = a;
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) product ^= shifted;
    shifted = (shifted << 1) ^ (shifted & 0x80 ? 0x11b : 0);
  }
  return product;
}

/** Inverse of a public field element other than 0: a^254 (the group of units has 255 elements). */
export function invertPublic(a: number): number {
  let inverse = 1;
  for (let exponent = 0; exponent < 254; exponent++) inverse = multiplyPublic(inverse, a);
  return inverse;
}
