import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { percentile, summarize } from './harness.ts';

/** What an open loop saw. */
export interface Storm {
  /** Answers with status 200 a second. */
  readonly servedPerSecond: number;
  /** Of the served ones, from the moment at which the request was sent. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers with status 503 a second. */
  readonly refusedPerSecond: number;
  /** Refusals without a time at which to ask again. */
  readonly unhelpful: number;
  /** Requests without an answer: all connections were waiting, or the connection ended. */
  readonly lost: number;
  /** 99th percentile of how late requests were sent: if it is not small, the load was less even than it should be. */
  readonly lateMs: number;
}

/**
 * Sends requests at a rate that does not depend on the answers, as many callers do that do not know of each other.
 * A request that is refused goes back to the others; one that is served is used up.
 * @param requests are taken out of this list.
 */
export async function openLoop(
  port: number,
  requests: Buffer[],
  { perSecond, seconds, connections }: { perSecond: number; seconds: number; connections: number },
): Promise<Storm> {
  const latencies: number[] = [];
  const lateness: number[] = [];
  const counts = { refused: 0, unhelpful: 0, lost: 0 };
  const idle: Connection[] = [];
  const open = new Set<Connection>();
  // Connected before: a process accepts one connection in each turn of its event loop, whatever is asked for on the others.
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = new Connection(port);
      await connection.opened;
      open.add(connection);
      idle.push(connection);
    }),
  );
  const startMs = performance.now();
  const send = (dueMs: number): void => {
    const request = requests.pop();
    if (request === undefined) throw new Error('the bench has made too few requests');
    const connection = idle.pop();
    if (connection === undefined) {
      requests.push(request);
      counts.lost += 1;
      return;
    }
    const sentMs = performance.now();
    lateness.push(sentMs - dueMs);
    connection.ask(request, (status, head) => {
      if (status === 200) latencies.push(performance.now() - sentMs);
      else requests.push(request);
      if (status === 503) {
        counts.refused += 1;
        if (!/^retry-after: \d+\r$/im.test(head)) counts.unhelpful += 1;
      } else if (status !== 200) counts.lost += 1;
      if (connection.isOpen) idle.push(connection);
      else open.delete(connection);
    });
  };
  let dueMs = startMs;
  while (dueMs < startMs + seconds * 1000) {
    const nowMs = performance.now();
    while (dueMs <= nowMs) {
      send(dueMs);
      // A Poisson process: the times between two requests are exponentially distributed.
      dueMs += (-Math.log(1 - Math.random()) / perSecond) * 1000;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const sentForMs = performance.now() - startMs;
  // What is under way may still be answered; it counts for the rates of the time in which it was sent.
  for (let waitedMs = 0; idle.length < open.size && waitedMs < 10_000; waitedMs += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  counts.lost += open.size - idle.length;
  for (const connection of open) connection.end();
  const { p50Ms, p99Ms } = summarize(latencies, sentForMs);
  return {
    servedPerSecond: (latencies.length / sentForMs) * 1000,
    p50Ms,
    p99Ms,
    refusedPerSecond: (counts.refused / sentForMs) * 1000,
    unhelpful: counts.unhelpful,
    lost: counts.lost,
    lateMs: percentile(lateness, 0.99),
  };
}

/** One keep-alive connection with one request at a time. */
class Connection {
  readonly #socket: Socket;
  #received = '';
  #onAnswer: ((status: number | undefined, head: string) => void) | undefined;
  readonly opened: Promise<unknown>;
  isOpen = true;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.opened = once(this.#socket, 'connect');
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => this.#receive(text));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.isOpen = false;
      this.#answered(undefined, '');
    });
  }

  ask(request: Buffer, onAnswer: (status: number | undefined, head: string) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request);
  }

  end(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd + 2);
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? Number.NaN);
    if (!(this.#received.length >= headEnd + 4 + length)) return;
    this.#received = '';
    if (/^connection: close\r$/im.test(head)) {
      this.isOpen = false;
      this.#socket.destroy();
    }
    this.#answered(Number(head.slice(9, 12)), head);
  }

  #answered(status: number | undefined, head: string): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(status, head);
  }
}
