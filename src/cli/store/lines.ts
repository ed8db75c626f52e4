import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';

/** One record as `import` reads it and `export` prints it. */
export interface RecordLine {
  /** Present only where the namespace is not the command's own. */
  readonly namespace?: string;
  readonly name: string;
  readonly value: Uint8Array;
  /** Present and true where the namespace has a key of its own that erasing destroys. */
  readonly erasable?: true;
}

const NEWLINE = 0x0a;
const fields: ReadonlySet<string> = new Set(['namespace', 'name', 'value', 'erasable']);

/**
 * Splits a stream into lines without their newlines; the last line needs none. Holds at most `maxLineBytes`.
 * @throws EvidenceError FIELD_INVALID naming the line that is longer.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      length = 0;
      line++;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > maxLineBytes) throw lineError(line, `longer than ${maxLineBytes} bytes`);
  }
  if (length > 0) yield Buffer.concat(parts);
}

/**
 * Reads `{"name", "value" (base64), "namespace"?, "erasable"?}`; `undefined` for an empty line.
 * @throws EvidenceError FIELD_INVALID naming the line and the field.
 */
export function parseRecordLine(bytes: Uint8Array, line: number): RecordLine | undefined {
  const text = decodeUtf8(bytes, line);
  if (text.trim() === '') return undefined;
  const parsed = parseObject(text, line);
  for (const field of Object.keys(parsed)) {
    if (!fields.has(field))
      throw lineError(line, 'has a field that is not known: only name, value, namespace, erasable');
  }
  const { namespace, name, value, erasable } = parsed;
  if (typeof name !== 'string') throw lineError(line, 'has no name that is a string');
  if (typeof value !== 'string') throw lineError(line, 'has no value that is a base64 string');
  if (namespace !== undefined && typeof namespace !== 'string')
    throw lineError(line, 'has a namespace that is no string');
  if (erasable !== undefined && typeof erasable !== 'boolean')
    throw lineError(line, 'has an erasable that is neither true nor false');
  return {
    ...(namespace === undefined ? {} : { namespace }),
    name,
    value: parseBase64(value, `line ${line}: value`),
    ...(erasable === true ? { erasable } : {}),
  };
}

/** The record as one line of JSON with its newline. */
export function formatRecordLine({ namespace, name, value, erasable }: RecordLine): string {
  const shown = {
    ...(namespace === undefined ? {} : { namespace }),
    name,
    value: toBase64(value),
    ...(erasable === true ? { erasable } : {}),
  };
  return `${JSON.stringify(shown)}\n`;
}

function decodeUtf8(bytes: Uint8Array, line: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw lineError(line, 'is not UTF-8');
  }
}

function parseObject(text: string, line: number): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's message quotes the line, which may hold a secret.
    throw lineError(line, 'is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw lineError(line, 'is not a JSON object');
  // An object that is neither null nor an array is a record of unknowns.
  return parsed as Record<string, unknown>;
}

const lineError = (line: number, problem: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', `line ${line} ${problem}`, {
    field: `line ${line}`,
    expected: '{"name": text, "value": base64}',
  });
