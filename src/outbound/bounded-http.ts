import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { GatheredBytes } from '../bytes/gathered-bytes.ts';
import type { BoundedAnswer, BoundedRequest } from './bounded-fetch.ts';

/** A request and what came of it; {@link boundedHttp}, or `boundedFetch` with a replaced network. */
export type Exchange = (request: BoundedRequest) => Promise<BoundedAnswer>;

/** Connections to one host that are kept without a request. */
const KEPT_CONNECTIONS = 8;
/** For how long: shorter than a node's listener keeps them, so that no request meets a connection that is being closed. */
const KEPT_MS = 20_000;

/**
 * Makes exchanges by plain HTTP within the same bounds as `boundedFetch`: a deadline, a cap on the body, no redirect, and
 * no exception for what the other side does. An exchange takes a third of the processor time of `fetch`, which counts
 * where nodes send each other many small messages. Connections are kept and used again.
 */
export function boundedHttp(): Exchange {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: KEPT_CONNECTIONS, timeout: KEPT_MS });
  return (bounded) =>
    new Promise((resolve) => {
      const { url, method, headers, body, timeoutMs, maxBytes, signal } = bounded;
      let request: ClientRequest;
      try {
        request = httpRequest(url, { method, agent, headers: { ...headers, ...lengthOf(body) } });
      } catch (error) {
        // An endpoint that makes no URL.
        resolve({ ok: false, reason: String(error) });
        return;
      }
      const give = (answer: BoundedAnswer): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
        resolve(answer);
        // An answer that was read completely leaves its connection to the next request.
        if (!answer.ok) request.destroy();
      };
      const fail = (reason: string): void => give({ ok: false, reason });
      const timer = setTimeout(() => fail(`no complete answer within ${timeoutMs} ms`), timeoutMs);
      const cancel = (): void => fail('cancelled');
      signal?.addEventListener('abort', cancel, { once: true });
      request.on('error', (error) => fail(error.message));
      request.on('response', (response) => readAnswer(response, maxBytes, give, fail));
      if (signal?.aborted === true) cancel();
      else request.end(body);
    });
}

/** So that the body is not sent in chunks. */
const lengthOf = (body: BoundedRequest['body']): Readonly<Record<string, string>> =>
  body === undefined ? {} : { 'content-length': `${Buffer.byteLength(body)}` };

function readAnswer(
  response: IncomingMessage,
  maxBytes: number,
  give: (answer: BoundedAnswer) => void,
  fail: (reason: string) => void,
): void {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    fail('unexpected redirect');
    return;
  }
  const gathered = new GatheredBytes(maxBytes);
  response.on('data', (chunk: Buffer) => {
    if (!gathered.add(chunk)) fail(`the answer is larger than ${maxBytes} bytes`);
  });
  response.on('error', (error) => fail(error.message));
  response.on('end', () => {
    const headers = new Headers();
    const { rawHeaders } = response;
    for (let at = 0; at + 1 < rawHeaders.length; at += 2)
      headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
    give({ ok: true, status, headers, body: gathered.take() });
  });
}
