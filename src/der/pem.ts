import { tryFromBase64 } from '../bytes/base64.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const block = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----[\r\n]*/;

/**
 * Splits a PEM chain (RFC 7468) of certificates; only line breaks may stand between and after them.
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
  let rest = text;
  while (rest.length > 0) {
    const match = block.exec(rest);
    const der = match?.[1] === undefined ? undefined : tryFromBase64(match[1].replace(/[\r\n]/g, ''));
    if (match === null || der === undefined || certificates.length === maxCount) {
      throw new EvidenceError(code, `${document} is not a PEM chain of at most ${maxCount} certificates`, {
        field: document,
        expected: `at most ${maxCount} PEM certificates and nothing else`,
        observed: `something else after ${certificates.length} certificates`,
      });
    }
    certificates.push(der);
    rest = rest.slice(match[0].length);
  }
  return certificates;
}
