/** TD attributes and XFAM as numbers; both are little-endian in the TD report. */
export const readU64LittleEndian = (bytes: Uint8Array): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);

const bit = (index: number): bigint => 1n << BigInt(index);

/** The bits of ATTRIBUTES that have a name (Intel TDX Module ABI 348551-008, table 3.23). */
export const tdAttributeBits = {
  /** The host can read and change the TD's memory. */
  DEBUG: bit(0),
  /** Linear address space separation. */
  LASS: bit(27),
  /** An access to a page that the host has removed ends the TD, instead of an exception that the TD can handle. */
  SEPT_VE_DISABLE: bit(28),
  /** A migration TD can export the TD's memory and state to another platform. */
  MIGRATABLE: bit(29),
  /** Supervisor protection keys. */
  PKS: bit(30),
  /** Key Locker. */
  KL: bit(31),
  /** The TD can attest devices. */
  TPA: bit(62),
  /** Performance monitoring inside the TD. */
  PERFMON: bit(63),
} as const;

/** XFAM bits that every TD has: x87 and SSE. */
export const XFAM_FIXED_1 = 0x3n;
/** All XFAM bits that a TD may have. */
export const XFAM_FIXED_0 = 0x6dbe7n;

/** Names of the bits that are set in TDATTRIBUTES, and the rest as hex. */
export const describeTdAttributes = (tdAttributes: Uint8Array): string =>
  describeTdAttributeBits(readU64LittleEndian(tdAttributes));

/** Names of the bits that are set, and the rest as hex. */
export function describeTdAttributeBits(bits: bigint): string {
  let rest = bits;
  const names: string[] = [];
  for (const [name, mask] of Object.entries(tdAttributeBits)) {
    if ((rest & mask) === 0n) continue;
    names.push(name);
    rest &= ~mask;
  }
  if (rest !== 0n) names.push(`0x${rest.toString(16)}`);
  return names.length === 0 ? 'none' : names.join(', ');
}
