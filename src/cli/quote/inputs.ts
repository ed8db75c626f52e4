import { closeSync, openSync, readSync } from 'node:fs';
import { utcTimeMs } from '../../der/calendar.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../tdx/collateral.ts';
import { defaultPolicy, parsePolicy, type TdPolicy } from '../../tdx/policy.ts';
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

/** Reads a JSON file. @throws ProblemError INPUT_UNREADABLE. */
export function readJsonInput(path: string): unknown {
  const text = Buffer.from(readInput(path)).toString('utf8');
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

const isoTime = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970 of an ISO 8601 time with a zone, or `undefined`, also for 30 February. */
export function tryParseTime(text: string): number | undefined {
  const parts = (isoTime.exec(text) ?? []).slice(1).map(Number);
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  if (utcTimeMs(year, month, day, [hours, minutes, seconds]) === undefined) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
