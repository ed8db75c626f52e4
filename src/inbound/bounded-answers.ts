import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What one connection may leave waiting. */
export interface AnswerBounds {
  /** Requests of one connection that have no complete answer yet; others than attackers send one at a time. */
  readonly maxRequestsAtOnce: number;
  /** An answer that is complete here must be taken by its reader within this time. */
  readonly takeTimeoutMs: number;
}

/** Defaults of {@link AnswerBounds}: 11 MB, the largest answer, take a minute at 1.5 Mbit/s. */
export const defaultAnswerBounds: AnswerBounds = { maxRequestsAtOnce: 16, takeTimeoutMs: 60_000 };

/**
 * Ends connections that send request after request without waiting for the answers (one can have thousands under way in
 * 100 kB), and those that do not read theirs, which would be kept for ever.
 */
export function boundingAnswers(
  handle: RequestListener,
  { maxRequestsAtOnce, takeTimeoutMs }: AnswerBounds = defaultAnswerBounds,
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
    outgoing.once('prefinish', () => {
      timer = setTimeout(() => socket.destroy(), takeTimeoutMs);
    });
    outgoing.once('close', () => {
      clearTimeout(timer);
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
