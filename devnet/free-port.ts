import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the range from which the kernel assigns ports to connections and to listeners on port 0. */
const FIRST_PORT = 20_000;
const END_PORT = 32_768;

/** Ports that this process was given: of fourteen random ones, two are the same once in 140 networks. */
const given = new Set<number>();

/**
 * A TCP port of 127.0.0.1 that was free a moment ago, another one at each call, outside of the range from which the
 * kernel serves connections: a port of that range was taken by another program while the node was starting.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, END_PORT);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
