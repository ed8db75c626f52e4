import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';

/** What the quoting enclave's SGX report says; every field can be changed to make a defect. */
export interface QeReport {
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array;
  readonly miscSelect: number;
  /** 16 bytes: flags and XFRM. */
  readonly attributes: Uint8Array;
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 64 bytes: SHA-256(attestation key ‖ authentication data), then 32 zero bytes. */
  readonly reportData: Uint8Array;
}

/** MRSIGNER of Intel's own quoting enclave, which the QE identity demands. */
const INTEL_QE_MRSIGNER = 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5';

/** The report of an up-to-date TD quoting enclave for one attestation key. */
export function qeReport(
  cpuSvn: Uint8Array,
  attestationKey: Uint8Array,
  authenticationData: Uint8Array,
): QeReport {
  return {
    cpuSvn,
    miscSelect: 0,
    // INIT, MODE64BIT and PROVISION_KEY; XFRM as on real platforms.
    attributes: Uint8Array.of(0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0),
    mrEnclave: sha256(utf8('latchkey development quoting enclave')),
    mrSigner: new Uint8Array(Buffer.from(INTEL_QE_MRSIGNER, 'hex')),
    isvProdId: 2,
    isvSvn: 6,
    reportData: concatBytes(sha256(concatBytes(attestationKey, authenticationData)), new Uint8Array(32)),
  };
}

/** The 384 bytes of an SGX report body. */
export function encodeQeReport(report: QeReport): Uint8Array {
  const bytes = new Uint8Array(384);
  const view = new DataView(bytes.buffer);
  bytes.set(report.cpuSvn, 0);
  view.setUint32(16, report.miscSelect, true);
  bytes.set(report.attributes, 48);
  bytes.set(report.mrEnclave, 64);
  bytes.set(report.mrSigner, 128);
  view.setUint16(256, report.isvProdId, true);
  view.setUint16(258, report.isvSvn, true);
  bytes.set(report.reportData, 320);
  return bytes;
}
