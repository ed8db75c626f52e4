import type { Authorities, Authority } from './authorities.ts';
import { authority } from './authorities.ts';
import { commonNames } from './certificate.ts';
import { pemChain } from './pem.ts';
import type { Seed } from './seed.ts';
import { type SgxFacts, sgxExtension } from './sgx-extension.ts';
import { SigningKey } from './signing-key.ts';

/** Which CA issues the PCK certificates of a platform. */
export type PckCaKind = 'platform' | 'processor';

/** One simulated machine: its facts, its PCK certificate and its quoting enclave's key. */
export interface Platform {
  readonly facts: SgxFacts;
  readonly ca: Authority;
  readonly pck: Authority;
  readonly attestationKey: SigningKey;
  /** Leaf, CA, root and a final NUL, as quotes carry them. */
  readonly certificationPem: string;
}

/** The 16 component SVNs of a patched development platform; the rest of them are zero. */
export const developmentComponentSvns: readonly number[] = [8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
export const DEVELOPMENT_PCE_SVN = 13;

const PCK_FROM_MS = Date.UTC(2024, 6, 2, 12, 7, 37);
const PCK_UNTIL_MS = Date.UTC(2049, 6, 2, 12, 7, 37);

/** The facts of platform `number`; each has its own PPID. */
export function platformFacts(seed: Seed, number: number, fmspc: Uint8Array, ca: PckCaKind): SgxFacts {
  const label = `${ca}/${number}`;
  return {
    ppid: seed.bytes(`ppid/${label}`, 16),
    componentSvns: developmentComponentSvns,
    pceSvn: DEVELOPMENT_PCE_SVN,
    cpuSvn: Uint8Array.of(8, 8, 0xff, 0x1b, 4, 0xff, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0),
    pceId: new Uint8Array(2),
    fmspc,
    ...(ca === 'platform' ? { platformInstanceId: seed.bytes(`instance/${label}`, 16) } : {}),
  };
}

/** Issues the PCK certificate for a platform's facts. */
export function createPlatform(
  seed: Seed,
  authorities: Authorities,
  number: number,
  kind: PckCaKind,
  facts: SgxFacts,
): Platform {
  const label = `${kind}/${number}`;
  const ca = kind === 'platform' ? authorities.platformCa : authorities.processorCa;
  const key = SigningKey.derive(seed, `pck/${label}`);
  const pck = authority(key, ca.key, {
    subject: commonNames.pck,
    issuer: ca.spec.subject,
    serialNumber: seed.serialNumber(`pck/${label}`),
    notBeforeMs: PCK_FROM_MS,
    notAfterMs: PCK_UNTIL_MS,
    publicKey: key.publicKey,
    subjectKeyIdentifier: key.keyIdentifier,
    authorityKeyIdentifier: ca.key.keyIdentifier,
    crlUrl: `https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=${kind}&encoding=der`,
    certificateAuthority: false,
    keyUsage: 'signer',
    sgxExtension: sgxExtension(facts),
  });
  return {
    facts,
    ca,
    pck,
    attestationKey: SigningKey.derive(seed, `attestation/${label}`),
    certificationPem: certificationPem(pck.certificate, ca.certificate, authorities.root.certificate),
  };
}

/** The certification data of a quote. */
export const certificationPem = (...certificates: readonly Uint8Array[]): string =>
  `${pemChain(...certificates)}\0`;
