import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Clients } from './decryptions-clients.ts';
import { type Embedded, measureEtcd } from './decryptions-etcd.ts';
import { CONNECTIONS, load, newKey, put } from './decryptions-load.ts';
import type { ServerMessage, ServerQuestion, WaitingQuestion } from './decryptions-messages.ts';
import { type Bench, type Measured, percentile, type Report, summarize } from './harness.ts';

/** Waiters → rounds. */
const wakeUps = [
  [1, 200],
  [100, 20],
  [10_000, 3],
] as const;

/** The decryption service over HTTP, in a process of its own, against plain Hono in the same process. */
export const bench: Bench = {
  name: 'decryptions',
  async run(report) {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
    const child = fork(fileURLToPath(new URL('./decryptions-server.ts', import.meta.url)), [
      join(folder, 'store'),
    ]);
    let embedded: Embedded;
    try {
      const server = new ServerProcess(child);
      const ready = await server.expect('ready');
      embedded = await measureLoad(report, ready.url, ready.constantUrl);
      for (const [waiters, rounds] of wakeUps) await measureWakeUp(report, server, ready, waiters, rounds);
    } finally {
      const ended = once(child, 'exit');
      if (child.connected) child.send('stop' satisfies ServerQuestion);
      await ended;
      await rm(folder, { recursive: true, force: true });
    }
    await measureEtcd(report, embedded);
  },
};

type Ready = Extract<ServerMessage, { kind: 'ready' }>;

async function measureLoad(report: Report, url: string, constantUrl: string): Promise<Embedded> {
  const path = `/decryption/${newKey()}`;
  await put(url + path);
  const plain = await load(constantUrl + path);
  report.result('plain Hono, GET answered with a constant', plain);
  const hit = await load(url + path);
  report.result('GET hit', hit);
  const plainPut = await load(constantUrl, 'PUT');
  report.result('plain Hono, PUT answered with a constant', plainPut);
  const durable = await load(url, 'PUT');
  report.result(`PUT of new keys, durable, ${CONNECTIONS} connections`, durable);
  report.result('PUT of new keys, durable, 1 connection', await load(url, 'PUT', 1));
  report.ratio('GET hit / plain Hono', hit.opsPerSecond / plain.opsPerSecond);
  report.ratio('durable PUT / plain Hono PUT', durable.opsPerSecond / plainPut.opsPerSecond);
  return { hit, durable };
}

/** The service, the least that wakes waiters, and plain answers, with as many clients. */
async function measureWakeUp(
  report: Report,
  server: ServerProcess,
  { url, relayUrl, constantUrl }: Ready,
  waiters: number,
  rounds: number,
): Promise<void> {
  const ours = await wakeUp(server, { url, question: 'waiting?' }, waiters, rounds);
  const relay = await wakeUp(server, { url: relayUrl, question: 'waiting in relay?' }, waiters, rounds);
  const plainMs = await answerAll(constantUrl, waiters, rounds);
  report.result(`wake-up of ${waiters} waiters`, ours.each);
  report.result(`plain Hono that syncs a file and wakes ${waiters} waiters`, relay.each);
  const until = `${waiters} waiters, until the last is answered`;
  report.ratio(`${until} / plain Hono that syncs and wakes, medians`, ours.lastMs / relay.lastMs);
  report.ratio(`${until} / plain Hono answering ${waiters} requests, medians`, ours.lastMs / plainMs);
}

/** From the moment that the server wakes the first waiter to the arrival of each answer at its client. */
async function wakeUp(
  server: ServerProcess,
  { url, question }: { readonly url: string; readonly question: WaitingQuestion },
  waiters: number,
  rounds: number,
): Promise<{ readonly each: Measured; readonly lastMs: number }> {
  const clients = await Clients.connect(url, waiters);
  const durations: number[] = [];
  const lasts: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const path = `/decryption/${newKey()}`;
    const answers = clients.ask(path);
    await server.untilWaiting(waiters, question);
    const woken = server.expect('woken');
    await put(url + path);
    const [arrivals, { atNs }] = await Promise.all([answers, woken]);
    const ofRound = arrivals.map((arrival) => Number(arrival - BigInt(atNs)) / 1e6);
    durations.push(...ofRound);
    lasts.push(Math.max(...ofRound));
  }
  clients.close();
  const totalMs = durations.reduce((sum, duration) => sum + duration, 0);
  return { each: summarize(durations, totalMs), lastMs: percentile(lasts, 0.5) };
}

/** Time in ms until plain Hono has answered the last of the given number of requests: the median of the rounds. */
async function answerAll(url: string, count: number, rounds: number): Promise<number> {
  const clients = await Clients.connect(url, count);
  const lasts: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const startedAt = process.hrtime.bigint();
    const arrivals = await clients.ask(`/decryption/${newKey()}`);
    lasts.push(Math.max(...arrivals.map((arrival) => Number(arrival - startedAt) / 1e6)));
  }
  clients.close();
  return percentile(lasts, 0.5);
}

class ServerProcess {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** The next message of a kind. */
  expect<K extends ServerMessage['kind']>(kind: K): Promise<Extract<ServerMessage, { kind: K }>> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: ServerMessage): void => {
        if (message.kind !== kind) return;
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
        // The kind was just compared.
        resolve(message as Extract<ServerMessage, { kind: K }>);
      };
      const onExit = (): void => reject(new Error('the server process has ended'));
      this.#child.on('message', onMessage);
      this.#child.once('exit', onExit);
    });
  }

  /** Resolves when the given number of requests wait in the server. */
  async untilWaiting(count: number, question: WaitingQuestion): Promise<void> {
    for (;;) {
      const answer = this.expect('waiting');
      this.#child.send(question);
      if ((await answer).count === count) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
