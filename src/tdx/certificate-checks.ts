import { equalBytes } from '../bytes/concat.ts';
import type { Certificate } from '../der/certificate.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** The place of a certificate in Intel's SGX PKI. */
export type CertificateRole = 'root' | 'pckCa' | 'pckLeaf' | 'tcbSigning';

/** Common names by role, as Intel issues them. Without this check a PCK key could sign TCB info under the same root. */
const commonNames: Readonly<Record<CertificateRole, readonly string[]>> = {
  root: ['Intel SGX Root CA'],
  pckCa: ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'],
  pckLeaf: ['Intel SGX PCK Certificate'],
  tcbSigning: ['Intel SGX TCB Signing'],
};

const refuse = (certificate: Certificate, what: string, expected: string, observed: string): never => {
  const field = `${certificate.document}: ${what}`;
  throw new EvidenceError('CERTIFICATE_CHAIN_INVALID', `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
};

/**
 * Requires the common name, CA flag and key usage of a role.
 * @throws EvidenceError CERTIFICATE_CHAIN_INVALID.
 */
export function requireRole(certificate: Certificate, role: CertificateRole): void {
  const names = commonNames[role];
  const { commonName } = certificate.subject;
  if (!names.includes(commonName)) refuse(certificate, 'common name', names.join(' or '), commonName);
  const mustBeCa = role === 'root' || role === 'pckCa';
  if (certificate.isCa !== mustBeCa) refuse(certificate, 'CA flag', `${mustBeCa}`, `${certificate.isCa}`);
  const { keyCertSign, cRLSign, digitalSignature } = certificate.keyUsage;
  if (mustBeCa && !(keyCertSign && cRLSign))
    refuse(certificate, 'key usage', 'keyCertSign and cRLSign', 'others');
  if (!mustBeCa && !digitalSignature) refuse(certificate, 'key usage', 'digitalSignature', 'others');
}

/**
 * Requires that a certificate names this issuer and is signed by it, and that the issuer may have a CA below it; one ECDSA
 * verification.
 * @throws EvidenceError CERTIFICATE_CHAIN_INVALID, CERTIFICATE_SIGNATURE_INVALID.
 */
export function requireSignedBy(certificate: Certificate, issuer: Certificate): void {
  if (!equalBytes(certificate.issuer.der, issuer.subject.der)) {
    refuse(certificate, 'issuer', issuer.subject.commonName, certificate.issuer.commonName);
  }
  // A root is its own issuer and not counted (RFC 5280 section 6.1.4); below it chains here have one CA at most.
  if (certificate.isCa && certificate !== issuer && issuer.maxCasBelow === 0)
    refuse(issuer, 'path length', 'at least 1', '0');
  if (issuer.publicKey.verify(certificate.tbs, certificate.signature)) return;
  const field = certificate.document;
  const message = `${field} is not signed by ${issuer.document}`;
  throw new EvidenceError('CERTIFICATE_SIGNATURE_INVALID', message, { field, observed: 'another signature' });
}
