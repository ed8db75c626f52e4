import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { BodyPlace, BodyRoom } from './body-room.ts';
import { siteOf } from './network-of.ts';

/** What one connection may leave waiting. */
export interface AnswerBounds {
  /** Requests of one connection that have no complete answer yet; others than attackers send one at a time. */
  readonly maxRequestsAtOnce: number;
  /** An answer that is complete here must be taken by its reader within this time. */
  readonly takeTimeoutMs: number;
  /** Room for the answers of all connections that their readers have not taken; without it only their time is bounded. */
  readonly room?: BodyRoom;
}

/** Defaults of {@link AnswerBounds}: 11 MB, the largest answer, take a minute at 1.5 Mbit/s. */
export const defaultAnswerBounds: AnswerBounds = { maxRequestsAtOnce: 16, takeTimeoutMs: 60_000 };

/**
 * Ends connections that send request after request without waiting for the answers (one can have thousands under way in
 * 100 kB), and those that do not read theirs, which would be kept for ever.
 */
export function boundingAnswers(
  handle: RequestListener,
  { maxRequestsAtOnce, takeTimeoutMs, room }: AnswerBounds = defaultAnswerBounds,
): RequestListener {
  const underWay = new WeakMap<Socket, Set<ServerResponse>>();
  return (incoming, outgoing) => {
    const { socket } = incoming;
    // The parser goes on with what arrived together with the request for which the connection was ended.
    if (socket.destroyed) return;
    const answers = underWay.get(socket) ?? follow(socket);
    underWay.set(socket, answers);
    if (answers.size >= maxRequestsAtOnce) {
      socket.destroy();
      return;
    }
    answers.add(outgoing);
    let timer: NodeJS.Timeout | undefined;
    let place: BodyPlace | undefined;
    const address = socket.remoteAddress ?? '';
    outgoing.once('prefinish', () => {
      timer = setTimeout(() => socket.destroy(), takeTimeoutMs);
      // What the kernel took at once is not kept here.
      if (outgoing.writableLength === 0) return;
      place = room?.enter(siteOf(address) ?? address, () => socket.destroy());
      place?.grow(outgoing.writableLength);
    });
    outgoing.once('close', () => {
      clearTimeout(timer);
      place?.leave();
      answers.delete(outgoing);
    });
    handle(incoming, outgoing);
  };
}

/**
 * The answers of a connection that are not closed. Node tells the end of a connection only to the first of them: the
 * others would keep what they hold, as places of waiters, after their client is gone.
 */
function follow(socket: Socket): Set<ServerResponse> {
  const answers = new Set<ServerResponse>();
  socket.once('close', () => {
    for (const outgoing of answers) {
      outgoing.destroy();
      outgoing.emit('close');
    }
  });
  return answers;
}
