import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { requireInteger } from '../bytes/require-value.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { problemOf } from '../errors/problem.ts';
import { BodyRoom } from '../inbound/body-room.ts';
import { boundingAnswers, defaultAnswerBounds } from '../inbound/bounded-answers.ts';
import { type ConnectionBounds, limitConnections } from '../inbound/connection-shares.ts';
import { type RefuseEarly, refusingEarly } from '../inbound/early-refusal.ts';
import { isLoopback } from '../inbound/network-of.ts';
import { type RequestBounds, RequestShares } from '../inbound/request-shares.ts';
import { newRequestId } from './problem-response.ts';

/** Where to listen; port 0 takes a free one. */
export interface AppAddress {
  readonly address: string;
  readonly port: number;
  /** Requests that may wait at a time (16384): more connections than these and some are not taken. */
  readonly maxWaiters?: number;
  /**
   * Requests that one IPv4 address or IPv6 /64 may have under way (a sixteenth of `maxWaiters`, at least 64); an IPv6 /48
   * may have four times as many. Behind a proxy on another machine: `maxWaiters`, because all clients have its address.
   */
  readonly maxWaitersPerNetwork?: number | undefined;
  /** How much memory the answers may take together that their readers have not taken, in bytes (256 MiB). */
  readonly maxAnswersBytes?: number;
  /** Whether 127.0.0.1 and ::1 have no more than others (false): a proxy on this machine has many clients. */
  readonly sharesOnLoopback?: boolean;
}

/** Connections in addition to those that wait. Without a bound strangers take all file descriptors of the process. */
const MORE_CONNECTIONS = 4_096;
const MORE_CONNECTIONS_PER_NETWORK = 256;
/** One subscriber may have the 65,536 networks of an IPv6 /48. */
const NETWORKS_OF_SITE = 4;

/** The bounds of a listener. @throws RangeError for a number that is no integer. */
export function boundsOf({
  maxWaiters = 16_384,
  maxWaitersPerNetwork = Math.max(64, Math.ceil(maxWaiters / 16)),
  sharesOnLoopback = false,
}: Partial<AppAddress>): ConnectionBounds & RequestBounds {
  requireInteger(maxWaiters, 'maxWaiters');
  requireInteger(maxWaitersPerNetwork, 'maxWaitersPerNetwork');
  const maxConnectionsPerNetwork = maxWaitersPerNetwork + MORE_CONNECTIONS_PER_NETWORK;
  return {
    maxConnections: maxWaiters + MORE_CONNECTIONS,
    maxConnectionsPerNetwork,
    maxConnectionsPerSite: NETWORKS_OF_SITE * maxConnectionsPerNetwork,
    maxRequestsPerNetwork: maxWaitersPerNetwork,
    maxRequestsPerSite: NETWORKS_OF_SITE * maxWaitersPerNetwork,
    sharesOnLoopback,
  };
}

/** A service that listens. */
export interface ServedApp {
  readonly url: string;
  readonly port: number;
  /** Accepts no further connections; resolves when the open ones are finished, or cut after `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

/** The times of sending a request and of taking an answer are bounded; an answer may wait for a PUT. */
const timeouts = {
  requestTimeout: 30_000,
  headersTimeout: 10_000,
  keepAliveTimeout: 65_000,
  // Of the search for late requests. Node's own, 30 s, would double these times.
  connectionsCheckingInterval: 2_000,
} as const;

/**
 * Serves an app on a listener of its own.
 * @throws ProblemError DECRYPTIONS_LISTEN_FAILED.
 */
export async function serveApp(app: Hono, { address, port, ...shares }: AppAddress): Promise<ServedApp> {
  const bounds = boundsOf(shares);
  const { maxAnswersBytes = 256 * 1024 * 1024 } = shares;
  requireInteger(maxAnswersBytes, 'maxAnswersBytes');
  const answers = { ...defaultAnswerBounds, room: new BodyRoom(maxAnswersBytes) };
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  // The adapter answers its own failures, so this promise does not reject.
  const handle: RequestListener = (request, response) => void listener(request, response);
  const server = createServer(
    timeouts,
    boundingAnswers(refusingEarly(handle, refuseBeyond(bounds)), answers),
  );
  limitConnections(server, bounds);
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error): void => {
      reject(
        new ProblemError('DECRYPTIONS_LISTEN_FAILED', `${address}:${port}: ${cause.message}`, { cause }),
      );
    };
    // For good: a connection that cannot be accepted later (ENFILE, EPROTO) must not end the process.
    server.on('error', onError);
    // Ten thousand waiters may come at once.
    server.listen({ host: address, port, backlog: 4096 }, resolve);
  });
  // A server that listens on a port has an address of this form.
  const bound = server.address() as AddressInfo;
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${host}:${bound.port}`,
    port: bound.port,
    close: (graceMs = 5000) => closeServer(server, graceMs),
  };
}

/** Refuses requests of a network that has as many under way as it may. */
function refuseBeyond(bounds: ConnectionBounds & RequestBounds): RefuseEarly {
  const shares = new RequestShares(bounds);
  return ({ socket }, outgoing) => {
    const address = socket.remoteAddress ?? '';
    if (bounds.sharesOnLoopback === false && isLoopback(address)) return undefined;
    if (shares.enter(address, outgoing)) return undefined;
    const error = new ProblemError(
      'DECRYPTION_WAITERS_FULL',
      'this network has too many requests under way',
      {
        retryAfterMs: 1000,
        hint: 'behind a proxy, raise maxWaitersPerNetwork',
      },
    );
    return problemOf(error, newRequestId());
  };
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  try {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeIdleConnections();
    });
  } finally {
    clearTimeout(cut);
  }
}
