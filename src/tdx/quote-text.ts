import { tryFromBase64 } from '../bytes/base64.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { parseQuote, type Quote } from './quote.ts';

const withoutSpace = (text: string): string => text.replaceAll(/\s/g, '');

/**
 * Parses a quote from hex, either case, with or without `0x`, spaces and line breaks anywhere. Nothing is guessed: text
 * in another encoding is refused.
 * @throws EvidenceError QUOTE_MALFORMED for other text; otherwise as {@link parseQuote}.
 */
export const parseHexQuote = (text: string): Quote =>
  parseQuote(tryFromHex(withoutSpace(text)) ?? refuse('hex', text));

/**
 * Parses a quote from base64 (RFC 4648 section 4, padded), spaces and line breaks anywhere.
 * @throws EvidenceError QUOTE_MALFORMED for other text; otherwise as {@link parseQuote}.
 */
export const parseBase64Quote = (text: string): Quote =>
  parseQuote(tryFromBase64(withoutSpace(text)) ?? refuse('base64', text));

/**
 * Parses a quote that zero bytes follow, as some quote sources write it. Any other byte after the quote is refused; no
 * signature covers the padding.
 * @throws EvidenceError as {@link parseQuote}.
 */
export const parsePaddedQuote = (bytes: Uint8Array): Quote =>
  parseQuote(bytes, { trailing: 'allow-zero-padding' });

function refuse(encoding: string, text: string): never {
  const observed = `text of ${text.length} characters that is not`;
  throw new EvidenceError('QUOTE_MALFORMED', `quote must be ${encoding}, got ${observed}`, {
    field: 'quote',
    expected: encoding,
    observed,
  });
}
