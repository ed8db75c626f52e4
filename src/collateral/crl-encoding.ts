import { toHex, tryFromHex } from '../bytes/hex.ts';
import { tryReadPemCrl } from '../der/pem.ts';

/** First byte of a DER SEQUENCE. */
const DER_SEQUENCE = 0x30;

/**
 * Reads a CRL in any encoding that services use: DER (asked for), PEM (PCS otherwise) or hex text (PCCS).
 * @returns lower-case hex of the DER, or `undefined` when it is none of them.
 */
export function crlAsHex(body: Uint8Array): string | undefined {
  const second = body[1] ?? 0;
  // Both "30…" as text and 0x30 0x82… as DER are possible; only DER has its second byte above ASCII.
  if (body[0] === DER_SEQUENCE && second >= 0x80) return toHex(body);
  const text = new TextDecoder().decode(body).trim();
  const der = tryFromHex(text) ?? tryReadPemCrl(text);
  return der === undefined || der[0] !== DER_SEQUENCE ? undefined : toHex(der);
}
