import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** How endpoints with https are judged, and how this client shows who it is; PEM. */
export interface EtcdTls {
  /** Authorities of the servers; without them those that Node.js knows. */
  readonly ca?: string | undefined;
  /** Certificate and key of this client, where etcd asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** One request with a JSON body. */
export interface EtcdRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/** The result of an exchange; an answer with an error status is a result too. */
export type EtcdExchange =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  | { readonly kind: 'too-large' }
  /** `isSent`: the server may have got the request. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isSent: boolean };

/** Limits of a stream of lines. */
export interface StreamLimits {
  /** A stream without a complete line for so long ends with `silent`. */
  readonly silenceMs: number;
  readonly maxLineBytes: number;
}

/** Why a stream ended: it was silent, or the reason why it failed. */
export type StreamEnd = { readonly kind: 'silent' } | { readonly kind: 'failed'; readonly reason: string };

const MAX_SOCKETS = 256;
const MAX_HEADER_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * POST of JSON, with bounds on time and bytes, over connections that stay open. It follows no redirect, and uses no
 * proxy of the environment. `fetch` of Node.js 20 takes neither an authority nor a certificate of its own.
 */
export class EtcdHttp {
  readonly #exchanges: Agents;
  /** Streams have connections of their own, so that they need not wait for exchanges. */
  readonly #streams: Agents;

  constructor(tls: EtcdTls = {}) {
    this.#exchanges = agentsOf(tls);
    this.#streams = agentsOf(tls);
  }

  /** One exchange; never rejects. `timeoutMs` is for all of it, up to the last byte. */
  exchange(request: EtcdRequest, timeoutMs: number, maxBytes: number): Promise<EtcdExchange> {
    return new Promise((resolve) => {
      let isSent = false;
      const sending = send(request, this.#exchanges, (error) =>
        finish({ kind: 'failed', reason: error.message, isSent }),
      );
      const finish = (exchange: EtcdExchange): void => {
        clearTimeout(timer);
        request.signal.removeEventListener('abort', onAbort);
        resolve(exchange);
        if (exchange.kind !== 'answer') sending.destroy();
      };
      const onAbort = (): void => finish({ kind: 'failed', reason: 'the client was closed', isSent });
      const timer = setTimeout(
        () => finish({ kind: 'failed', reason: `no complete answer within ${timeoutMs} ms`, isSent }),
        timeoutMs,
      );
      request.signal.addEventListener('abort', onAbort, { once: true });
      if (request.signal.aborted) onAbort();
      whenConnected(sending, () => {
        isSent = true;
      });
      sending.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > maxBytes) finish({ kind: 'too-large' });
          else parts.push(part);
        });
        response.once('error', (error) => finish({ kind: 'failed', reason: error.message, isSent }));
        response.once('end', () => {
          const body = Buffer.concat(parts).toString('utf8');
          finish({ kind: 'answer', status: response.statusCode ?? 0, body });
        });
      });
    });
  }

  /**
   * Reads an answer line by line, until it fails or is silent; never rejects.
   * @param onLine gives a reason to end the stream, or `undefined`. It is also called with the body of an error status.
   */
  lines(
    request: EtcdRequest,
    limits: StreamLimits,
    onLine: (line: string) => string | undefined,
  ): Promise<StreamEnd> {
    return new Promise((resolve) => {
      const sending = send(request, this.#streams, (error) =>
        finish({ kind: 'failed', reason: error.message }),
      );
      const finish = (end: StreamEnd): void => {
        clearTimeout(silence);
        request.signal.removeEventListener('abort', onAbort);
        resolve(end);
        sending.destroy();
      };
      const onAbort = (): void => finish({ kind: 'failed', reason: 'the client was closed' });
      const silence = setTimeout(() => finish({ kind: 'silent' }), limits.silenceMs);
      request.signal.addEventListener('abort', onAbort, { once: true });
      if (request.signal.aborted) onAbort();
      sending.on('response', (response) => {
        void readLines(response, limits.maxLineBytes, (line) => {
          silence.refresh();
          const reason = onLine(line);
          if (reason !== undefined) finish({ kind: 'failed', reason });
          return reason === undefined;
        }).then((reason) => finish({ kind: 'failed', reason }));
      });
    });
  }

  close(): void {
    for (const { http, https } of [this.#exchanges, this.#streams]) {
      http.destroy();
      https.destroy();
    }
  }
}

/** Connections of one purpose. */
interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

const agentsOf = ({ ca, cert, key }: EtcdTls): Agents => ({
  http: new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
  https: new HttpsAgent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    // Set here, so that no variable of the environment turns the check off.
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }),
});

function send(
  { url, headers, body }: EtcdRequest,
  { http, https }: Agents,
  onError: (error: Error) => void,
): ClientRequest {
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const sending = url.startsWith('https:')
    ? httpsRequest(url, { ...options, agent: https })
    : httpRequest(url, { ...options, agent: http });
  sending.on('error', onError);
  // Without a listener the connection is closed without an error.
  sending.on('upgrade', () => onError(new Error('the server switches protocols')));
  sending.end(body);
  return sending;
}

function whenConnected(sending: ClientRequest, onConnected: () => void): void {
  sending.on('socket', (socket) => {
    if (!socket.connecting) onConnected();
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', onConnected);
  });
}

/** Gives complete lines to `onLine`, until that says no. @returns why it ended. */
function readLines(
  response: IncomingMessage,
  maxLineBytes: number,
  onLine: (line: string) => boolean,
): Promise<string> {
  return new Promise((resolve) => {
    let parts: Buffer[] = [];
    let size = 0;
    let isOpen = true;
    const end = (reason: string): void => {
      isOpen = false;
      resolve(reason);
    };
    const take = (part: Buffer): boolean => {
      size += part.length;
      parts.push(part);
      if (size > maxLineBytes) end(`a line is larger than ${maxLineBytes} bytes`);
      return isOpen;
    };
    response.on('data', (chunk: Buffer) => {
      let start = 0;
      for (let at = chunk.indexOf(NEWLINE); isOpen && at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        if (!take(chunk.subarray(start, at))) return;
        const line = Buffer.concat(parts).toString('utf8');
        parts = [];
        size = 0;
        start = at + 1;
        if (line !== '' && !onLine(line)) return end('ended by this client');
      }
      if (isOpen) take(chunk.subarray(start));
    });
    response.once('error', (error) => end(error.message));
    response.once('end', () => {
      if (isOpen && size > 0) onLine(Buffer.concat(parts).toString('utf8'));
      end('the server ended the stream');
    });
  });
}
