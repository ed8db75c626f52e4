import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { Crl } from '../der/crl.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { PckCaType } from './sgx-extension.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { Validity } from './validity.ts';

/** The documents of a set with verified signatures, as far as a summary needs them. */
export interface SignedDocuments {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly rootCrl: Crl;
  readonly pckCrl: Crl;
  readonly caType: PckCaType;
  readonly validities: readonly Validity[];
}

/** TCB evaluation data numbers of one set. Intel may publish the two documents at different times, so the numbers may differ. */
export interface EvaluationNumbers {
  readonly tcbInfo: number;
  readonly qeIdentity: number;
}

/** The facts about a genuine set that a collateral source uses. */
export interface CollateralSummary {
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** Which PCK CA its PCK CRL is for. */
  readonly ca: PckCaType;
  /** The lower of the two numbers, as Intel's verifier reports it. */
  readonly tcbEvaluationDataNumber: number;
  readonly evaluationNumbers: EvaluationNumbers;
  readonly crlNumbers: { readonly rootCa: bigint; readonly pck: bigint };
  readonly issuedAtMs: DocumentDates;
  readonly nextUpdateMs: DocumentDates;
  /** The first moment at which all documents and certificates are valid. */
  readonly validFromMs: number;
  /** The last moment at which all documents and certificates are valid. */
  readonly validUntilMs: number;
  /** The earliest moment at which one of the four documents has lived half its life: the time to refresh. */
  readonly halfLifeAtMs: number;
}

/** The facts about the collateral of a verdict. */
export interface CollateralFacts extends CollateralSummary {
  /** `grace`: past `validUntilMs`, within the grace that the caller allowed. */
  readonly state: 'fresh' | 'grace';
}

/** One time for each of the four documents, in milliseconds since 1970. */
export interface DocumentDates {
  readonly tcbInfo: number;
  readonly qeIdentity: number;
  readonly rootCaCrl: number;
  readonly pckCrl: number;
}

/** What the caller expects of a set; each field is checked when it is given. */
export interface CollateralExpectation {
  /** 6 bytes. */
  readonly fmspc?: Uint8Array;
  readonly ca?: PckCaType;
  /** 2 bytes. */
  readonly pceId?: Uint8Array;
  readonly minimumTcbEvaluationDataNumber?: number;
}

/** Summarises a verified set. */
export function summarizeCollateral(documents: SignedDocuments): CollateralSummary {
  const { tcbInfo, qeIdentity, rootCrl, pckCrl, caType, validities } = documents;
  const evaluationNumbers = {
    tcbInfo: tcbInfo.tcbEvaluationDataNumber,
    qeIdentity: qeIdentity.tcbEvaluationDataNumber,
  };
  const issuedAtMs = {
    tcbInfo: tcbInfo.issueDateMs,
    qeIdentity: qeIdentity.issueDateMs,
    rootCaCrl: rootCrl.thisUpdateMs,
    pckCrl: pckCrl.thisUpdateMs,
  };
  const nextUpdateMs = {
    tcbInfo: tcbInfo.nextUpdateMs,
    qeIdentity: qeIdentity.nextUpdateMs,
    rootCaCrl: rootCrl.nextUpdateMs,
    pckCrl: pckCrl.nextUpdateMs,
  };
  const halfLives = [
    halfLife(tcbInfo.issueDateMs, tcbInfo.nextUpdateMs),
    halfLife(qeIdentity.issueDateMs, qeIdentity.nextUpdateMs),
    halfLife(rootCrl.thisUpdateMs, rootCrl.nextUpdateMs),
    halfLife(pckCrl.thisUpdateMs, pckCrl.nextUpdateMs),
  ];
  return {
    // Copies: a caller may change them, and verdicts must not change with them.
    fmspc: copyBytes(tcbInfo.fmspc),
    pceId: copyBytes(tcbInfo.pceId),
    ca: caType,
    tcbEvaluationDataNumber: Math.min(evaluationNumbers.tcbInfo, evaluationNumbers.qeIdentity),
    evaluationNumbers: Object.freeze(evaluationNumbers),
    crlNumbers: { rootCa: rootCrl.crlNumber, pck: pckCrl.crlNumber },
    issuedAtMs,
    nextUpdateMs,
    validFromMs: Math.max(...validities.map(({ notBeforeMs }) => notBeforeMs)),
    validUntilMs: Math.min(...validities.map(({ notAfterMs }) => notAfterMs)),
    halfLifeAtMs: Math.min(...halfLives),
  };
}

const halfLife = (fromMs: number, toMs: number): number => Math.floor((fromMs + toMs) / 2);

/**
 * Requires that a set is for this platform and new enough.
 * @throws EvidenceError FMSPC_MISMATCH, PCEID_MISMATCH, CRL_ISSUER_MISMATCH, TCB_EVALUATION_TOO_OLD.
 */
export function requireExpected(
  { tcbInfo, qeIdentity, caType }: Pick<SignedDocuments, 'tcbInfo' | 'qeIdentity' | 'caType'>,
  expected: CollateralExpectation,
): void {
  if (expected.fmspc !== undefined && !equalBytes(expected.fmspc, tcbInfo.fmspc)) {
    refuse('FMSPC_MISMATCH', 'FMSPC of the TCB info', toHex(expected.fmspc), toHex(tcbInfo.fmspc));
  }
  if (expected.pceId !== undefined && !equalBytes(expected.pceId, tcbInfo.pceId)) {
    refuse('PCEID_MISMATCH', 'PCEID of the TCB info', toHex(expected.pceId), toHex(tcbInfo.pceId));
  }
  if (expected.ca !== undefined && expected.ca !== caType) {
    refuse('CRL_ISSUER_MISMATCH', 'CA of the PCK CRL', expected.ca, caType);
  }
  const minimum = expected.minimumTcbEvaluationDataNumber ?? 0;
  const numbers = { 'TCB info': tcbInfo, 'QE identity': qeIdentity };
  for (const [document, { tcbEvaluationDataNumber }] of Object.entries(numbers)) {
    // Not `number < minimum`: a minimum that is not a number must refuse the set.
    if (tcbEvaluationDataNumber >= minimum) continue;
    const field = `tcbEvaluationDataNumber of the ${document}`;
    refuse('TCB_EVALUATION_TOO_OLD', field, `at least ${minimum}`, `${tcbEvaluationDataNumber}`);
  }
}

function refuse(code: ErrorCode, field: string, expected: string, observed: string): never {
  throw new EvidenceError(code, `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}
