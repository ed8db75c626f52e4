import { equalBytes } from '../bytes/concat.ts';
import { tryFromHex } from '../bytes/hex.ts';
import type { Certificate } from '../der/certificate.ts';
import { type Crl, parseCrl } from '../der/crl.ts';
import { tryReadPemCrl } from '../der/pem.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/**
 * Reads a CRL from hex of its DER, or from PEM as Intel's verifier also takes it, and verifies that this issuer signed it.
 * @throws EvidenceError COLLATERAL_MALFORMED, CRL_MALFORMED, CRL_ISSUER_MISMATCH, CRL_SIGNATURE_INVALID.
 */
export function readSignedCrl(text: string, document: string, issuer: Certificate): Crl {
  const der = tryFromHex(text) ?? tryReadPemCrl(text);
  if (der === undefined) {
    throw new EvidenceError('COLLATERAL_MALFORMED', `${document} is neither hex nor PEM`, {
      field: document,
      expected: 'hex of the DER, or PEM',
      observed: 'other text',
    });
  }
  const crl = parseCrl(der, document);
  requireCrlIssuer(crl, issuer.subject);
  if (issuer.publicKey.verify(crl.tbs, crl.signature)) return crl;
  throw new EvidenceError('CRL_SIGNATURE_INVALID', `${document} is not signed by ${issuer.document}`, {
    field: document,
    expected: `a signature by ${issuer.document}`,
    observed: 'another signature',
  });
}

/**
 * Requires that a CRL is the one of this issuer.
 * @throws EvidenceError CRL_ISSUER_MISMATCH.
 */
export function requireCrlIssuer(crl: Crl, issuer: Certificate['subject']): void {
  if (equalBytes(crl.issuer.der, issuer.der)) return;
  const expected = issuer.commonName;
  const observed = crl.issuer.commonName;
  throw new EvidenceError('CRL_ISSUER_MISMATCH', `${crl.document} is of ${observed}, not of ${expected}`, {
    field: crl.document,
    expected,
    observed,
  });
}

/**
 * Requires that a CRL does not name these certificates.
 * @throws EvidenceError CERTIFICATE_REVOKED.
 */
export function requireNotRevoked(crl: Crl, certificates: readonly Certificate[]): void {
  for (const { serialNumber, document } of certificates) {
    if (!crl.revokedSerials.has(serialNumber)) continue;
    throw new EvidenceError(
      'CERTIFICATE_REVOKED',
      `${document} with serial ${serialNumber} is in the ${crl.document}`,
      {
        field: document,
        expected: `a serial that is not in the ${crl.document}`,
        observed: serialNumber,
      },
    );
  }
}
