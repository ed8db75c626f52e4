import type { ErrorCode } from './codes.ts';
import { errorCodes } from './codes.ts';
import { LatchkeyError } from './latchkey-error.ts';

/** Body of every error: RFC 9457, with a stable `code`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly instance: string;
  readonly field?: string;
  readonly expected?: string;
  readonly observed?: string;
  readonly hint?: string;
  readonly retryAfterMs?: number;
}

/** Describes an error for any client: a LatchkeyError with its text, any other error as INTERNAL without text. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = error instanceof LatchkeyError ? error : undefined;
  const code: ErrorCode = known?.code ?? 'INTERNAL';
  const { status, summary } = errorCodes[code];
  return {
    type: `urn:latchkey:error:${code}`,
    title: summary,
    status,
    code,
    detail:
      known?.message ?? 'an unexpected failure; the log of the server has the cause under this request id',
    instance: requestId,
    ...(known?.field === undefined ? {} : { field: known.field }),
    ...(known?.expected === undefined ? {} : { expected: known.expected }),
    ...(known?.observed === undefined ? {} : { observed: known.observed }),
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    ...(known?.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
  };
}

/** The headers of an answer that is a problem. */
export const problemHeaders = ({ retryAfterMs }: Problem): Record<string, string> => ({
  'content-type': 'application/problem+json',
  ...(retryAfterMs === undefined ? {} : { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` }),
});
