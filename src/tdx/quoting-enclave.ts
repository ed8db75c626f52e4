import { byteAt } from '../bytes/byte-at.ts';
import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { Quote } from './quote.ts';
import { fieldOf, qeReportLayout } from './quote-layout.ts';

/** The SGX report of a quoting enclave. */
export interface QeReport {
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array;
  /** 4 bytes. */
  readonly miscSelect: Uint8Array;
  /** 16 bytes. */
  readonly attributes: Uint8Array;
  /** 32 bytes. */
  readonly mrEnclave: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
}

const u16 = (bytes: Uint8Array): number => byteAt(bytes, 0) | (byteAt(bytes, 1) << 8);

/** Reads the fields of a QE report of 384 bytes. */
export function readQeReport(report: Uint8Array): QeReport {
  return {
    cpuSvn: fieldOf(report, qeReportLayout.cpuSvn),
    miscSelect: fieldOf(report, qeReportLayout.miscSelect),
    attributes: fieldOf(report, qeReportLayout.attributes),
    mrEnclave: fieldOf(report, qeReportLayout.mrEnclave),
    mrSigner: fieldOf(report, qeReportLayout.mrSigner),
    isvProdId: u16(fieldOf(report, qeReportLayout.isvProdId)),
    isvSvn: u16(fieldOf(report, qeReportLayout.isvSvn)),
    reportData: fieldOf(report, qeReportLayout.reportData),
  };
}

const ATTRIBUTES_DEBUG = 0x02;

/**
 * Requires Intel's TD quoting enclave: signer, product, MISCSELECT and ATTRIBUTES under their masks, and never debug.
 * Without this any enclave on a genuine platform could forge quotes.
 * @throws EvidenceError QE_IDENTITY_MISMATCH.
 */
export function requireQeIdentity(report: QeReport, identity: QeIdentity): void {
  requireEqual('QE MRSIGNER', identity.mrSigner, report.mrSigner);
  if (report.isvProdId !== identity.isvProdId) {
    refuse('QE ISVPRODID', `${identity.isvProdId}`, `${report.isvProdId}`);
  }
  requireMasked('QE MISCSELECT', identity.miscSelect, report.miscSelect, identity.miscSelectMask);
  requireMasked('QE ATTRIBUTES', identity.attributes, report.attributes, identity.attributesMask);
  if ((byteAt(report.attributes, 0) & ATTRIBUTES_DEBUG) !== 0)
    refuse('QE ATTRIBUTES', 'no DEBUG bit', toHex(report.attributes));
}

/** Only the observed side is masked: an identity with bits outside of its own mask matches nothing. */
function requireMasked(field: string, expected: Uint8Array, observed: Uint8Array, mask: Uint8Array): void {
  const isEqual = expected.every((byte, index) => (byteAt(observed, index) & byteAt(mask, index)) === byte);
  if (!isEqual) refuse(field, `${toHex(expected)} under mask ${toHex(mask)}`, toHex(observed));
}

function requireEqual(field: string, expected: Uint8Array, observed: Uint8Array): void {
  if (!equalBytes(expected, observed)) refuse(field, toHex(expected), toHex(observed));
}

function refuse(field: string, expected: string, observed: string): never {
  const message = `${field} must be ${expected}, got ${observed}`;
  throw new EvidenceError('QE_IDENTITY_MISMATCH', message, { field, expected, observed });
}

const DIGEST_BYTES = 32;

/**
 * Requires that the QE report vouches for the attestation key: SHA-256(key ‖ authentication data) ‖ 32 zero bytes.
 * @throws EvidenceError QE_REPORT_DATA_MISMATCH.
 */
export function requireAttestationKeyBinding(quote: Quote, { reportData }: QeReport): void {
  const expected = new Uint8Array(2 * DIGEST_BYTES);
  expected.set(sha256(quote.attestationKey, quote.qe.authenticationData));
  if (equalBytes(reportData, expected)) return;
  throw new EvidenceError('QE_REPORT_DATA_MISMATCH', 'the QE report vouches for another attestation key', {
    field: 'QE report data',
    expected: toHex(expected),
    observed: toHex(reportData),
  });
}
