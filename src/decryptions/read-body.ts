import { concatBytes } from '../bytes/concat.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/**
 * Reads a request body of at most `maxBytes`, which is also the most that is kept in memory.
 * @throws EvidenceError BODY_TOO_LARGE.
 */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  // The HTTP server holds a body to its declared length, so it needs no counting.
  if (declared !== null) return new Uint8Array(await request.arrayBuffer());
  const parts: Uint8Array[] = [];
  let total = 0;
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...parts);
    total += value.length;
    if (total > maxBytes) {
      await reader.cancel();
      throw tooLarge(maxBytes);
    }
    parts.push(value);
  }
}

const tooLarge = (maxBytes: number): EvidenceError =>
  new EvidenceError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`, { field: 'body' });
