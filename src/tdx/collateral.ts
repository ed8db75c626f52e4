import { EvidenceError } from '../errors/latchkey-error.ts';

/** The documents of Intel that a verdict on one platform needs, as text; nothing is verified. */
export interface CollateralDocuments {
  /** PEM: PCK CA, root. */
  readonly pck_crl_issuer_chain: string;
  /** Hex of the DER, or PEM. */
  readonly root_ca_crl: string;
  /** Hex of the DER, or PEM. */
  readonly pck_crl: string;
  /** PEM: TCB signing certificate, root. */
  readonly tcb_info_issuer_chain: string;
  /** The exact signed text: the value of `tcbInfo` in Intel's answer. */
  readonly tcb_info: string;
  /** r ‖ s, 128 hex digits. */
  readonly tcb_info_signature: string;
  /** PEM: TCB signing certificate, root. */
  readonly qe_identity_issuer_chain: string;
  /** The exact signed text: the value of `enclaveIdentity` in Intel's answer. */
  readonly qe_identity: string;
  /** r ‖ s, 128 hex digits. */
  readonly qe_identity_signature: string;
  /**
   * PEM: PCK certificate, PCK CA, root. Only for quotes that name their platform instead of carrying its chain
   * (certification data of type 1 to 4); a quote that carries its own chain is verified with that one.
   */
  readonly pck_certificate_chain?: string;
}

/** Characters; Intel's largest documents today have a tenth of these. */
const maxCharacters: Readonly<Record<keyof CollateralDocuments, number>> = {
  pck_crl_issuer_chain: 16_384,
  root_ca_crl: 262_144,
  pck_crl: 2_097_152,
  tcb_info_issuer_chain: 16_384,
  tcb_info: 262_144,
  tcb_info_signature: 128,
  qe_identity_issuer_chain: 16_384,
  qe_identity: 65_536,
  qe_identity_signature: 128,
  pck_certificate_chain: 16_384,
};

/** Sets made below: frozen, with text fields only, so that the content of an object never changes. */
const parsed = new WeakSet<CollateralDocuments>();

/** Returns a set that {@link parseCollateralDocuments} made as it is, and parses any other. @throws EvidenceError COLLATERAL_MALFORMED. */
export const parsedCollateral = (documents: CollateralDocuments): CollateralDocuments =>
  parsed.has(documents) ? documents : parseCollateralDocuments(documents);

/** Digests under which the four signed documents of a set are known, each with everything that its signature needs. */
export interface CollateralKeys {
  readonly rootCrl: string;
  readonly pckCrl: string;
  readonly tcbInfo: string;
  readonly qeIdentity: string;
}

/** The keys of a set; together they cover its nine signed texts, so that sets with other documents never have the same four. */
export function collateralKeys(
  documents: CollateralDocuments,
  digest: (text: string) => string,
): CollateralKeys {
  const keyOf = (document: string, signature: string, issuerChain: string): string =>
    // The lengths keep different triples apart.
    digest(`${document.length}:${document}${signature.length}:${signature}${issuerChain}`);
  return {
    rootCrl: keyOf(documents.root_ca_crl, '', ''),
    pckCrl: keyOf(documents.pck_crl, '', documents.pck_crl_issuer_chain),
    tcbInfo: keyOf(documents.tcb_info, documents.tcb_info_signature, documents.tcb_info_issuer_chain),
    qeIdentity: keyOf(
      documents.qe_identity,
      documents.qe_identity_signature,
      documents.qe_identity_issuer_chain,
    ),
  };
}

/**
 * Checks that a value is a collateral set: nine texts, and a PCK chain where there is one, within their size limits.
 * Other fields are ignored.
 * @returns a frozen copy, for which the verifier's cache needs no hashing.
 * @throws EvidenceError COLLATERAL_MALFORMED.
 */
export function parseCollateralDocuments(json: unknown): CollateralDocuments {
  if (typeof json !== 'object' || json === null) return refuse('collateral', 'an object', typeof json);
  // An object was asserted; each field is checked before it is used.
  const fields = json as Readonly<Record<string, unknown>>;
  const text = (name: keyof CollateralDocuments): string => {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (typeof value !== 'string') return refuse(name, 'text', typeof value);
    if (value.length > maxCharacters[name]) {
      refuse(name, `at most ${maxCharacters[name]} characters`, `${value.length}`);
    }
    return value;
  };
  const documents = Object.freeze({
    pck_crl_issuer_chain: text('pck_crl_issuer_chain'),
    root_ca_crl: text('root_ca_crl'),
    pck_crl: text('pck_crl'),
    tcb_info_issuer_chain: text('tcb_info_issuer_chain'),
    tcb_info: text('tcb_info'),
    tcb_info_signature: text('tcb_info_signature'),
    qe_identity_issuer_chain: text('qe_identity_issuer_chain'),
    qe_identity: text('qe_identity'),
    qe_identity_signature: text('qe_identity_signature'),
    ...(Object.hasOwn(fields, 'pck_certificate_chain')
      ? { pck_certificate_chain: text('pck_certificate_chain') }
      : {}),
  });
  parsed.add(documents);
  return documents;
}

function refuse(field: string, expected: string, observed: string): never {
  const message = `collateral: ${field} must be ${expected}, got ${observed}`;
  throw new EvidenceError('COLLATERAL_MALFORMED', message, { field, expected, observed });
}
