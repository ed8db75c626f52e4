/**
 * The byte at an index that the caller knows to exist.
 * @throws RangeError outside of the array: a missing byte is never read as zero.
 */
export function byteAt(bytes: Uint8Array, index: number): number {
  const byte = bytes[index];
  if (byte === undefined) throw new RangeError(`no byte ${index} in ${bytes.length} bytes`);
  return byte;
}
