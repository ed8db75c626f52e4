import type { Buffer } from 'node:buffer';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { GatheredBytes } from '../../bytes/gathered-bytes.ts';
import type { ErrorCode } from '../../errors/codes.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { HeaderList, OutgoingRequest } from './outgoing-request.ts';

/** What the upstream said. */
export interface UpstreamAnswer {
  readonly status: number;
  /** As they came: in their order, repeated ones too, bytes as Latin-1. */
  readonly headers: HeaderList;
  /** As it came, without decoding. */
  readonly body: Uint8Array;
}

/** Bounds of one request to an upstream. */
export interface UpstreamBounds {
  /** From the connection to the last byte of the answer. */
  readonly totalMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** Body of the answer. */
  readonly maxAnswerBytes: number;
}

/** Most bytes of the headers of an answer. */
const MAX_ANSWER_HEADER_BYTES = 32 * 1024;

/** Most pieces in which an answer may come: each costs a call, and pieces of one byte would hold up the whole node. */
const MAX_PIECES = 65_536;
/** Most interim answers (100 to 199) before the answer. */
const MAX_INTERIM = 16;

/** How {@link callUpstream} connects. */
export interface UpstreamCall {
  /** Addresses that were judged; the connection goes to one of them and nowhere else. */
  readonly addresses: readonly string[];
  readonly bounds: UpstreamBounds;
  /** {@link upstreamTls} */
  readonly tls: SecureContext;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a request and reads the answer. Follows no redirect. Errors hold nothing of the request or the answer.
 * @throws ProblemError SECRET_UPSTREAM_UNREACHABLE before the request was sent; SECRET_UPSTREAM_FAILED,
 *   SECRET_UPSTREAM_TIMEOUT, SECRET_ANSWER_TOO_LARGE afterwards, when it is not known what the upstream did.
 */
export function callUpstream(outgoing: OutgoingRequest, call: UpstreamCall): Promise<UpstreamAnswer> {
  const { bounds, signal } = call;
  return new Promise((resolve, reject) => {
    let isConnected = false;
    const request = (outgoing.isTls ? httpsRequest : httpRequest)(optionsOf(outgoing, call));
    const timer = setTimeout(() => give(timedOut()), bounds.totalMs);
    const stop = (): void => give(failed(undefined, isConnected));
    const give = (result: UpstreamAnswer | ProblemError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      request.destroy();
      if (result instanceof ProblemError) reject(result);
      else resolve(result);
    };
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) stop();
    request.setTimeout(bounds.idleMs, () => give(timedOut()));
    request.on('socket', (socket) => {
      socket.once(outgoing.isTls ? 'secureConnect' : 'connect', () => {
        isConnected = true;
      });
    });
    request.on('error', (error) => give(failed(error, isConnected)));
    // Without a listener Node.js closes the connection and says nothing.
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      give(failed(undefined, true));
    });
    let interim = 0;
    request.on('information', () => {
      interim += 1;
      if (interim > MAX_INTERIM) give(failed(undefined, true));
    });
    request.on('response', (response) => readAnswer(response, bounds.maxAnswerBytes).then(give, give));
    request.end(outgoing.body);
  });
}

function optionsOf(outgoing: OutgoingRequest, { addresses, tls }: UpstreamCall): RequestOptions {
  const known = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return {
    // An address is connected to without a lookup; a name gets these addresses and no others.
    host: outgoing.host,
    port: outgoing.port,
    ...EVERY_ADDRESS,
    lookup: (_name, _options, done) => done(null, known),
    method: outgoing.verb,
    path: outgoing.path,
    headers: outgoing.headers.flat(),
    // No connection is shared between users.
    agent: false,
    maxHeaderSize: MAX_ANSWER_HEADER_BYTES,
    insecureHTTPParser: false,
    // Set here, so that no variable of the environment turns the check off (NODE_TLS_REJECT_UNAUTHORIZED).
    ...(outgoing.isTls ? { secureContext: tls, rejectUnauthorized: true } : {}),
  };
}

/** Tries one address after the other; the types of Node.js 20 do not know it. */
const EVERY_ADDRESS = { autoSelectFamily: true };

/**
 * What certificates of upstreams are checked with: the authorities of Node.js and these, so that no variable of the
 * environment, which the host chooses, adds one (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE). Made once for all requests: reading
 * so many certificates takes longer than a request. Connections share no TLS session by it.
 * @param authorities certificates in PEM.
 */
export const upstreamTls = (authorities: readonly string[]): SecureContext =>
  createSecureContext({ minVersion: 'TLSv1.2', ca: [...rootCertificates, ...authorities] });

function readAnswer(response: IncomingMessage, maxBytes: number): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const gathered = new GatheredBytes(maxBytes);
    let pieces = 0;
    response.on('data', (chunk: Buffer) => {
      pieces += 1;
      if (pieces > MAX_PIECES || !gathered.add(chunk)) reject(tooLarge(maxBytes));
    });
    response.once('error', (error) => reject(failed(error, true)));
    response.once('end', () => {
      const headers: (readonly [string, string])[] = [];
      const raw = response.rawHeaders;
      for (let at = 0; at + 1 < raw.length; at += 2) headers.push([raw[at] ?? '', raw[at + 1] ?? '']);
      resolve({ status: response.statusCode ?? 0, headers, body: gathered.take() });
    });
  });
}

/** The text of an error of the HTTP parser has bytes of the answer, which may be the secret itself; its code has none. */
function failed(error: Error | undefined, isConnected: boolean): ProblemError {
  const observed = error !== undefined && 'code' in error ? String(error.code) : 'closed';
  return isConnected
    ? problem('SECRET_UPSTREAM_FAILED', 'the upstream did not answer as HTTP asks for', observed)
    : problem('SECRET_UPSTREAM_UNREACHABLE', 'there is no connection to the upstream', observed);
}

const timedOut = (): ProblemError =>
  problem('SECRET_UPSTREAM_TIMEOUT', 'the upstream did not answer completely in time', 'silence');

const tooLarge = (maxBytes: number): ProblemError =>
  problem(
    'SECRET_ANSWER_TOO_LARGE',
    `the answer has more than ${maxBytes} bytes, or ${MAX_PIECES} pieces`,
    'more',
  );

const problem = (code: ErrorCode, message: string, observed: string): ProblemError =>
  new ProblemError(code, message, { field: 'upstream', observed });
