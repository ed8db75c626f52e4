import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  integer,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  set,
  time,
  utf8String,
} from './der-writer.ts';
import { oids } from './oids.ts';
import type { SigningKey } from './signing-key.ts';

/** Common names of Intel's hierarchy; the verifier tells roles by them. */
export const commonNames = {
  root: 'Intel SGX Root CA',
  platformCa: 'Intel SGX PCK Platform CA',
  processorCa: 'Intel SGX PCK Processor CA',
  pck: 'Intel SGX PCK Certificate',
  tcbSigning: 'Intel SGX TCB Signing',
} as const;

/** What a certificate says; every field can be changed to make a defect. */
export interface CertificateSpec {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** x ‖ y, 64 bytes. */
  readonly publicKey: Uint8Array;
  readonly subjectKeyIdentifier: Uint8Array;
  readonly authorityKeyIdentifier: Uint8Array;
  readonly crlUrl: string;
  /** `false` writes the empty SEQUENCE of a leaf; `absent` leaves the extension out. */
  readonly certificateAuthority: { readonly pathLength: number } | false | 'absent';
  readonly keyUsage: keyof typeof keyUsages;
  /** The SGX extension of a PCK certificate. */
  readonly sgxExtension?: Uint8Array;
  /** 2 is X.509 v3. */
  readonly version?: number;
  /** Named in both places of the certificate. */
  readonly signatureAlgorithm?: string;
}

/** Intel's distinguished names: CN, then O, L, ST and C, always in this order. */
export function intelName(commonName: string): Uint8Array {
  const attribute = (oid: string, value: Uint8Array) => set(sequence(objectIdentifier(oid), value));
  return sequence(
    attribute(oids.commonName, utf8String(commonName)),
    attribute(oids.organizationName, utf8String('Intel Corporation')),
    attribute(oids.localityName, utf8String('Santa Clara')),
    attribute(oids.stateOrProvinceName, utf8String('CA')),
    attribute(oids.countryName, printableString('US')),
  );
}

/** One Extension (RFC 5280 section 4.1.2.9). */
export const extension = (oid: string, critical: boolean, value: Uint8Array): Uint8Array =>
  sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value));

/** The `keyid` form of AuthorityKeyIdentifier. */
export const authorityKeyIdentifier = (keyIdentifier: Uint8Array): Uint8Array =>
  extension(oids.authorityKeyIdentifier, false, sequence(contextPrimitive(0, keyIdentifier)));

/** Signs a certificate; DER. The issuer's key is an argument of its own, so that names and keys can disagree. */
export function issueCertificate(spec: CertificateSpec, issuerKey: SigningKey): Uint8Array {
  const algorithm = sequence(objectIdentifier(spec.signatureAlgorithm ?? oids.ecdsaWithSha256));
  const toBeSigned = sequence(
    contextConstructed(0, integer(spec.version ?? 2)),
    integer(spec.serialNumber),
    algorithm,
    intelName(spec.issuer),
    sequence(time(spec.notBeforeMs), time(spec.notAfterMs)),
    intelName(spec.subject),
    subjectPublicKeyInfo(spec.publicKey),
    contextConstructed(3, sequence(...extensions(spec))),
  );
  return sequence(toBeSigned, algorithm, bitString(issuerKey.signDer(toBeSigned)));
}

function subjectPublicKeyInfo(publicKey: Uint8Array): Uint8Array {
  return sequence(
    sequence(objectIdentifier(oids.ecPublicKey), objectIdentifier(oids.prime256v1)),
    bitString(concatBytes(Uint8Array.of(4), publicKey)),
  );
}

/** Bits of RFC 5280 section 4.2.1.3. */
const keyUsages: Readonly<Record<'ca' | 'signer' | 'certificatesOnly' | 'crlsOnly', Uint8Array>> = {
  /** keyCertSign and cRLSign. */
  ca: bitString(Uint8Array.of(0x06), 1),
  /** digitalSignature and nonRepudiation. */
  signer: bitString(Uint8Array.of(0xc0), 6),
  /** For tests: a half of what a CA needs. */
  certificatesOnly: bitString(Uint8Array.of(0x04), 2),
  crlsOnly: bitString(Uint8Array.of(0x02), 1),
};

/** In the order in which Intel writes them. */
function extensions(spec: CertificateSpec): Uint8Array[] {
  return [
    authorityKeyIdentifier(spec.authorityKeyIdentifier),
    extension(oids.crlDistributionPoints, false, distributionPoint(spec.crlUrl)),
    extension(oids.subjectKeyIdentifier, false, octetString(spec.subjectKeyIdentifier)),
    extension(oids.keyUsage, true, keyUsages[spec.keyUsage]),
    ...basicConstraints(spec.certificateAuthority),
    ...(spec.sgxExtension === undefined ? [] : [extension(oids.sgxExtension, false, spec.sgxExtension)]),
  ];
}

function distributionPoint(url: string): Uint8Array {
  const fullName = contextConstructed(0, contextConstructed(0, contextPrimitive(6, utf8(url))));
  return sequence(sequence(fullName));
}

function basicConstraints(authority: CertificateSpec['certificateAuthority']): Uint8Array[] {
  if (authority === 'absent') return [];
  const value = authority === false ? sequence() : sequence(boolean(true), integer(authority.pathLength));
  return [extension(oids.basicConstraints, true, value)];
}
