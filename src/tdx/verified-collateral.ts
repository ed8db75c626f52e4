import { utf8 } from '../bytes/concat.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import { sha256HexOfText } from '../crypto/sha2.ts';
import type { Certificate } from '../der/certificate.ts';
import type { Crl } from '../der/crl.ts';
import { readPemChain } from '../der/pem.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type CollateralDocuments, type CollateralKeys, collateralKeys } from './collateral.ts';
import { type CollateralFacts, type SignedDocuments, summarizeCollateral } from './collateral-summary.ts';
import { pckCaTypeOf, type RootIssuedCertificates, rootLast } from './pck-chain.ts';
import { frozenWithJson } from './printable.ts';
import { parseQeIdentity, type QeIdentity } from './qe-identity.ts';
import { readSignedCrl } from './signed-crl.ts';
import { parseTcbInfo, type TcbInfo } from './tcb-info.ts';
import type { TrustRoot } from './trust-root.ts';
import { certificateValidity, type Validity } from './validity.ts';

/** A collateral set with all signatures verified up to the trust root; dates are checked on every use. */
export interface VerifiedCollateral extends SignedDocuments {
  readonly pckCa: Certificate;
  /** Those of TCB info and QE identity: with Intel the same one twice. */
  readonly tcbSigning: readonly Certificate[];
  readonly summary: CollateralFacts;
  /** The summary in the state that a late use within the grace gives it. */
  readonly inGrace: CollateralFacts;
}

/** Verifies collateral once per content: a known set costs nothing, and a set with one new document only that one. */
export class CollateralVerifier {
  readonly #root: TrustRoot;
  readonly #issued: RootIssuedCertificates;
  readonly #sets: Memo<VerifiedCollateral>;
  readonly #crls: Memo<Crl>;
  readonly #tcbInfos: Memo<TcbInfo>;
  readonly #qeIdentities: Memo<QeIdentity>;
  /** Frozen sets are one content each; this saves hashing 20 kB per quote. */
  readonly #byObject = new WeakMap<CollateralDocuments, VerifiedCollateral>();

  constructor(root: TrustRoot, issued: RootIssuedCertificates, capacity: number) {
    this.#root = root;
    this.#issued = issued;
    this.#sets = new Memo(capacity);
    this.#crls = new Memo(capacity);
    this.#tcbInfos = new Memo(capacity);
    this.#qeIdentities = new Memo(capacity);
  }

  /**
   * Verifies chains, CRLs, TCB info and QE identity; six ECDSA verifications for a new set under one TCB signer.
   * @param documents a set that `parsedCollateral` made.
   * @throws EvidenceError with the code of the first document that fails.
   */
  verify(documents: CollateralDocuments): VerifiedCollateral {
    return this.#byObject.get(documents) ?? this.#remember(documents);
  }

  #remember(documents: CollateralDocuments): VerifiedCollateral {
    const keys = collateralKeys(documents, sha256HexOfText);
    const verified = this.#sets.get(Object.values(keys).join(), () => this.#verifyAll(documents, keys));
    this.#byObject.set(documents, verified);
    return verified;
  }

  #verifyAll(documents: CollateralDocuments, keys: CollateralKeys): VerifiedCollateral {
    const root = this.#root.certificate;
    const pckCa = this.#issuer(documents.pck_crl_issuer_chain, 'PCK CRL issuer chain', 'pckCa');
    const tcbSigner = this.#issuer(documents.tcb_info_issuer_chain, 'TCB info issuer chain', 'tcbSigning');
    const qeSigner = this.#issuer(
      documents.qe_identity_issuer_chain,
      'QE identity issuer chain',
      'tcbSigning',
    );
    const rootCrl = this.#crls.get(keys.rootCrl, () =>
      readSignedCrl(documents.root_ca_crl, 'root CA CRL', root),
    );
    const pckCrl = this.#crls.get(keys.pckCrl, () => readSignedCrl(documents.pck_crl, 'PCK CRL', pckCa));
    const tcbInfo = this.#tcbInfos.get(keys.tcbInfo, () =>
      parseTcbInfo(signedText(documents, 'tcb_info', tcbSigner, 'TCB_INFO_SIGNATURE_INVALID')),
    );
    const qeIdentity = this.#qeIdentities.get(keys.qeIdentity, () =>
      parseQeIdentity(signedText(documents, 'qe_identity', qeSigner, 'QE_IDENTITY_SIGNATURE_INVALID')),
    );
    const tcbSigning = [tcbSigner, qeSigner];
    const validities = [
      ...[root, pckCa, ...tcbSigning].map(certificateValidity),
      crlValidity(rootCrl),
      crlValidity(pckCrl),
      jsonValidity('TCB info', tcbInfo, 'TCB_INFO_NOT_YET_VALID', 'TCB_INFO_EXPIRED'),
      jsonValidity('QE identity', qeIdentity, 'QE_IDENTITY_NOT_YET_VALID', 'QE_IDENTITY_EXPIRED'),
    ];
    const caType = pckCaTypeOf(pckCa);
    const parts = { tcbInfo, qeIdentity, rootCrl, pckCrl, pckCa, caType, tcbSigning, validities };
    const summary = frozenWithJson({ ...summarizeCollateral(parts), state: 'fresh' as const });
    return Object.freeze({
      ...parts,
      summary,
      inGrace: frozenWithJson({ ...summary, state: 'grace' as const }),
    });
  }

  /** An issuer chain is exactly the issuer and the root, in either order. */
  #issuer(pem: string, document: string, role: 'pckCa' | 'tcbSigning'): Certificate {
    const [issuer, root] = rootLast(readPemChain(pem, document, 2), this.#root);
    if (issuer !== undefined && root !== undefined) return this.#issued.verify(issuer, root, role);
    throw new EvidenceError('CERTIFICATE_CHAIN_INVALID', `${document} must be issuer and root`, {
      field: document,
      expected: '2 certificates',
      observed: 'fewer',
    });
  }
}

/** Verifies the signature over the exact text before anything in it is parsed. */
function signedText(
  documents: CollateralDocuments,
  name: 'tcb_info' | 'qe_identity',
  signer: Certificate,
  code: ErrorCode,
): string {
  const text = documents[name];
  const signature = tryFromHex(documents[`${name}_signature`]);
  const signed = utf8(text);
  if (signature?.length === 64 && signer.publicKey.verify(signed, signature)) {
    // What is parsed must be what was signed: a text with unpaired surrogates differs from the text of its UTF-8 bytes.
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(signed);
  }
  throw new EvidenceError(code, `${name} is not signed by its issuer chain`, {
    field: name,
    expected: `a signature by ${signer.document} over the exact text`,
    observed: 'another signature',
  });
}

const crlValidity = (crl: Crl): Validity => ({
  document: crl.document,
  notBeforeMs: crl.thisUpdateMs,
  notAfterMs: crl.nextUpdateMs,
  tooEarly: 'CRL_NOT_YET_VALID',
  tooLate: 'CRL_EXPIRED',
  hasGrace: true,
});

const jsonValidity = (
  document: string,
  dates: { readonly issueDateMs: number; readonly nextUpdateMs: number },
  tooEarly: ErrorCode,
  tooLate: ErrorCode,
): Validity => ({
  document,
  notBeforeMs: dates.issueDateMs,
  notAfterMs: dates.nextUpdateMs,
  tooEarly,
  tooLate,
  hasGrace: true,
});
