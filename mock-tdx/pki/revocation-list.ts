import { authorityKeyIdentifier, extension, intelName } from './certificate.ts';
import {
  bitString,
  contextConstructed,
  enumerated,
  integer,
  objectIdentifier,
  sequence,
  time,
} from './der-writer.ts';
import { oids } from './oids.ts';
import type { SigningKey } from './signing-key.ts';

/** What a CRL says; every field can be changed to make a defect. */
export interface RevocationListSpec {
  readonly issuer: string;
  readonly authorityKeyIdentifier: Uint8Array | 'absent';
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly crlNumber: number | 'absent';
  readonly revokedSerialNumbers: readonly Uint8Array[];
}

/** Signs a CRL v2 (RFC 5280 section 5) as Intel makes them: crlNumber, AKI, reason keyCompromise; DER. */
export function issueRevocationList(spec: RevocationListSpec, issuerKey: SigningKey): Uint8Array {
  const algorithm = sequence(objectIdentifier(oids.ecdsaWithSha256));
  const toBeSigned = sequence(
    integer(1),
    algorithm,
    intelName(spec.issuer),
    time(spec.thisUpdateMs),
    time(spec.nextUpdateMs),
    ...revokedCertificates(spec),
    contextConstructed(0, sequence(...extensions(spec))),
  );
  return sequence(toBeSigned, algorithm, bitString(issuerKey.signDer(toBeSigned)));
}

/** The list is left out when nothing is revoked: an empty one is not valid DER here (section 5.1.2.6). */
function revokedCertificates(spec: RevocationListSpec): Uint8Array[] {
  if (spec.revokedSerialNumbers.length === 0) return [];
  const keyCompromise = sequence(extension(oids.reasonCode, false, enumerated(1)));
  return [
    sequence(
      ...spec.revokedSerialNumbers.map((serial) =>
        sequence(integer(serial), time(spec.thisUpdateMs), keyCompromise),
      ),
    ),
  ];
}

function extensions(spec: RevocationListSpec): Uint8Array[] {
  return [
    ...(spec.crlNumber === 'absent' ? [] : [extension(oids.crlNumber, false, integer(spec.crlNumber))]),
    ...(spec.authorityKeyIdentifier === 'absent'
      ? []
      : [authorityKeyIdentifier(spec.authorityKeyIdentifier)]),
  ];
}
