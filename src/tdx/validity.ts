import type { Certificate } from '../der/certificate.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** When a signed document may be used, both ends included. */
export interface Validity {
  readonly document: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly tooEarly: ErrorCode;
  readonly tooLate: ErrorCode;
  /** Whether a configured grace extends the end: for documents that Intel issues every month, never for certificates. */
  readonly hasGrace: boolean;
}

/** The last time that a Date can be (ECMA-262 section 21.4.1.1). */
const MAX_TIME_MS = 8.64e15;

const isoTime = (timeMs: number): string => new Date(timeMs).toISOString();

/** The window of a certificate. */
export const certificateValidity = ({ document, notBeforeMs, notAfterMs }: Certificate): Validity => ({
  document,
  notBeforeMs,
  notAfterMs,
  tooEarly: 'CERTIFICATE_NOT_YET_VALID',
  tooLate: 'CERTIFICATE_EXPIRED',
  hasGrace: false,
});

/**
 * Requires that now lies within every window.
 * @throws EvidenceError with the window's code for too early or too late; RangeError when now is not a time.
 */
export function requireCurrent(windows: readonly Validity[], nowMs: number, graceMs = 0): void {
  if (!(Math.abs(nowMs) <= MAX_TIME_MS)) throw new RangeError(`nowMs must be a time, got ${nowMs}`);
  for (const window of windows) {
    const endMs = window.notAfterMs + (window.hasGrace ? graceMs : 0);
    if (nowMs >= window.notBeforeMs && nowMs <= endMs) continue;
    refuse(window, nowMs);
  }
}

function refuse({ document, notBeforeMs, notAfterMs, tooEarly, tooLate }: Validity, nowMs: number): never {
  const isEarly = nowMs < notBeforeMs;
  const expected = `${isoTime(notBeforeMs)} to ${isoTime(notAfterMs)}`;
  const message = `${document} is ${isEarly ? 'not yet' : 'no longer'} valid: ${expected}`;
  const observed = isoTime(nowMs);
  throw new EvidenceError(isEarly ? tooEarly : tooLate, message, { field: document, expected, observed });
}
