import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';

/** Answers an error as `application/problem+json` (RFC 9457); what is not a LatchkeyError says nothing of itself. */
export function problemResponse(error: unknown): Response {
  const known =
    error instanceof LatchkeyError ? error : new ProblemError('INTERNAL', 'an unexpected failure');
  const { code, status, message, field, expected, observed, hint } = known;
  const title = code.toLowerCase().replaceAll('_', ' ');
  const body = { type: 'about:blank', title, status, code, detail: message, field, expected, observed, hint };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '1';
  return new Response(JSON.stringify(body), { status, headers });
}
