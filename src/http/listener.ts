import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { isListening } from '../disk/socket-lock.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { type AnswerBounds, boundingAnswers, defaultAnswerBounds } from '../inbound/bounded-answers.ts';
import { type ConnectionBounds, limitConnections } from '../inbound/connection-shares.ts';
import { type RefuseEarly, refusingEarly } from '../inbound/early-refusal.ts';

/** Where to listen: a TCP address (port 0 chooses one) or the path of a Unix socket, made 0600. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** A listening server. */
export interface Listener {
  /** Port that was bound; 0 for a Unix socket. */
  readonly port: number;
  /** `http://host:port`, or `unix:PATH`. */
  readonly url: string;
  /** Stops accepting, lets requests in flight finish, and cuts what is left after the deadline. */
  close(deadlineMs: number): Promise<void>;
}

/** Limits on the resources that unauthenticated clients may use on a listener. */
export interface ListenerBounds extends ConnectionBounds, AnswerBounds {
  /** A whole request must arrive within this time. */
  readonly requestTimeoutMs: number;
  /** Interval of the search for late requests. */
  readonly checkIntervalMs: number;
}

/** Defaults of {@link ListenerBounds}. */
export const defaultListenerBounds: ListenerBounds = {
  requestTimeoutMs: 15_000,
  checkIntervalMs: 2_000,
  maxConnections: 4_096,
  maxConnectionsPerNetwork: 128,
  maxConnectionsPerSite: 512,
  ...defaultAnswerBounds,
};

/**
 * Serves a fetch handler.
 * @param refuseEarly is asked first, about each request.
 * @throws ProblemError LISTEN_FAILED when the address cannot be bound.
 */
export async function listen(
  handler: (request: Request, env: never) => Response | Promise<Response>,
  address: ListenAddress,
  bounds: ListenerBounds = defaultListenerBounds,
  refuseEarly: RefuseEarly = () => undefined,
): Promise<Listener> {
  const handle = getRequestListener((request, env) => handler(request, env as never), {
    overrideGlobalObjects: false,
    hostname: 'host' in address ? address.host : 'localhost',
  });
  const server = createServer(
    {
      requestTimeout: bounds.requestTimeoutMs,
      headersTimeout: bounds.requestTimeoutMs,
      connectionsCheckingInterval: bounds.checkIntervalMs,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 16 * 1024,
    },
    boundingAnswers(refusingEarly(handle, refuseEarly), bounds),
  );
  limitConnections(server, bounds);
  await bind(server, address);
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return {
    port,
    url: 'socketPath' in address ? `unix:${address.socketPath}` : `http://${urlHost(address.host)}:${port}`,
    close: (deadlineMs) => closeWithin(server, deadlineMs),
  };
}

const urlHost = (host: string): string => (host.includes(':') ? `[${host}]` : host);

async function bind(server: Server, address: ListenAddress): Promise<void> {
  if ('socketPath' in address) await removeLeftSocket(address.socketPath);
  await new Promise<void>((resolve, reject) => {
    // Never removed: a connection that cannot be accepted later (ENFILE, EPROTO) must not end the process, because the
    // keys of its clients are in its memory only.
    server.on('error', (cause) => {
      const where = 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
      reject(new ProblemError('LISTEN_FAILED', `cannot listen on ${where}: ${cause.message}`, { cause }));
    });
    if ('socketPath' in address) listenPrivately(server, address.socketPath, resolve);
    else server.listen(address.port, address.host, resolve);
  });
  if ('socketPath' in address) await chmod(address.socketPath, 0o600);
}

/** Node makes the socket in this very step: made for all, others could connect before its rights are changed. */
function listenPrivately(server: Server, path: string, onListening: () => void): void {
  const before = process.umask(0o077);
  try {
    server.listen(path, onListening);
  } finally {
    process.umask(before);
  }
}

/**
 * Deletes the socket that a killed process left. Other kinds of files stay, and so does a socket on which a process
 * listens: it belongs to a running node.
 */
async function removeLeftSocket(path: string): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (present?.isSocket() !== true) return;
  if (await isListening(path)) {
    throw new ProblemError('LISTEN_FAILED', `cannot listen on ${path}: another process does`, {
      hint: 'is a node with this configuration running already?',
    });
  }
  await unlink(path).catch(() => undefined);
}

async function closeWithin(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
  // Keep-alive connections become idle only after their answer; the check repeats until all are closed.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  await closed;
  clearTimeout(timer);
  clearInterval(idle);
}
