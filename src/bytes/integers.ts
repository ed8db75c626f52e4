function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Big-endian u16, 2 bytes. @throws RangeError when the value does not fit. */
export function u16BigEndian(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw new RangeError(`${value} is not a u16`);
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/** Big-endian u64, 8 bytes. @throws RangeError when the value does not fit. */
export function u64BigEndian(value: number | bigint): Uint8Array {
  const wide = BigInt(value);
  if (wide < 0n || wide > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${value} is not a u64`);
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, wide);
  return bytes;
}

/** Reads a big-endian u64. @throws RangeError beyond the end of the bytes. */
export const readU32BigEndian = (bytes: Uint8Array, offset = 0): number => viewOf(bytes).getUint32(offset);

export const readU64BigEndian = (bytes: Uint8Array, offset = 0): bigint => viewOf(bytes).getBigUint64(offset);
