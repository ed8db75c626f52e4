import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type Problem, problemHeaders } from '../errors/problem.ts';

/** Decides by the head of a request whether it is refused before its body is read; `undefined` lets it pass. */
export type RefuseEarly = (incoming: IncomingMessage, outgoing: ServerResponse) => Problem | undefined;

/** Bodies of more than this are not worth a kept connection, in bytes. */
const MAX_DROPPED_BYTES = 64 * 1024;

const isShort = ({ headers }: IncomingMessage): boolean =>
  Number(headers['content-length'] ?? Number.NaN) <= MAX_DROPPED_BYTES;

/**
 * Answers requests that are refused before anything is made of them, and hands the others on. Under overload the way
 * through the middleware costs a third of what is asked for, so that a server would do nothing but refuse.
 */
export const refusingEarly =
  (handle: RequestListener, refuse: RefuseEarly): RequestListener =>
  (incoming, outgoing) => {
    const problem = refuse(incoming, outgoing);
    if (problem === undefined) {
      handle(incoming, outgoing);
      return;
    }
    const body = JSON.stringify(problem);
    outgoing.writeHead(problem.status, {
      ...problemHeaders(problem),
      'content-length': Buffer.byteLength(body),
      'x-request-id': problem.instance,
      ...(isShort(incoming) ? {} : { connection: 'close' }),
    });
    // node:http reads and drops the body of the request, however long it is.
    outgoing.end(body);
  };
