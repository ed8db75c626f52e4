import { connect, type Socket } from 'node:net';
import { type Measured, summarize } from './harness.ts';

/** An HTTP/1.1 POST as bytes, so that the client costs as little as it can. */
export function rawPost(port: number, path: string, body: string): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
}

/**
 * Sends every request once over the given number of keep-alive connections, one request at a time on each.
 * @throws Error when an answer is not 200.
 */
export async function sendAll(
  port: number,
  requests: readonly Buffer[],
  connections: number,
): Promise<Measured> {
  const latencies: number[] = [];
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const answers = new Answers(socket);
      for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
        const before = performance.now();
        socket.write(request);
        await answers.next();
        latencies.push(performance.now() - before);
      }
      socket.destroy();
    }),
  );
  return summarize(latencies, performance.now() - start);
}

/** Reads answers with a content-length off a socket. */
class Answers {
  #buffer = Buffer.alloc(0);
  #resolve: (() => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#look();
    });
    socket.on('error', (error) => this.#reject?.(error));
  }

  next(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #look(): void {
    const headEnd = this.#buffer.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#buffer.toString('latin1', 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (this.#buffer.length < headEnd + 4 + length) return;
    const body = this.#buffer.toString('utf8', headEnd + 4, headEnd + 4 + length);
    this.#buffer = this.#buffer.subarray(headEnd + 4 + length);
    if (head.startsWith('HTTP/1.1 200')) this.#resolve?.();
    else this.#reject?.(new Error(`${head.split('\r\n', 1)[0]}: ${body.slice(0, 300)}`));
  }
}
