import { utf8 } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { pemChain } from '../pki/pem.ts';
import { issueRevocationList, type RevocationListSpec } from '../pki/revocation-list.ts';
import type { SigningKey } from '../pki/signing-key.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { TcbInfo } from './tcb-info.ts';

/** A collateral set as it travels: PEM chains, CRLs as hex of the DER, the signed JSON texts and their signatures. */
export interface CollateralJson {
  readonly pck_crl_issuer_chain: string;
  readonly root_ca_crl: string;
  readonly pck_crl: string;
  readonly tcb_info_issuer_chain: string;
  readonly tcb_info: string;
  readonly tcb_info_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  /** PEM: PCK certificate, PCK CA, root. Only for quotes that name their platform instead of carrying its chain. */
  readonly pck_certificate_chain?: string;
}

/** A signed JSON document before it is signed. */
export interface DocumentPart<Content> {
  readonly content: Content;
  readonly signer: SigningKey;
  /** Signing certificate, then root; DER. */
  readonly issuerChain: readonly Uint8Array[];
}

/** Everything that goes into a collateral set before it is signed; changing one part makes a single defect. */
export interface CollateralParts {
  readonly tcbInfo: DocumentPart<TcbInfo>;
  readonly qeIdentity: DocumentPart<QeIdentity>;
  readonly pckCrl: { readonly spec: RevocationListSpec; readonly signer: SigningKey };
  /** PCK CA, then root; DER. */
  readonly pckCrlIssuerChain: readonly Uint8Array[];
  readonly rootCaCrl: { readonly spec: RevocationListSpec; readonly signer: SigningKey };
}

/** A JSON text and the hex signature over exactly its bytes. */
export function signDocument(part: DocumentPart<unknown>): {
  readonly text: string;
  readonly signature: string;
} {
  const text = JSON.stringify(part.content);
  return { text, signature: toHex(part.signer.sign(utf8(text))) };
}

/** Signs the parts. */
export function assembleCollateral(parts: CollateralParts): CollateralJson {
  const tcbInfo = signDocument(parts.tcbInfo);
  const qeIdentity = signDocument(parts.qeIdentity);
  return {
    pck_crl_issuer_chain: pemChain(...parts.pckCrlIssuerChain),
    root_ca_crl: toHex(issueRevocationList(parts.rootCaCrl.spec, parts.rootCaCrl.signer)),
    pck_crl: toHex(issueRevocationList(parts.pckCrl.spec, parts.pckCrl.signer)),
    tcb_info_issuer_chain: pemChain(...parts.tcbInfo.issuerChain),
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: pemChain(...parts.qeIdentity.issuerChain),
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  };
}
