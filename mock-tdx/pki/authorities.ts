import { type CertificateSpec, commonNames, issueCertificate } from './certificate.ts';
import type { Seed } from './seed.ts';
import { SigningKey } from './signing-key.ts';

/** A certificate with its key: the root, a PCK CA or the TCB signer. */
export interface Authority {
  readonly spec: CertificateSpec;
  readonly key: SigningKey;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** The authorities of a development PKI, in Intel's shape. */
export interface Authorities {
  readonly root: Authority;
  readonly platformCa: Authority;
  readonly processorCa: Authority;
  readonly tcbSigner: Authority;
}

const ROOT_CRL_URL = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';
// Fixed, and not around "now": the same seed has to give the same certificates whenever it is started.
const HIERARCHY_FROM_MS = Date.UTC(2018, 4, 21, 10, 45, 10);
const HIERARCHY_UNTIL_MS = Date.UTC(2049, 11, 31, 23, 59, 59);

/** Root, both PCK CAs and the TCB signer of one seed. */
export function createAuthorities(seed: Seed): Authorities {
  const rootKey = SigningKey.derive(seed, 'root');
  const root = authority(rootKey, rootKey, {
    ...common(rootKey, rootKey, commonNames.root, seed),
    certificateAuthority: { pathLength: 1 },
    keyUsage: 'ca',
  });
  const below = (
    commonName: string,
    role: Pick<CertificateSpec, 'certificateAuthority' | 'keyUsage'>,
  ): Authority => {
    const key = SigningKey.derive(seed, commonName);
    return authority(key, rootKey, { ...common(key, rootKey, commonName, seed), ...role });
  };
  const ca = { certificateAuthority: { pathLength: 0 }, keyUsage: 'ca' } as const;
  return {
    root,
    platformCa: below(commonNames.platformCa, ca),
    processorCa: below(commonNames.processorCa, ca),
    tcbSigner: below(commonNames.tcbSigning, { certificateAuthority: false, keyUsage: 'signer' }),
  };
}

/** Issues the certificate of a spec. */
export function authority(key: SigningKey, issuerKey: SigningKey, spec: CertificateSpec): Authority {
  return { spec, key, certificate: issueCertificate(spec, issuerKey) };
}

function common(key: SigningKey, rootKey: SigningKey, subject: string, seed: Seed) {
  return {
    subject,
    issuer: commonNames.root,
    serialNumber: seed.serialNumber(subject),
    notBeforeMs: HIERARCHY_FROM_MS,
    notAfterMs: HIERARCHY_UNTIL_MS,
    publicKey: key.publicKey,
    subjectKeyIdentifier: key.keyIdentifier,
    authorityKeyIdentifier: rootKey.keyIdentifier,
    crlUrl: ROOT_CRL_URL,
  };
}
