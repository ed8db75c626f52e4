import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, percentile, type Report } from './harness.ts';
import { rawPost, sendAll } from './raw-client.ts';
import type { ReleaseServerReady } from './release-server.ts';

const REQUESTS = 6_000;
const PLATFORMS = 64;
const CONNECTIONS = 16;
/** The comparison server is so slow that fewer requests do. */
const COMPARED = 300;
const PATH = '/request-encryption-key';

/** Released keys per second on one core, over HTTP on loopback, every request another account, all checks on. */
export const bench: Bench = {
  name: 'release',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
    const requestsFile = join(folder, 'requests.json');
    const child = fork(fileURLToPath(new URL('./release-server.ts', import.meta.url)), [
      requestsFile,
      `${REQUESTS}`,
      `${PLATFORMS}`,
    ]);
    try {
      await measureAll(report, await readyOf(child), requestsFile);
    } finally {
      const exited = once(child, 'exit');
      if (child.connected) child.send('stop');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function readyOf(child: ChildProcess): Promise<ReleaseServerReady> {
  const [ready] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => {
      throw new Error('the server of the bench ended before it was ready');
    }),
  ]);
  // The child sends exactly one message, of this type.
  return ready as ReleaseServerReady;
}

async function measureAll(report: Report, ready: ReleaseServerReady, requestsFile: string): Promise<void> {
  const bodies: readonly string[] = JSON.parse(readFileSync(requestsFile, 'utf8'));
  const to = (port: number, from: number, until: number) =>
    bodies.slice(from, until).map((body) => rawPost(port, PATH, body));
  // The first requests warm caches and the compiler, on each server alike.
  const warm = REQUESTS / 6;
  await sendAll(ready.constantPort, to(ready.constantPort, 0, warm), CONNECTIONS);
  const constant = await sendAll(ready.constantPort, to(ready.constantPort, warm, REQUESTS), CONNECTIONS);
  await sendAll(ready.port, to(ready.port, 0, warm), CONNECTIONS);
  const release = await sendAll(ready.port, to(ready.port, warm, REQUESTS), CONNECTIONS);
  await sendAll(ready.comparisonPort, to(ready.comparisonPort, 0, COMPARED / 6), CONNECTIONS);
  const comparison = await sendAll(
    ready.comparisonPort,
    to(ready.comparisonPort, COMPARED, 2 * COMPARED),
    CONNECTIONS,
  );
  const total = ready.floorSeconds.reduce((sum, seconds) => sum + seconds, 0);
  const floor = {
    opsPerSecond: ready.floorSeconds.length / total,
    p50Ms: percentile(ready.floorSeconds, 0.5) * 1000,
    p99Ms: percentile(ready.floorSeconds, 0.99) * 1000,
  };
  report.result('(a) Hono answering the same body with a constant', constant);
  report.result('(b) the bare cryptography, no HTTP', floor);
  report.result('release: all checks, every request another account', release);
  report.result('comparison: @phala/dcap-qvl and @hpke/core', comparison);
  const bound = 1 / (1 / constant.opsPerSecond + 1 / floor.opsPerSecond);
  report.target('release / (1 ÷ (1/a + 1/b))', release.opsPerSecond / bound, { atLeast: 0.5 });
  report.target('release / comparison server', release.opsPerSecond / comparison.opsPerSecond, {
    atLeast: 10,
  });
}
