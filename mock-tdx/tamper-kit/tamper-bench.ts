import {
  assembleCollateral,
  type CollateralJson,
  type CollateralParts,
} from '../collateral/collateral-parts.ts';
import type { QeIdentity } from '../collateral/qe-identity.ts';
import type { TcbInfo } from '../collateral/tcb-info.ts';
import { createDevelopmentPki, type DevelopmentPki, type QuoteRequest } from '../development-pki.ts';
import { type CertificateSpec, issueCertificate } from '../pki/certificate.ts';
import { pem } from '../pki/pem.ts';
import { certificationPem } from '../pki/platform.ts';
import type { RevocationListSpec } from '../pki/revocation-list.ts';
import type { SigningKey } from '../pki/signing-key.ts';
import { assembleQuote, joinQuote, type QuoteParts, signedRegion } from '../quote/quote-parts.ts';
import type { Evidence } from './evidence.ts';

export const DAY_MS = 86_400_000;

type Request = Omit<QuoteRequest, 'reportData'>;
type Change<Value> = (value: Value) => Value;

/** Makes good evidence with exactly one change, everything after the change signed again. */
export class TamperBench {
  readonly pki: DevelopmentPki;
  /** Another PKI of the same shape; its root is not trusted. */
  readonly stranger: DevelopmentPki;
  readonly nowMs: number;
  readonly #goodQuote: Uint8Array;
  readonly #goodCollateral: CollateralJson;

  constructor(pki: DevelopmentPki, nowMs: number) {
    this.pki = pki;
    this.nowMs = nowMs;
    this.stranger = createDevelopmentPki({ seed: pki.authorities.root.certificate });
    this.#goodQuote = pki.quote({ reportData: new Uint8Array(64) });
    this.#goodCollateral = pki.collateral({ nowMs });
  }

  /** Evidence in which nothing is wrong but what is replaced. */
  evidence(changes: Partial<Evidence> = {}): Evidence {
    return {
      quote: this.#goodQuote,
      collateral: this.#goodCollateral,
      nowMs: this.nowMs,
      root: this.pki.rootPem,
      ...changes,
    };
  }

  /** A quote that was asked for. */
  asked(request: Request): Evidence {
    return this.evidence({ quote: this.pki.quote({ reportData: new Uint8Array(64), ...request }) });
  }

  parts(request: Request = {}): QuoteParts {
    return this.pki.quoteParts({ reportData: new Uint8Array(64), ...request });
  }

  /** One part of the quote differs, and all signatures fit. */
  quote(change: Change<QuoteParts>, request: Request = {}): Evidence {
    return this.evidence({ quote: assembleQuote(change(this.parts(request))) });
  }

  /** Signed bytes differ, and the attestation key signed them so. */
  signedBytes(change: Change<Uint8Array>, request: Request = {}): Evidence {
    const parts = this.parts(request);
    const signed = change(signedRegion(parts));
    return this.evidence({ quote: joinQuote(signed, parts.attestationKey.sign(signed), parts) });
  }

  /** The finished quote differs. */
  quoteBytes(change: Change<Uint8Array>, request: Request = {}): Evidence {
    const quote = this.pki.quote({ reportData: new Uint8Array(64), ...request });
    return this.evidence({ quote: change(quote) });
  }

  /** The PCK chain of the quote is another; the PCK key stays. */
  pckChain(...certificates: readonly Uint8Array[]): Evidence {
    return this.quote((parts) => ({ ...parts, certificationPem: certificationPem(...certificates) }));
  }

  /** The PCK certificate says something else, and its CA signed it so. */
  pckLeaf(changes: Partial<CertificateSpec>, issuerKey?: SigningKey): Evidence {
    return this.pckLeafSpec({ ...this.pki.platform().pck.spec, ...changes }, issuerKey);
  }

  /** As {@link pckLeaf}, with the whole content. */
  pckLeafSpec(spec: CertificateSpec, issuerKey?: SigningKey): Evidence {
    const { ca } = this.pki.platform();
    const leaf = issueCertificate(spec, issuerKey ?? ca.key);
    return this.pckChain(leaf, ca.certificate, this.pki.authorities.root.certificate);
  }

  /** The PCK CA's certificate in the quote says something else, and the root signed it so. */
  pckCa(changes: Partial<CertificateSpec>, issuerKey?: SigningKey): Evidence {
    const { root, platformCa } = this.pki.authorities;
    const ca = issueCertificate({ ...platformCa.spec, ...changes }, issuerKey ?? root.key);
    return this.pckChain(this.pki.platform().pck.certificate, ca, root.certificate);
  }

  /** The trusted root itself says something else; its key, and so all that it signed, stays. */
  underRoot(changes: Partial<CertificateSpec>): Evidence {
    const { root, platformCa, tcbSigner } = this.pki.authorities;
    const otherRoot = issueCertificate({ ...root.spec, ...changes }, root.key);
    const { pck } = this.pki.platform();
    const { quote } = this.pckChain(pck.certificate, platformCa.certificate, otherRoot);
    const { collateral } = this.collateral((parts) => ({
      ...parts,
      tcbInfo: { ...parts.tcbInfo, issuerChain: [tcbSigner.certificate, otherRoot] },
      qeIdentity: { ...parts.qeIdentity, issuerChain: [tcbSigner.certificate, otherRoot] },
      pckCrlIssuerChain: [platformCa.certificate, otherRoot],
    }));
    return this.evidence({ quote, collateral, root: pem('CERTIFICATE', otherRoot) });
  }

  /** One part of the collateral differs, and all signatures fit. */
  collateral(change: Change<CollateralParts>): Evidence {
    const parts = this.pki.collateralParts({ nowMs: this.nowMs });
    return this.evidence({ collateral: assembleCollateral(change(parts)) });
  }

  tcbInfo(change: (content: TcbInfo) => object, request?: Request): Evidence {
    const { collateral } = this.collateral((parts) => ({
      ...parts,
      // Defects need contents that the type, which describes good ones, would not allow.
      tcbInfo: { ...parts.tcbInfo, content: change(parts.tcbInfo.content) as TcbInfo },
    }));
    return request === undefined ? this.evidence({ collateral }) : { ...this.asked(request), collateral };
  }

  qeIdentity(change: (content: QeIdentity) => object): Evidence {
    return this.collateral((parts) => ({
      ...parts,
      // As above.
      qeIdentity: { ...parts.qeIdentity, content: change(parts.qeIdentity.content) as QeIdentity },
    }));
  }

  pckCrl(changes: Partial<RevocationListSpec>, signer?: SigningKey): Evidence {
    return this.collateral((parts) => ({
      ...parts,
      pckCrl: { spec: { ...parts.pckCrl.spec, ...changes }, signer: signer ?? parts.pckCrl.signer },
    }));
  }

  rootCaCrl(changes: Partial<RevocationListSpec>, signer?: SigningKey): Evidence {
    return this.collateral((parts) => ({
      ...parts,
      rootCaCrl: { spec: { ...parts.rootCaCrl.spec, ...changes }, signer: signer ?? parts.rootCaCrl.signer },
    }));
  }

  /** The TCB signer's certificate of both documents says something else, and the root signed it so. */
  tcbSigner(changes: Partial<CertificateSpec>, issuerKey?: SigningKey): Evidence {
    const { root, tcbSigner } = this.pki.authorities;
    const certificate = issueCertificate({ ...tcbSigner.spec, ...changes }, issuerKey ?? root.key);
    return this.tcbChain(certificate, root.certificate);
  }

  /** Another issuer chain of both documents; the signing key stays. */
  tcbChain(...issuerChain: readonly Uint8Array[]): Evidence {
    return this.collateral((parts) => ({
      ...parts,
      tcbInfo: { ...parts.tcbInfo, issuerChain },
      qeIdentity: { ...parts.qeIdentity, issuerChain },
    }));
  }

  /** A finished document differs. */
  documents(change: (documents: CollateralJson) => object): Evidence {
    // Defects include documents of the wrong type.
    return this.evidence({ collateral: change(this.#goodCollateral) as CollateralJson });
  }
}
