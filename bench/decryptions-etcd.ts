import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { hasEtcd, startEtcd } from '../test/support/etcd.ts';
import { Clients } from './decryptions-clients.ts';
import { CONNECTIONS, load, newKey, put } from './decryptions-load.ts';
import { type Measured, percentile, type Report } from './harness.ts';

/** What the embedded engine did in the same run. */
export interface Embedded {
  readonly hit: Measured;
  readonly durable: Measured;
}

const WAITERS = 100;
const ROUNDS = 20;

/** One and three instances on a cluster of three members on this machine, against the sealed store. */
export async function measureEtcd(report: Report, embedded: Embedded): Promise<void> {
  if (!hasEtcd) return;
  await using cluster = await startEtcd({ members: 3 });
  for (const count of [1, 3]) {
    const children: ChildProcess[] = [];
    try {
      const urls: string[] = [];
      for (let index = 0; index < count; index += 1) {
        // Each begins with another member.
        const endpoints = [...cluster.endpoints.slice(index), ...cluster.endpoints.slice(0, index)];
        const child = fork(fileURLToPath(new URL('./decryptions-instance.ts', import.meta.url)), endpoints);
        children.push(child);
        const [url]: unknown[] = await once(child, 'message');
        urls.push(String(url));
      }
      await measureInstances(report, urls, embedded);
    } finally {
      const ended = children.map((child) => once(child, 'exit'));
      for (const child of children) if (child.connected) child.disconnect();
      await Promise.all(ended);
    }
  }
}

async function measureInstances(report: Report, urls: readonly string[], embedded: Embedded): Promise<void> {
  const name = `${urls.length} instance${urls.length === 1 ? '' : 's'} on etcd`;
  const path = `/decryption/${newKey()}`;
  await put(urls[0] + path);
  const hit = await loadAll(
    urls.map((url) => url + path),
    'GET',
  );
  report.result(`${name}, GET hit`, hit);
  const durable = await loadAll(urls, 'PUT');
  report.result(`${name}, PUT of new keys`, durable);
  report.ratio(`${name}, GET hit / sealed store`, hit.opsPerSecond / embedded.hit.opsPerSecond);
  report.ratio(`${name}, PUT / sealed store`, durable.opsPerSecond / embedded.durable.opsPerSecond);
  await measureWakeUp(report, name, urls);
}

/** The connections divided between the instances. */
async function loadAll(urls: readonly string[], method: 'GET' | 'PUT'): Promise<Measured> {
  const connections = Math.ceil(CONNECTIONS / urls.length);
  const all = await Promise.all(urls.map((url) => load(url, method, connections)));
  return {
    opsPerSecond: all.reduce((sum, { opsPerSecond }) => sum + opsPerSecond, 0),
    p50Ms: Math.max(...all.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
  };
}

/** From sending the PUT to the first instance to each answer at the last one. */
async function measureWakeUp(report: Report, name: string, urls: readonly string[]): Promise<void> {
  const clients = await Clients.connect(urls.at(-1) ?? '', WAITERS);
  const durations: number[] = [];
  const lasts: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const path = `/decryption/${newKey()}`;
    const answers = clients.ask(path);
    // Until all have been read as absent; a waiter that is later finds the result, which is faster.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const sentAt = process.hrtime.bigint();
    await put(urls[0] + path);
    const ofRound = (await answers).map((arrival) => Number(arrival - sentAt) / 1e6);
    durations.push(...ofRound);
    lasts.push(Math.max(...ofRound));
  }
  clients.close();
  report.result(`${name}, from PUT to ${WAITERS} waiters of the last instance`, {
    opsPerSecond: 1000 / percentile(lasts, 0.5),
    p50Ms: percentile(durations, 0.5),
    p99Ms: percentile(durations, 0.99),
  });
}
