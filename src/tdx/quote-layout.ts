/**
 * Byte layout of Intel TDX quotes (Intel TDX DCAP Quoting Library API, appendix A.3 and A.4). All integers are
 * little-endian. Version 4: header ‖ TD report 1.0 ‖ signature data. Version 5: header ‖ body descriptor ‖ body ‖
 * signature data.
 */

/** Largest quote that is parsed; genuine ones have 4.9 to 8 kB. */
export const MAX_QUOTE_BYTES = 16_384;

/** A field: where it starts, and how many bytes it has. */
export type Field = readonly [offset: number, byteLength: number];

/** The bytes of a field; a view. */
export const fieldOf = (bytes: Uint8Array, [offset, byteLength]: Field): Uint8Array =>
  bytes.subarray(offset, offset + byteLength);

/** The quote header, 48 bytes. */
export const HEADER_BYTES = 48;
export const headerLayout = {
  version: [0, 2],
  attestationKeyType: [2, 2],
  teeType: [4, 4],
  reserved: [8, 4],
  qeVendorId: [12, 16],
  userData: [28, 20],
} as const satisfies Record<string, Field>;

/** ECDSA-256-with-P-256-curve. */
export const ATTESTATION_KEY_TYPE_ECDSA_P256 = 2;
export const TEE_TYPE_TDX = 0x81;
/** Intel's Quoting Enclave, hex. */
export const INTEL_QE_VENDOR_ID = '939a7233f79c4ca9940a0db3957f0607';

/** Version 5 only: body type (2 bytes) and body size (4 bytes) before the body. */
export const BODY_DESCRIPTOR_BYTES = 6;
export const BODY_TYPE_TD_REPORT_1_0 = 2;
export const BODY_TYPE_TD_REPORT_1_5 = 3;
export const BODY_TYPE_TD_REPORT_1_5_EXTENDED = 4;

/** TD report 1.0; body of version 4 and of version 5 type 2. */
export const TD_REPORT_1_0_BYTES = 584;
/** TD report 1.5; body of version 5 type 3. */
export const TD_REPORT_1_5_BYTES = 648;
export const tdReportLayout = {
  teeTcbSvn: [0, 16],
  mrSeam: [16, 48],
  mrSignerSeam: [64, 48],
  seamAttributes: [112, 8],
  tdAttributes: [120, 8],
  xfam: [128, 8],
  mrTd: [136, 48],
  mrConfigId: [184, 48],
  mrOwner: [232, 48],
  mrOwnerConfig: [280, 48],
  rtMr0: [328, 48],
  rtMr1: [376, 48],
  rtMr2: [424, 48],
  rtMr3: [472, 48],
  reportData: [520, 64],
} as const satisfies Record<string, Field>;
/** The fields that TD report 1.5 adds. */
export const tdReport15Layout = {
  teeTcbSvn2: [584, 16],
  mrServiceTd: [600, 48],
} as const satisfies Record<string, Field>;

/**
 * The fields that the extended TD report 1.5 adds, with Intel's names (QVL, QuoteStructures.h, January 2026); body of
 * version 5 type 4.
 */
export const TD_REPORT_1_5_EXTENDED_BYTES = 885;
export const tdReport15ExtendedLayout = {
  vmid: [648, 1],
  tdId: [649, 32],
  devInfo: [681, 48],
  initServTdHash: [729, 48],
  initServTdAttributes: [777, 8],
  initCpuSvn: [785, 16],
  initTeeTcbSvn: [801, 16],
  initTeeFmspc: [817, 12],
  curServTdHash: [829, 48],
  curServTdAttributes: [877, 8],
} as const satisfies Record<string, Field>;
/** Bytes of each body of version 5, by its type. */
export const bodyBytes = {
  [BODY_TYPE_TD_REPORT_1_0]: TD_REPORT_1_0_BYTES,
  [BODY_TYPE_TD_REPORT_1_5]: TD_REPORT_1_5_BYTES,
  [BODY_TYPE_TD_REPORT_1_5_EXTENDED]: TD_REPORT_1_5_EXTENDED_BYTES,
} as const;
/** 2: TD report 1.0, 3: TD report 1.5, 4: extended TD report 1.5. */
export type BodyType = keyof typeof bodyBytes;
export const bodyTypes = [2, 3, 4] as const satisfies readonly BodyType[];

/** Parts of the signature data with a fixed size. */
export const SIGNATURE_BYTES = 64;
export const ATTESTATION_KEY_BYTES = 64;
/** Outer certification data: QE report, its signature, authentication data, inner certification data. */
export const CERTIFICATION_TYPE_QE_REPORT = 6;
/**
 * Inner certification data. Types 1 to 4 name the platform (PPID plain or encrypted, or the PCK certificate alone)
 * and leave its PCK chain to the verifier; type 5 is the PEM of PCK leaf, PCK CA and root.
 */
export const CERTIFICATION_TYPE_PCK_CHAIN = 5;

/** The QE's SGX report body, 384 bytes. */
export const QE_REPORT_BYTES = 384;
export const qeReportLayout = {
  cpuSvn: [0, 16],
  miscSelect: [16, 4],
  attributes: [48, 16],
  mrEnclave: [64, 32],
  mrSigner: [128, 32],
  isvProdId: [256, 2],
  isvSvn: [258, 2],
  reportData: [320, 64],
} as const satisfies Record<string, Field>;
