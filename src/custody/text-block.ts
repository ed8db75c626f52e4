import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { utf8 } from '../bytes/concat.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** What a text block holds; the word in its first and last line. */
export type BlockKind = 'REQUEST' | 'ANSWER' | 'KEY';

const LINE_CHARACTERS = 64;
/** A request of 16 custodians with the largest quote has less than 200 kB. */
const MAX_BLOCK_CHARACTERS = 512 * 1024;

const firstLine = (kind: BlockKind): string => `-----BEGIN LATCHKEY CUSTODY ${kind}-----`;
const lastLine = (kind: BlockKind): string => `-----END LATCHKEY CUSTODY ${kind}-----`;

/** JSON as lines of text that survive mail and chat. */
export function encodeBlock(kind: BlockKind, content: object): string {
  const lines = toBase64(utf8(JSON.stringify(content))).match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'));
  return [firstLine(kind), ...(lines ?? []), lastLine(kind), ''].join('\n');
}

/**
 * Finds the one block of a kind in a text, and reads its JSON. Text around it and white space in it are ignored.
 * @throws EvidenceError CUSTODY_BLOCK_MALFORMED.
 */
export function decodeBlock(kind: BlockKind, text: string): unknown {
  if (text.length > MAX_BLOCK_CHARACTERS) throw malformedBlock(kind, `${text.length} characters`);
  const [, after, second] = text.split(firstLine(kind));
  if (after === undefined || second !== undefined) {
    throw malformedBlock(kind, after === undefined ? `no line ${firstLine(kind)}` : 'more than one');
  }
  const [inside, rest] = after.split(lastLine(kind));
  if (inside === undefined || rest === undefined) throw malformedBlock(kind, `no line ${lastLine(kind)}`);
  // Quoting of mail programs.
  const bytes = tryFromBase64(inside.replaceAll(/[\s>]/g, ''));
  if (bytes === undefined) throw malformedBlock(kind, 'lines that are not base64');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformedBlock(kind, 'no JSON in UTF-8', cause);
  }
}

/** CUSTODY_BLOCK_MALFORMED. */
export const malformedBlock = (kind: BlockKind, observed: string, cause?: unknown): EvidenceError =>
  new EvidenceError('CUSTODY_BLOCK_MALFORMED', `not one whole custody ${kind.toLowerCase()}: ${observed}`, {
    field: kind.toLowerCase(),
    expected: `one block from ${firstLine(kind)} to ${lastLine(kind)}`,
    observed,
    cause,
  });
