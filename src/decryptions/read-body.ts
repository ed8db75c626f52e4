import { gatherBody } from '../bytes/gathered-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/**
 * Reads a request body of at most `maxBytes`, which is also the most that is kept in memory.
 * @throws EvidenceError BODY_TOO_LARGE, BODY_INCOMPLETE.
 */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  try {
    // The HTTP server holds a body to its declared length, so it needs no counting.
    if (declared !== null) return new Uint8Array(await request.arrayBuffer());
    return (await gatherBody(request.body, maxBytes)) ?? refuse(maxBytes);
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause;
    // The client is gone and gets no answer; its hang-up is no failure of this service.
    throw new EvidenceError('BODY_INCOMPLETE', 'the connection ended before the body was complete', {
      cause,
    });
  }
}

const refuse = (maxBytes: number): never => {
  throw tooLarge(maxBytes);
};

const tooLarge = (maxBytes: number): EvidenceError =>
  new EvidenceError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`, { field: 'body' });
