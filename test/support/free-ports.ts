import { createServer } from 'node:net';
import { freePort } from '../../devnet/free-port.ts';

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** The first of some ports in a row, all free now; `gap` after it as many more. */
export async function freePorts(count: number, gap: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const wanted = Array.from({ length: count }, (_, at) => [first + at, first + gap + at]).flat();
    const free = await Promise.all(wanted.map((port) => (port < 65_536 ? isFree(port) : false)));
    if (free.every((each) => each)) return first;
  }
}
