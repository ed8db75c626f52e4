/** "HCLA", the first bytes of a report of Azure's host compatibility layer. */
const MAGIC = [0x48, 0x43, 0x4c, 0x41] as const;
/** Offset of the report type: behind a header of 32 bytes, a report of 1,184 bytes, and two other u32. */
const REPORT_TYPE_OFFSET = 32 + 1184 + 8;

/** What an HCL report says of itself. */
export interface HclReport {
  /** Which hardware report it carries. */
  readonly hardware: 'TDX' | 'SEV-SNP' | 'unknown hardware';
}

/**
 * Recognises an HCL report, which Azure's confidential machines give out through their vTPM (index 0x01400001). It is
 * no quote. It belongs to the paravisor, which runs below the operating system in the same TD: MRTD and RTMRs there
 * measure the paravisor, and the vTPM measures the system.
 * @returns `undefined` for anything else.
 */
export function azureHclReport(bytes: Uint8Array): HclReport | undefined {
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return undefined;
  const type = bytes[REPORT_TYPE_OFFSET];
  return { hardware: type === 4 ? 'TDX' : type === 2 ? 'SEV-SNP' : 'unknown hardware' };
}
