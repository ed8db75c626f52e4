import { toHex } from '../bytes/hex.ts';
import { systemRandom } from '../crypto/random.ts';
import { problemOf } from '../errors/problem.ts';

const REQUEST_ID_BYTES = 8;

/** A new id for one request, by which its answer is found in the log. */
export const newRequestId = (): string => toHex(systemRandom(REQUEST_ID_BYTES));

/** Answers an error as `application/problem+json` (RFC 9457). The text of an error is sent only for a LatchkeyError. */
export function problemResponse(error: unknown, requestId: string = newRequestId()): Response {
  const problem = problemOf(error, requestId);
  const { status } = problem;
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'x-request-id': requestId,
  };
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '1';
  return new Response(JSON.stringify(problem), { status, headers });
}
