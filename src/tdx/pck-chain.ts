import { equalBytes } from '../bytes/concat.ts';
import { Memo } from '../bytes/memo.ts';
import { latin1 } from '../bytes/native-bytes.ts';
import { sha256Hex } from '../crypto/sha2.ts';
import { type Certificate, parseCertificate } from '../der/certificate.ts';
import { readPemChain } from '../der/pem.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { requireRole, requireSignedBy } from './certificate-checks.ts';
import { type PckCaType, readSgxExtension, type SgxExtension } from './sgx-extension.ts';
import type { TrustRoot } from './trust-root.ts';
import { certificateValidity, type Validity } from './validity.ts';

/** A PCK chain with signatures that are verified up to the trust root; dates and revocation are checked on every use. */
export interface PckChain {
  readonly leaf: Certificate;
  readonly ca: Certificate;
  readonly caType: PckCaType;
  readonly sgx: SgxExtension;
  /** Windows of leaf, CA and root. */
  readonly validities: readonly Validity[];
}

/** Which CA a PCK CA certificate is, by its common name. */
export const pckCaTypeOf = (ca: Certificate): PckCaType =>
  ca.subject.commonName.includes('Platform') ? 'platform' : 'processor';

/** Certificates directly below the trust root, each verified once: PCK CAs and TCB signing certificates. */
export class RootIssuedCertificates {
  readonly #root: TrustRoot;
  readonly #cache: Memo<Certificate>;

  constructor(root: TrustRoot, capacity: number) {
    this.#root = root;
    this.#cache = new Memo(capacity);
  }

  /**
   * Verifies that the chain's end is the trust root byte by byte, and that the root issued `der` for this role.
   * @throws EvidenceError ROOT_NOT_TRUSTED, CERTIFICATE_MALFORMED, CERTIFICATE_CHAIN_INVALID,
   *   CERTIFICATE_SIGNATURE_INVALID.
   */
  verify(der: Uint8Array, rootDer: Uint8Array, role: 'pckCa' | 'tcbSigning'): Certificate {
    if (!equalBytes(rootDer, this.#root.certificate.der)) {
      const observed = `SHA-256 ${sha256Hex(rootDer)}`;
      throw new EvidenceError('ROOT_NOT_TRUSTED', `the chain ends in another root than the pinned one`, {
        field: 'root certificate',
        expected: `SHA-256 ${sha256Hex(this.#root.certificate.der)}`,
        observed,
        hint: 'it is from development or another vendor; for a quote of mock-tdx give its root with --insecure-trust-root',
      });
    }
    return this.#cache.get(`${role} ${sha256Hex(der)}`, () => {
      const certificate = parseCertificate(
        new Uint8Array(der),
        role === 'pckCa' ? 'PCK CA certificate' : 'TCB signing certificate',
      );
      requireRole(certificate, role);
      requireSignedBy(certificate, this.#root.certificate);
      return certificate;
    });
  }
}

/** Verifies the chains of quotes; a platform that was seen before costs one SHA-256. */
export class PckChains {
  readonly #root: TrustRoot;
  readonly #issued: RootIssuedCertificates;
  readonly #cache: Memo<PckChain>;

  constructor(root: TrustRoot, issued: RootIssuedCertificates, capacity: number) {
    this.#root = root;
    this.#issued = issued;
    this.#cache = new Memo(capacity);
  }

  /**
   * Leaf ← PCK CA ← trust root: shape, names, roles, flags and signatures, and the SGX extension.
   * @throws EvidenceError with a certificate code or PCK_EXTENSION_INVALID.
   */
  verify({ pem, digest }: PckChainText): PckChain {
    return this.#cache.get(digest, () => {
      const [leafDer, caDer, rootDer] = requireThree(rootLast(readChain(pem), this.#root));
      const ca = this.#issued.verify(caDer, rootDer, 'pckCa');
      const leaf = parsePckLeaf(leafDer);
      requireRole(leaf, 'pckLeaf');
      requireSignedBy(leaf, ca);
      const caType = pckCaTypeOf(ca);
      const validities = [leaf, ca, this.#root.certificate].map(certificateValidity);
      return Object.freeze({ leaf, ca, caType, sgx: readSgxExtension(leaf, caType), validities });
    });
  }
}

/** A PCK chain in its received form. */
export interface PckChainText {
  /** PEM of leaf, PCK CA and root. */
  readonly pem: Uint8Array;
  /** SHA-256 of the PEM, hex. */
  readonly digest: string;
}

/**
 * Puts a chain that begins with the trust root into the usual order. Intel's verifier uses the names in the
 * certificates and not their order (CertificateChain.cpp). A chain without the trust root is returned unchanged.
 */
export function rootLast(chain: readonly Uint8Array[], root: TrustRoot): readonly Uint8Array[] {
  const [first] = chain;
  const isRootFirst = first !== undefined && equalBytes(first, root.certificate.der);
  return isRootFirst ? chain.toReversed() : chain;
}

/** The facts in a PCK leaf certificate; nothing is verified. */
export function peekPckChain(pem: Uint8Array): Pick<PckChain, 'leaf' | 'sgx' | 'caType'> {
  const [first, , last] = requireThree(readChain(pem));
  const certificate = parsePckLeaf(first);
  const isSelfIssued = equalBytes(certificate.issuer.der, certificate.subject.der);
  const leaf = isSelfIssued ? parsePckLeaf(last) : certificate;
  const caType = leaf.issuer.commonName.includes('Platform') ? 'platform' : 'processor';
  return { leaf, sgx: readSgxExtension(leaf, caType), caType };
}

const parsePckLeaf = (der: Uint8Array): Certificate => parseCertificate(der, 'PCK certificate');

const readChain = (pem: Uint8Array): readonly Uint8Array[] => readPemChain(latin1(pem), 'PCK chain', 3);

type Three = readonly [Uint8Array, Uint8Array, Uint8Array];

const isThree = (chain: readonly Uint8Array[]): chain is Three => chain.length === 3;

/** Exactly three certificates. */
function requireThree(chain: readonly Uint8Array[]): Three {
  if (isThree(chain)) return chain;
  throw new EvidenceError('CERTIFICATE_CHAIN_INVALID', 'the PCK chain must be leaf, PCK CA and root', {
    field: 'PCK chain',
    expected: '3 certificates',
    observed: 'fewer',
  });
}
