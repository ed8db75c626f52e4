import { toBase64 } from '../../src/bytes/base64.ts';

/** PEM text (RFC 7468) with lines of 64 characters and a final line break. */
export function pem(label: 'CERTIFICATE' | 'X509 CRL', der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Several certificates one behind the other, leaf first. */
export const pemChain = (...certificates: readonly Uint8Array[]): string =>
  certificates.map((der) => pem('CERTIFICATE', der)).join('');
