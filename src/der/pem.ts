import { tryFromBase64 } from '../bytes/base64.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/**
 * Only line breaks may stand around blocks (a space is one flipped bit away from a NUL), and NUL bytes at the very end,
 * since quotes and Intel's libraries carry chains as C strings.
 */
const certificateBlock =
  /[\r\n]*-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----[\r\n]*(?:\0+$)?/y;
const crlBlock = /^[\r\n]*-----BEGIN X509 CRL-----([A-Za-z0-9+/=\r\n]+)-----END X509 CRL-----[\r\n]*$/;

const fromWrappedBase64 = (text: string): Uint8Array | undefined =>
  tryFromBase64(text.replaceAll('\n', '').replaceAll('\r', ''));

/**
 * Splits a PEM chain (RFC 7468) of certificates; only line breaks may stand before, between and after them, and
 * NUL bytes at the end.
 * @returns the DER of each certificate in the order of the text; at most `maxCount`.
 * @throws EvidenceError with `code` when the text is anything else.
 */
export function readPemChain(
  text: string,
  document: string,
  maxCount: number,
  code: ErrorCode = 'CERTIFICATE_MALFORMED',
): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let at = 0; at < text.length; at = certificateBlock.lastIndex) {
    certificateBlock.lastIndex = at;
    const base64 = certificateBlock.exec(text)?.[1];
    const der = base64 === undefined ? undefined : fromWrappedBase64(base64);
    if (der === undefined || certificates.length === maxCount) {
      throw new EvidenceError(code, `${document} is not a PEM chain of at most ${maxCount} certificates`, {
        field: document,
        expected: `at most ${maxCount} PEM certificates and nothing else`,
        observed: `something else after ${certificates.length} certificates`,
      });
    }
    certificates.push(der);
  }
  return certificates;
}

/**
 * Reads one CRL in PEM (RFC 7468).
 * @returns its DER, or `undefined` when the text is anything else.
 */
export function tryReadPemCrl(text: string): Uint8Array | undefined {
  const base64 = crlBlock.exec(text)?.[1];
  return base64 === undefined ? undefined : fromWrappedBase64(base64);
}
