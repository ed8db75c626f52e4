import { closeSync, openSync, readSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { tryFromBase64 } from '../../bytes/base64.ts';
import { tryFromHex } from '../../bytes/hex.ts';
import type { TcbUpdate } from '../../collateral/service-client.ts';
import { utcTimeMs } from '../../der/calendar.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../tdx/collateral.ts';
import { defaultPolicy, parsePolicy, type TdPolicy } from '../../tdx/policy.ts';
import { parseQuote, type Quote } from '../../tdx/quote.ts';
import { insecureTrustRoot, TrustRoot } from '../../tdx/trust-root.ts';

/** More than a collateral set with the largest CRLs accepted; what is longer is a mistake, or endless. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** Reads a file, pipe or device that the user named. @throws ProblemError INPUT_UNREADABLE. */
export function readInput(path: string): Uint8Array {
  try {
    return readBounded(path);
  } catch (cause) {
    const observed = cause instanceof Error ? cause.message : 'an error';
    throw new ProblemError('INPUT_UNREADABLE', `cannot read ${path}: ${observed}`, {
      field: path,
      observed,
      cause,
    });
  }
}

function readBounded(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const parts: Uint8Array[] = [];
    for (let length = 0; length <= MAX_INPUT_BYTES; ) {
      const part = new Uint8Array(65_536);
      const read = readSync(file, part);
      if (read === 0) return new Uint8Array(Buffer.concat(parts));
      parts.push(part.subarray(0, read));
      length += read;
    }
    throw new RangeError(`it is longer than ${MAX_INPUT_BYTES} bytes`);
  } finally {
    closeSync(file);
  }
}

/** How the bytes of a quote are written in a file. */
export const quoteEncodings = ['binary', 'hex', 'base64'] as const;
export type QuoteEncoding = (typeof quoteEncodings)[number];

/**
 * Reads a quote, with zero padding tolerated. A file that is empty, or text where binary was expected, is named as what
 * it is: parsed as a quote it would only give a strange version number.
 * @throws ProblemError INPUT_UNREADABLE; EvidenceError of a malformed quote, QUOTE_TRUNCATED for an empty file.
 */
export function readQuote(path: string, encoding: QuoteEncoding = 'binary'): Quote {
  const bytes = readInput(path);
  if (bytes.length === 0) {
    throw new EvidenceError('QUOTE_TRUNCATED', `${path} must be a quote, got an empty file`, {
      field: path,
      expected: 'a quote',
      observed: 'an empty file',
    });
  }
  if (encoding === 'binary') {
    const found = textEncodingOf(bytes);
    if (found === undefined) return parseQuote(bytes, { trailing: 'allow-zero-padding' });
    throw unreadable(path, 'a quote in binary', `a quote as ${found} text`, `--encoding ${found} reads it`);
  }
  const decoded = decodersOf[encoding](Buffer.from(bytes).toString('latin1'));
  if (decoded === undefined) throw unreadable(path, `a quote as ${encoding} text`, 'something else');
  return parseQuote(decoded, { trailing: 'allow-zero-padding' });
}

const withoutSpace = (text: string): string => text.replaceAll(/\s/g, '');

/** Line breaks are allowed anywhere, and `0x` before hex. */
const decodersOf: Readonly<Record<'hex' | 'base64', (text: string) => Uint8Array | undefined>> = {
  hex: (text) => tryFromHex(withoutSpace(text)),
  base64: (text) => tryFromBase64(withoutSpace(text)),
};

/** Which text a file is, if it holds a quote as text: such a text decodes to the version of a TDX quote. */
function textEncodingOf(bytes: Uint8Array): 'hex' | 'base64' | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  return (['hex', 'base64'] as const).find((encoding) => {
    const [low, high] = decodersOf[encoding](text) ?? [];
    return (low === 4 || low === 5) && high === 0;
  });
}

function unreadable(path: string, expected: string, observed: string, hint?: string): ProblemError {
  return new ProblemError('INPUT_UNREADABLE', `${path} must be ${expected}, got ${observed}`, {
    field: path,
    expected,
    observed,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Reads a JSON file. @throws ProblemError INPUT_UNREADABLE. */
export function readJsonInput(path: string): unknown {
  const text = Buffer.from(readInput(path)).toString('utf8');
  if (text === '') throw unreadable(path, 'JSON', 'an empty file');
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${path} is not JSON: ${cause instanceof Error ? cause.message : ''}`;
    throw new ProblemError('INPUT_UNREADABLE', message, { field: path, expected: 'JSON', cause });
  }
}

/** The policy of `--policy`, or the default one. @throws ProblemError INPUT_UNREADABLE, POLICY_INVALID. */
export const readPolicy = (path: string | undefined): TdPolicy =>
  path === undefined ? defaultPolicy : parsePolicy(readJsonInput(path));

/** The root of `--insecure-trust-root`, or Intel's. @throws ProblemError INPUT_UNREADABLE, TRUST_ROOT_INVALID. */
export const readTrustRoot = (path: string | undefined): TrustRoot =>
  path === undefined ? TrustRoot.intel : insecureTrustRoot(Buffer.from(readInput(path)).toString('latin1'));

/** The set of `--collateral`. @throws ProblemError INPUT_UNREADABLE; EvidenceError COLLATERAL_MALFORMED. */
export const readCollateral = (path: string): CollateralDocuments =>
  parseCollateralDocuments(readJsonInput(path));

/** The services of `--pccs`. @throws ProblemError INPUT_UNREADABLE unless each is an http or https address. */
export function requireServiceUrls(urls: readonly string[]): readonly string[] {
  for (const url of urls) {
    const protocol = URL.canParse(url) ? new URL(url).protocol : '';
    if (protocol === 'http:' || protocol === 'https:') continue;
    throw new ProblemError('INPUT_UNREADABLE', `--pccs ${url} is no http or https address`, {
      field: '--pccs',
      expected: 'an address such as https://api.trustedservices.intel.com',
      observed: url,
    });
  }
  return urls;
}

/** The time of `--now`, or the present one. @throws ProblemError INPUT_UNREADABLE. */
export function readNow(now: string | undefined): number {
  if (now === undefined) return Date.now();
  const timeMs = tryParseTime(now);
  if (timeMs !== undefined) return timeMs;
  const expected = 'an ISO 8601 time such as 2026-01-31T00:00:00Z';
  throw new ProblemError('INPUT_UNREADABLE', `--now must be ${expected}, got ${now}`, {
    field: '--now',
    expected,
    observed: now,
  });
}

/** The flags that choose a TCB evaluation. */
export interface UpdateFlags {
  readonly update?: 'early' | 'standard';
  readonly tcbEvaluationDataNumber?: number;
}

/** The options for {@link UpdateFlags}; `conflicting` names the options that cannot be combined with them. */
export const updateOptions = (...conflicting: string[]): readonly [Option, Option] => [
  new Option(
    '--update <kind>',
    'TCB evaluation: early, from the day of the fixes; or standard (default), later',
  )
    .choices(['early', 'standard'])
    .conflicts(['tcbEvaluationDataNumber', ...conflicting]),
  new Option('--tcb-evaluation-data-number <number>', 'TCB evaluation of this number')
    .argParser(parseEvaluationNumber)
    .conflicts(['update', ...conflicting]),
];

/** Which TCB evaluation is wanted. */
export const updateOf = ({ update, tcbEvaluationDataNumber }: UpdateFlags): TcbUpdate =>
  tcbEvaluationDataNumber ?? update ?? 'standard';

function parseEvaluationNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a TCB evaluation data number is a decimal number');
}

const isoTime = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970 of an ISO 8601 time with a zone, or `undefined`, also for 30 February. */
export function tryParseTime(text: string): number | undefined {
  const parts = (isoTime.exec(text) ?? []).slice(1).map(Number);
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  if (utcTimeMs(year, month, day, [hours, minutes, seconds]) === undefined) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
