import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { ProblemError } from '../errors/latchkey-error.ts';
import { boundingAnswers } from '../inbound/bounded-answers.ts';

/** Where to listen; port 0 takes a free one. */
export interface AppAddress {
  readonly address: string;
  readonly port: number;
  /** Requests that may wait at a time (16384): more connections than these and some are not taken. */
  readonly maxWaiters?: number;
}

/** Connections in addition to those that wait. Without a bound strangers take all file descriptors of the process. */
const MORE_CONNECTIONS = 4_096;

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
export async function serveApp(
  app: Hono,
  { address, port, maxWaiters = 16_384 }: AppAddress,
): Promise<ServedApp> {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  // The adapter answers its own failures, so this promise does not reject.
  const server = createServer(
    timeouts,
    boundingAnswers((request, response) => void listener(request, response)),
  );
  server.maxConnections = maxWaiters + MORE_CONNECTIONS;
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
