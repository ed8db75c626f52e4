import { equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { type ErrorDetail, RefusalError } from '../errors/latchkey-error.ts';
import { type Acl, matchesPath } from './acl.ts';
import type { SecretContent } from './record.ts';
import { isWithin, type SecretScope, type Target } from './scope.ts';

/** A request that a caller wants to be made with a secret. */
export interface SecretUse {
  readonly caller: AccountId;
  /** As it came; verbs are in upper case. */
  readonly verb: string;
  /** Origin and path of the URL, from `parseTarget`. */
  readonly target: Target;
  /** Headers in which the placeholder is, in lower case. */
  readonly headers: readonly string[];
  /** Whether the placeholder is in the body. */
  readonly inBody: boolean;
}

/** When a secret is used, in milliseconds since 1970. */
export interface UseTime {
  /** The clock, or the newest block where that is later: by it secrets and ACLs expire. */
  readonly nowMs: number;
  /** The newest block, by which the periods of a limit count: a host can set its clock forward, but not the chain. */
  readonly blockMs: number;
}

/** How many requests were counted in a period; periods are numbered from 1970. */
export interface UsageCount {
  readonly period: number;
  readonly used: number;
}

/**
 * Decides whether a secret is used for a request. Strangers learn only that they are not among the callers.
 * @param counted what is recorded of earlier requests; `undefined` when nothing is.
 * @returns the count that has to be durable before the request is made; `undefined` for a secret without a limit.
 * @throws RefusalError SECRET_NOT_FOUND, SECRET_CALLER_REFUSED, SECRET_EXPIRED, SECRET_ACL_EXPIRED,
 *   SECRET_SCOPE_MISMATCH, SECRET_PLAIN_HTTP_REFUSED, SECRET_VERB_REFUSED, SECRET_PATH_REFUSED, SECRET_PLACE_REFUSED,
 *   SECRET_COUNT_EXHAUSTED.
 */
export function judgeUse(
  content: SecretContent,
  use: SecretUse,
  { nowMs, blockMs }: UseTime,
  counted: UsageCount | undefined,
): UsageCount | undefined {
  if (content.kind === 'tombstone') throw refusal('SECRET_NOT_FOUND', 'the secret was deleted');
  const { acl } = content;
  if (!acl.callers.some((caller) => equalBytes(caller, use.caller)))
    throw refusal('SECRET_CALLER_REFUSED', 'the caller is not in the ACL', { field: 'caller' });
  judgeTime(content.expiresAtMs, acl, nowMs);
  judgeTarget(content, acl, use);
  judgePlaces(acl, use);
  return acl.limit === undefined ? undefined : countUse(acl.limit, blockMs, counted);
}

function judgeTime(expiresAtMs: number, acl: Acl, nowMs: number): void {
  if (expiresAtMs <= nowMs) throw refusal('SECRET_EXPIRED', 'the secret has expired');
  if (acl.expiresAtMs !== undefined && acl.expiresAtMs <= nowMs)
    throw refusal('SECRET_ACL_EXPIRED', 'the ACL has expired');
}

function judgeTarget(scope: SecretScope, acl: Acl, { target, verb }: SecretUse): void {
  if (!isWithin(target, scope)) {
    const expected = `below ${scope.origin}${scope.pathPrefix}`;
    throw refusal('SECRET_SCOPE_MISMATCH', 'the URL is outside of the scope', { field: 'url', expected });
  }
  if (target.origin.startsWith('http:') && !acl.plainHttp)
    throw refusal('SECRET_PLAIN_HTTP_REFUSED', 'the ACL asks for https', { field: 'url' });
  if (!acl.verbs.some((allowed) => allowed === verb)) {
    const expected = acl.verbs.join(', ');
    throw refusal('SECRET_VERB_REFUSED', 'the ACL does not allow this verb', { field: 'verb', expected });
  }
  if (!acl.paths.some((pattern) => matchesPath(target.path, pattern)))
    throw refusal('SECRET_PATH_REFUSED', 'no pattern of the ACL matches the path', { field: 'url' });
}

function judgePlaces(acl: Acl, { headers, inBody }: SecretUse): void {
  const refused = headers.find((name) => !acl.headers.includes(name));
  if (refused === undefined && (!inBody || acl.body)) return;
  throw refusal('SECRET_PLACE_REFUSED', 'the ACL does not allow the placeholder there', {
    field: refused === undefined ? 'body' : 'headers',
    expected: `headers ${acl.headers.join(', ')}${acl.body ? ' and body' : ''}`,
  });
}

function countUse(
  { count, periodMs }: NonNullable<Acl['limit']>,
  blockMs: number,
  counted: UsageCount | undefined,
): UsageCount {
  // An older block than the one of the last count does not begin another period.
  const period = Math.max(Math.floor(blockMs / periodMs), counted?.period ?? 0);
  const used = counted?.period === period ? counted.used : 0;
  if (used < count) return { period, used: used + 1 };
  throw refusal('SECRET_COUNT_EXHAUSTED', 'the requests of this period are used up', {
    expected: `at most ${count} in ${periodMs} ms`,
    retryAfterMs: Math.max(0, (period + 1) * periodMs - blockMs),
  });
}

const refusal = (code: ErrorCode, message: string, detail: ErrorDetail = {}): RefusalError =>
  new RefusalError(code, message, detail);
