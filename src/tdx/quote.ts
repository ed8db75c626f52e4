import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { decodeHex } from '../bytes/native-bytes.ts';
import { sha256Hex } from '../crypto/sha2.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { azureHclReport } from './hcl-report.ts';
import { frozenWithJson, printable } from './printable.ts';
import * as layout from './quote-layout.ts';
import { QuoteReader } from './quote-reader.ts';
import { readTdReport, type TdReport } from './td-report.ts';

/** How to treat bytes after the quote's own end. */
export type TrailingBytes = 'refuse' | 'allow-zero-padding';

/** The quote header's fields. */
export interface QuoteHeader {
  readonly version: 4 | 5;
  /** 2: ECDSA-256 with P-256. */
  readonly attestationKeyType: number;
  /** 0x81: TDX. */
  readonly teeType: number;
  /** 16 bytes. */
  readonly qeVendorId: Uint8Array;
  /** 20 bytes; the first 16 identify the platform's quoting enclave. */
  readonly userData: Uint8Array;
}

/** The SGX report of the quoting enclave, and the evidence for the attestation key. */
export interface QuotingEnclaveEvidence {
  /** The raw report, 384 bytes. */
  readonly report: Uint8Array;
  /** By the PCK key over `report`; r ‖ s, 64 bytes. */
  readonly reportSignature: Uint8Array;
  /** Any length. */
  readonly authenticationData: Uint8Array;
}

/** The certification data of the quote: the PCK certificate chain, or the name of the platform. */
export interface CertificationData {
  /** 5: PEM of PCK leaf, PCK CA and root. 1 to 4 name the platform only, and the caller has to give its chain. */
  readonly type: 1 | 2 | 3 | 4 | 5;
  readonly data: Uint8Array;
}

const intelQeVendorId = decodeHex(layout.INTEL_QE_VENDOR_ID);
const constructorKey = Symbol('parseQuote');

/**
 * A TDX quote with a valid structure; its claims are not verified. Only {@link parseQuote} makes one; its
 * byte arrays are views into a private copy of the input.
 */
export class Quote {
  readonly version: 4 | 5;
  readonly header: QuoteHeader;
  /** 2: TD report 1.0, 3: TD report 1.5, 4: extended TD report 1.5. */
  readonly bodyType: layout.BodyType;
  readonly body: TdReport;
  /** What the attestation key signed: header ‖ descriptor (version 5) ‖ body. */
  readonly signedBytes: Uint8Array;
  /** By the attestation key over `signedBytes`; r ‖ s, 64 bytes. */
  readonly signature: Uint8Array;
  /** x ‖ y on P-256, 64 bytes. */
  readonly attestationKey: Uint8Array;
  readonly qe: QuotingEnclaveEvidence;
  readonly certification: CertificationData;
  /** Zero bytes after the quote; 0 unless they were allowed. */
  readonly trailingByteLength: number;

  #chainDigest: string | undefined;

  constructor(
    key: typeof constructorKey,
    parts: Omit<Quote, 'certificateChain' | 'certificateChainDigest' | 'toJSON'>,
  ) {
    if (key !== constructorKey) throw new TypeError('a Quote is made by parseQuote only');
    this.version = parts.version;
    this.header = parts.header;
    this.bodyType = parts.bodyType;
    this.body = parts.body;
    this.signedBytes = parts.signedBytes;
    this.signature = parts.signature;
    this.attestationKey = parts.attestationKey;
    this.qe = parts.qe;
    this.certification = parts.certification;
    this.trailingByteLength = parts.trailingByteLength;
    Object.freeze(this);
  }

  /**
   * PEM of PCK leaf, PCK CA and root, as it came.
   * @throws EvidenceError QUOTE_UNSUPPORTED when the quote does not carry it (certification data of type 1 to 4).
   */
  get certificateChain(): Uint8Array {
    const { type, data } = this.certification;
    if (type === layout.CERTIFICATION_TYPE_PCK_CHAIN) return data;
    const observed = `${type}, which only names the platform`;
    const message = `inner certification data type must be 5 (PCK chain), got ${observed}`;
    throw new EvidenceError('QUOTE_UNSUPPORTED', message, {
      field: 'inner certification data type',
      expected: '5 (PCK chain)',
      observed,
      hint: 'give the PCK chain of the platform as pck_certificate_chain of the collateral',
    });
  }

  /** SHA-256 of `certificateChain` as hex, computed once; caches use it as the name of a platform. */
  get certificateChainDigest(): string {
    this.#chainDigest ??= sha256Hex(this.certificateChain);
    return this.#chainDigest;
  }

  /** For `JSON.stringify`: bytes as lower-case hex; without signatures, keys and certificates. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { version, header, bodyType, body, trailingByteLength } = this;
    return { version, header: printable(header), bodyType, body: printable(body), trailingByteLength };
  }
}

/**
 * Parses a TDX quote, version 4 or 5 (TD reports 1.0, 1.5 and 1.5 extended), with bounds checks on every length; no cryptography.
 * @throws EvidenceError QUOTE_TOO_LARGE, QUOTE_TRUNCATED, QUOTE_UNSUPPORTED, QUOTE_MALFORMED, QUOTE_TRAILING_BYTES;
 *   TypeError for anything but a Uint8Array.
 */
export function parseQuote(bytes: Uint8Array, options: { readonly trailing?: TrailingBytes } = {}): Quote {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`a quote must be a Uint8Array, got ${kindOf(bytes)}`);
  }
  if (bytes.length > layout.MAX_QUOTE_BYTES) {
    const expected = `at most ${layout.MAX_QUOTE_BYTES} bytes`;
    refuse('QUOTE_TOO_LARGE', 'quote', expected, `${bytes.length} bytes`);
  }
  const copy = new Uint8Array(bytes);
  refuseHclReport(copy);
  const reader = new QuoteReader(copy);
  const header = readHeader(reader);
  const bodyType = header.version === 4 ? layout.BODY_TYPE_TD_REPORT_1_0 : readBodyDescriptor(reader);
  const body = readTdReport(reader, bodyType);
  const signedBytes = copy.subarray(0, reader.offset);
  const signatureData = reader.section(reader.u32('signature data length'), 'signature data');
  const evidence = readSignatureData(signatureData);
  const trailingByteLength = readTrailingBytes(copy.subarray(reader.offset), options.trailing ?? 'refuse');
  return new Quote(constructorKey, {
    version: header.version,
    header,
    bodyType,
    body,
    signedBytes,
    ...evidence,
    trailingByteLength,
  });
}

/** For messages to JavaScript callers, which have no type check. */
const kindOf = (value: unknown): string => (value === null ? 'null' : typeof value);

function refuse(code: ErrorCode, field: string, expected: string, observed: string): never {
  throw new EvidenceError(code, `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}

/** Azure's TDX machines run under a paravisor, and what they give out first is a report of that paravisor. */
function refuseHclReport(bytes: Uint8Array): void {
  const report = azureHclReport(bytes);
  if (report === undefined) return;
  const observed = `an HCL report of Azure (${report.hardware})`;
  throw new EvidenceError('QUOTE_UNSUPPORTED', `quote must be a TDX quote, got ${observed}`, {
    field: 'quote',
    expected: 'a TDX quote, version 4 or 5',
    observed,
    hint: 'in a quote of such a machine MRTD and RTMRs are those of the paravisor, not of the operating system',
  });
}

function readHeader(reader: QuoteReader): QuoteHeader {
  const version = reader.u16('version');
  if (version !== 4 && version !== 5) {
    const hint = version === 3 ? ' (an SGX quote)' : '';
    return refuse('QUOTE_UNSUPPORTED', 'version', '4 or 5', `${version}${hint}`);
  }
  const attestationKeyType = reader.u16('attestation key type');
  if (attestationKeyType !== layout.ATTESTATION_KEY_TYPE_ECDSA_P256) {
    refuse('QUOTE_UNSUPPORTED', 'attestation key type', '2 (ECDSA P-256)', `${attestationKeyType}`);
  }
  const teeType = reader.u32('TEE type');
  if (teeType !== layout.TEE_TYPE_TDX) {
    refuse('QUOTE_UNSUPPORTED', 'TEE type', '0x81 (TDX)', `0x${teeType.toString(16)}`);
  }
  reader.take(layout.headerLayout.reserved[1], 'reserved');
  const qeVendorId = reader.take(layout.headerLayout.qeVendorId[1], 'QE vendor id');
  if (!equalBytes(qeVendorId, intelQeVendorId)) {
    refuse('QUOTE_UNSUPPORTED', 'QE vendor id', `${layout.INTEL_QE_VENDOR_ID} (Intel)`, toHex(qeVendorId));
  }
  const userData = reader.take(layout.headerLayout.userData[1], 'user data');
  return frozenWithJson({ version, attestationKeyType, teeType, qeVendorId, userData });
}

/** Version 5: the type names the body, and the size field must be that body's size. */
function readBodyDescriptor(reader: QuoteReader): layout.BodyType {
  const observed = reader.u16('body type');
  const type = layout.bodyTypes.find((known) => known === observed);
  if (type === undefined) {
    const expected = '2 (TD report 1.0), 3 (TD report 1.5) or 4 (extended TD report 1.5)';
    return refuse('QUOTE_UNSUPPORTED', 'body type', expected, `${observed}`);
  }
  const size = reader.u32('body size');
  const expected = layout.bodyBytes[type];
  if (size !== expected) refuse('QUOTE_MALFORMED', 'body size', `${expected} for type ${type}`, `${size}`);
  return type;
}

function readSignatureData(data: QuoteReader) {
  const signature = data.take(layout.SIGNATURE_BYTES, 'quote signature');
  const attestationKey = data.take(layout.ATTESTATION_KEY_BYTES, 'attestation key');
  const outerType = data.u16('outer certification data type');
  if (outerType !== layout.CERTIFICATION_TYPE_QE_REPORT) {
    refuse('QUOTE_UNSUPPORTED', 'outer certification data type', '6 (QE report)', `${outerType}`);
  }
  const outer = data.section(data.u32('outer certification data length'), 'outer certification data');
  data.end('signature data');
  const report = outer.take(layout.QE_REPORT_BYTES, 'QE report');
  const reportSignature = outer.take(layout.SIGNATURE_BYTES, 'QE report signature');
  const authenticationData = outer.take(outer.u16('QE authentication data length'), 'QE authentication data');
  const innerType = outer.u16('inner certification data type');
  const type = certificationTypes.find((known) => known === innerType);
  if (type === undefined) {
    return refuse('QUOTE_UNSUPPORTED', 'inner certification data type', '1 to 5', `${innerType}`);
  }
  const certificationData = outer.take(outer.u32('certification data length'), 'certification data');
  outer.end('outer certification data');
  const qe = frozenWithJson({ report, reportSignature, authenticationData });
  return { signature, attestationKey, qe, certification: frozenWithJson({ type, data: certificationData }) };
}

const certificationTypes = [1, 2, 3, 4, 5] as const satisfies readonly CertificationData['type'][];

/** Some quote sources append zero bytes; no signature covers bytes after the quote. */
function readTrailingBytes(trailing: Uint8Array, allowed: TrailingBytes): number {
  if (trailing.length === 0) return 0;
  if (allowed === 'allow-zero-padding' && trailing.every((byte) => byte === 0)) return trailing.length;
  const expected = allowed === 'refuse' ? 'nothing after the quote' : 'at most zero bytes after the quote';
  return refuse('QUOTE_TRAILING_BYTES', 'trailing bytes', expected, `${trailing.length} bytes`);
}
