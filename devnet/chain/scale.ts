import { concatBytes, utf8 } from '../../src/bytes/concat.ts';

/** Little-endian unsigned integer of `byteLength` bytes. @throws RangeError when the value does not fit. */
export function uint(value: number | bigint, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let rest = BigInt(value);
  for (let index = 0; index < byteLength; index += 1, rest >>= 8n) bytes[index] = Number(rest & 0xffn);
  if (rest !== 0n) throw new RangeError(`${value} does not fit into ${byteLength} bytes`);
  return bytes;
}

export const u8 = (value: number): Uint8Array => uint(value, 1);
export const u16 = (value: number): Uint8Array => uint(value, 2);
export const u32 = (value: number): Uint8Array => uint(value, 4);
export const u64 = (value: number | bigint): Uint8Array => uint(value, 8);

/** SCALE compact integer below 2^30; nothing here is larger. @throws RangeError above. */
export function compact(value: number): Uint8Array {
  if (value < 2 ** 6) return uint(value << 2, 1);
  if (value < 2 ** 14) return uint((value << 2) | 1, 2);
  if (value < 2 ** 30) return uint(value * 4 + 2, 4);
  throw new RangeError(`${value} is too large for a four-byte compact integer`);
}

/** SCALE sequence of items that are encoded already. */
export const vec = (items: readonly Uint8Array[]): Uint8Array => concatBytes(compact(items.length), ...items);

/** SCALE `Vec<u8>`. */
export const byteVec = (bytes: Uint8Array): Uint8Array => concatBytes(compact(bytes.length), bytes);

/** SCALE text. */
export const text = (value: string): Uint8Array => byteVec(utf8(value));

/** SCALE sequence of texts. */
export const texts = (values: readonly string[]): Uint8Array => vec(values.map(text));

/** SCALE option of a value that is encoded already. */
export const option = (value: Uint8Array | undefined): Uint8Array =>
  value === undefined ? u8(0) : concatBytes(u8(1), value);
