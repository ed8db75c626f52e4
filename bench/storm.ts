import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench, Report } from './harness.ts';
import { openLoop, type Storm } from './open-loop.ts';
import { rawPost, sendAll } from './raw-client.ts';
import type { StormServerReady } from './storm-server.ts';

const PLATFORMS = 64;
const REQUESTS = 30_000;
const WARM_UP = 2_000;
const CAPACITY_REQUESTS = 2_000;
/** So few that none is refused. */
const CALLERS = 8;
const SECONDS = 5;
const CONNECTIONS = 1_024;
const PATH = '/request-encryption-key';

/** A real server under more requests than it can verify, from another process. */
export const bench: Bench = {
  name: 'storm',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
    const requestsFile = join(folder, 'requests.json');
    const child = fork(fileURLToPath(new URL('./storm-server.ts', import.meta.url)), [
      requestsFile,
      `${REQUESTS}`,
      `${PLATFORMS}`,
    ]);
    try {
      const [ready] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => {
          throw new Error('the server of the bench ended early');
        }),
      ]);
      await measureStorm(report, ready as StormServerReady, requestsFile);
    } finally {
      const exited = once(child, 'exit');
      if (child.connected) child.send('stop');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function measureStorm(report: Report, { port }: StormServerReady, requestsFile: string): Promise<void> {
  const bodies: readonly string[] = JSON.parse(readFileSync(requestsFile, 'utf8'));
  const requests = bodies.map((body) => rawPost(port, PATH, body));
  await sendAll(port, requests.splice(0, WARM_UP), CALLERS);
  const { opsPerSecond: capacity } = await sendAll(port, requests.splice(0, CAPACITY_REQUESTS), CALLERS);
  const at = async (factor: number): Promise<Storm> => {
    const storm = await openLoop(port, requests, {
      perSecond: factor * capacity,
      seconds: SECONDS,
      connections: CONNECTIONS,
    });
    report.result(`served at ${factor} times the capacity`, {
      opsPerSecond: storm.servedPerSecond,
      p50Ms: storm.p50Ms,
      p99Ms: storm.p99Ms,
    });
    return storm;
  };
  const half = await at(0.5);
  for (const factor of [2, 10]) {
    const storm = await at(factor);
    const name = `at ${factor} times the capacity`;
    report.target(
      `${name}: 99th percentile of what is served, to that at half the capacity`,
      storm.p99Ms / half.p99Ms,
      {
        atMost: 5,
      },
    );
    report.ratio(`${name}: keys released, to the capacity`, storm.servedPerSecond / capacity);
    report.ratio(`${name}: refused, to what was sent`, storm.refusedPerSecond / (factor * capacity));
    report.target(`${name}: refusals that do not say when to ask again`, storm.unhelpful, { atMost: 0 });
    report.ratio(`${name}: lateness of the sender, 99th percentile, in ms`, storm.lateMs);
    report.target(`${name}: requests without an answer`, storm.lost, { atMost: 0 });
  }
}
