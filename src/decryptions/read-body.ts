import type { ServerResponse } from 'node:http';
import { gatherBody } from '../bytes/gathered-bytes.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import type { BodyRoom } from '../inbound/body-room.ts';
import { siteOf } from '../inbound/network-of.ts';
import { readIncoming } from '../inbound/read-incoming.ts';

/** A request body, which has a place in the common room until it is left. */
export interface PlacedBody {
  readonly body: Uint8Array;
  leave(): void;
}

/**
 * Reads a request body of at most `maxBytes`.
 * @param outgoing node's answer; other runtimes keep the body themselves, and it has no place in the room.
 * @throws EvidenceError BODY_TOO_LARGE, BODY_INCOMPLETE; ProblemError DECRYPTION_BODIES_FULL.
 */
export async function readBody(
  request: Request,
  outgoing: ServerResponse | undefined,
  maxBytes: number,
  room: BodyRoom,
): Promise<PlacedBody> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  if (outgoing !== undefined) return readPlaced(outgoing, maxBytes, room);
  return { body: await readElsewhere(request, maxBytes), leave: () => undefined };
}

async function readPlaced(
  { req: incoming }: ServerResponse,
  maxBytes: number,
  room: BodyRoom,
): Promise<PlacedBody> {
  const ending = new AbortController();
  const address = incoming.socket.remoteAddress ?? '';
  const place = room.enter(siteOf(address) ?? address, () => ending.abort(noRoom()));
  try {
    const body = await readIncoming(incoming, maxBytes, {
      onBytes: (count) => place.grow(count),
      signal: ending.signal,
    });
    if (body === undefined) throw tooLarge(maxBytes);
    place.complete();
    return { body, leave: () => place.leave() };
  } catch (error) {
    place.leave();
    throw error;
  }
}

async function readElsewhere(request: Request, maxBytes: number): Promise<Uint8Array> {
  try {
    const body = await gatherBody(request.body, maxBytes);
    if (body !== undefined) return body;
  } catch (cause) {
    // The client is gone and gets no answer; its hang-up is no failure of this service.
    throw new EvidenceError('BODY_INCOMPLETE', 'the connection ended before the body was complete', {
      cause,
    });
  }
  throw tooLarge(maxBytes);
}

const tooLarge = (maxBytes: number): EvidenceError =>
  new EvidenceError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`, { field: 'body' });

const noRoom = (): ProblemError =>
  new ProblemError('DECRYPTION_BODIES_FULL', 'the bodies of all requests take too much memory together', {
    hint: 'ask again later, or send smaller bodies',
  });
