import type { CodeEntry } from './code-entry.ts';

/** Codes of the quote verifier. Those of the evidence come first, those of the policy last. */
export const tdxCodes = {
  QUOTE_MALFORMED: { status: 422, summary: 'The quote breaks the fixed layout of TDX quotes v4 and v5.' },
  QUOTE_TRUNCATED: { status: 422, summary: 'The quote ends before its own lengths say.' },
  QUOTE_TRAILING_BYTES: { status: 422, summary: 'Bytes follow the quote that no signature covers.' },
  QUOTE_TOO_LARGE: { status: 422, summary: 'The quote is larger than any genuine one.' },
  QUOTE_UNSUPPORTED: {
    status: 422,
    summary:
      'A well-formed quote of another kind: SGX, another version, key type, vendor or certification data.',
  },
  CERTIFICATE_MALFORMED: {
    status: 422,
    summary: 'A certificate or chain is not strict DER, PEM or X.509 v3.',
  },
  CERTIFICATE_CHAIN_INVALID: {
    status: 422,
    summary: 'A certificate chain has the wrong shape, names, roles, CA flags or key usage.',
  },
  CERTIFICATE_SIGNATURE_INVALID: { status: 422, summary: 'A certificate is not signed by its issuer.' },
  CERTIFICATE_EXPIRED: { status: 422, summary: 'A certificate is past its notAfter.' },
  CERTIFICATE_NOT_YET_VALID: { status: 422, summary: 'A certificate is before its notBefore.' },
  CERTIFICATE_REVOKED: { status: 422, summary: 'A revocation list names this certificate.' },
  ROOT_NOT_TRUSTED: { status: 422, summary: 'A chain ends in another root than the pinned one.' },
  TRUST_ROOT_INVALID: { status: 500, summary: 'The injected root is not a self-signed CA certificate.' },
  PCK_EXTENSION_INVALID: { status: 422, summary: 'The SGX extension of the PCK certificate is malformed.' },
  CRL_MALFORMED: { status: 422, summary: 'A revocation list is not strict DER or X.509 v2.' },
  CRL_ISSUER_MISMATCH: {
    status: 422,
    summary: 'A revocation list is of another issuer than the one it is for.',
  },
  CRL_SIGNATURE_INVALID: { status: 422, summary: 'A revocation list is not signed by its issuer.' },
  CRL_EXPIRED: { status: 422, summary: 'A revocation list is past its nextUpdate.' },
  CRL_NOT_YET_VALID: { status: 422, summary: 'A revocation list is before its thisUpdate.' },
  COLLATERAL_MALFORMED: {
    status: 422,
    summary: 'A collateral document is missing, too large or not in its format.',
  },
  TCB_INFO_SIGNATURE_INVALID: {
    status: 422,
    summary: 'The TCB info is not signed by its TCB signing certificate.',
  },
  TCB_INFO_INVALID: { status: 422, summary: 'The TCB info is not a complete TDX TCB info of version 3.' },
  TCB_INFO_EXPIRED: { status: 422, summary: 'The TCB info is past its nextUpdate.' },
  TCB_INFO_NOT_YET_VALID: { status: 422, summary: 'The TCB info is before its issueDate.' },
  QE_IDENTITY_SIGNATURE_INVALID: {
    status: 422,
    summary: 'The QE identity is not signed by its TCB signing certificate.',
  },
  QE_IDENTITY_INVALID: {
    status: 422,
    summary: 'The QE identity is not a complete TD_QE identity of version 2.',
  },
  QE_IDENTITY_EXPIRED: { status: 422, summary: 'The QE identity is past its nextUpdate.' },
  QE_IDENTITY_NOT_YET_VALID: { status: 422, summary: 'The QE identity is before its issueDate.' },
  TCB_EVALUATION_TOO_OLD: {
    status: 422,
    summary: 'The collateral has a lower TCB evaluation data number than the minimum.',
  },
  FMSPC_MISMATCH: { status: 422, summary: 'The TCB info is for another FMSPC than the PCK certificate.' },
  PCEID_MISMATCH: { status: 422, summary: 'The TCB info is for another PCEID than the PCK certificate.' },
  QE_REPORT_SIGNATURE_INVALID: { status: 422, summary: 'The QE report is not signed by the PCK key.' },
  QE_REPORT_DATA_MISMATCH: { status: 422, summary: 'The QE report does not vouch for this attestation key.' },
  QE_IDENTITY_MISMATCH: {
    status: 422,
    summary: "The quoting enclave is not Intel's, or runs in debug mode.",
  },
  ATTESTATION_KEY_INVALID: { status: 422, summary: 'The attestation key is not a point on P-256.' },
  QUOTE_SIGNATURE_INVALID: { status: 422, summary: 'The quote is not signed by its attestation key.' },
  TDX_MODULE_MISMATCH: { status: 422, summary: 'The TDX module is not one that the TCB info knows.' },
  TCB_NOT_SUPPORTED: {
    status: 422,
    summary: 'Platform, TDX module or quoting enclave are below every TCB level that Intel lists.',
  },
  EVENT_LOG_MALFORMED: {
    status: 422,
    summary: 'An event log is not one of the formats that can be replayed.',
  },
  EVENT_LOG_MISMATCH: {
    status: 422,
    summary: 'The events of a log do not lead to the registers that the quote states.',
  },
  MR_CONFIG_ID_MISMATCH: { status: 422, summary: 'MRCONFIGID of the quote is not the hash of the document.' },
  POLICY_INVALID: { status: 400, summary: 'The policy has an unknown field or a wrong value.' },
  TD_DEBUG: { status: 403, summary: 'A debug TD: its owner or host can read its memory.' },
  TD_ATTRIBUTES_REFUSED: {
    status: 403,
    summary: 'The TD attributes have a reserved or refused bit, or lack a required one.',
  },
  XFAM_REFUSED: { status: 403, summary: 'XFAM lacks a required bit or has one that is not allowed.' },
  SERVICE_TD_REFUSED: { status: 403, summary: 'A service TD is bound to this TD.' },
  EXTENDED_REPORT_REFUSED: {
    status: 403,
    summary: 'The policy does not cover the extended TD report 1.5, or does not accept one of its fields.',
  },
  MEASUREMENT_REFUSED: {
    status: 403,
    summary: 'A measured field of the TD report is not in the allow list.',
  },
  TCB_REVOKED: { status: 403, summary: 'Intel has revoked this TCB level, module or quoting enclave.' },
  TCB_STATUS_REFUSED: { status: 403, summary: 'The policy does not accept this TCB status.' },
  ADVISORY_REFUSED: { status: 403, summary: 'The policy does not accept an advisory that applies.' },
  INPUT_UNREADABLE: {
    status: 500,
    summary: 'A file named on the command line cannot be read or is not in its format.',
  },
  LINE_INVALID: { status: 400, summary: 'A line of a JSON lines stream is not a valid request.' },
  LINE_TOO_LONG: { status: 413, summary: 'A line of a JSON lines stream is longer than accepted.' },
} as const satisfies Record<string, CodeEntry>;
