import type { ErrorCode } from './codes.ts';
import { errorCodes } from './codes.ts';

/** Fields of an error in addition to code and message. Never put a secret in any of these fields. */
export interface ErrorDetail {
  /** The field, byte range or rule that was wrong, in the words of the caller's input. */
  readonly field?: string;
  /** What would have been accepted. */
  readonly expected?: string;
  /** What came instead. */
  readonly observed?: string;
  /** What the reader can do about it. */
  readonly hint?: string;
  /** After how long it makes sense to try again. */
  readonly retryAfterMs?: number;
  /** The error that caused this one. */
  readonly cause?: unknown;
}

/**
 * Base of every error that Latchkey throws on purpose. Misuse by the calling code is `TypeError` or `RangeError`
 * instead; anything else that escapes is a bug.
 */
export abstract class LatchkeyError extends Error {
  /** Which of the three families: bad evidence, good evidence that is refused, or a problem of our own. */
  abstract readonly family: 'evidence' | 'refusal' | 'problem';
  /** Stable, documented in docs/errors.md; match on this, never on the message. */
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly expected: string | undefined;
  readonly observed: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.field = detail.field;
    this.expected = detail.expected;
    this.observed = detail.observed;
    this.hint = detail.hint;
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** HTTP status of this code, from the one table in `codes.ts`. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** For `JSON.stringify`: everything but the cause and the stack; fields without a value are left out. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { name, family, code, message, field, expected, observed, hint, retryAfterMs } = this;
    return { name, family, code, message, field, expected, observed, hint, retryAfterMs };
  }
}

/** The input or evidence itself is malformed, forged, stale or does not match. */
export class EvidenceError extends LatchkeyError {
  override readonly name = 'EvidenceError';
  readonly family = 'evidence';
}

/** The evidence is genuine, and policy refuses it. */
export class RefusalError extends LatchkeyError {
  override readonly name = 'RefusalError';
  readonly family = 'refusal';
}

/** This program, or a service that it depends on, cannot do the work now. */
export class ProblemError extends LatchkeyError {
  override readonly name = 'ProblemError';
  readonly family = 'problem';
}
