import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, type Measured, percentile, type Report, summarize } from './harness.ts';
import { rawPost, sendAll } from './raw-client.ts';
import type { FloorSeconds, InsideSeconds, ReleaseServerReady } from './release-server.ts';
import type { TableMemory } from './release-table.ts';

const PLATFORMS = 64;
const CONNECTIONS = 8;
/** Everything is measured in turns, so that a machine that slows down does so for all alike. */
const ROUNDS = 8;
/** Requests that warm caches and the compiler, on each server. */
const WARM_UP = 1_000;
/** Of each round. */
const REQUESTS = 600;
const FLOOR_RUNS = 150;
const INSIDE_RUNS = 1_500;
/** The comparison server is so slow that fewer requests do. */
const COMPARED = 30;
const TOTAL = WARM_UP + ROUNDS * REQUESTS;
/** Slots of a full key table, two of each lineage. */
const SLOTS = 400_000;
const TABLE_MIB = 400;
const PATH = '/request-encryption-key';

/** Released keys per second on one core, over HTTP on loopback, every request another account, all checks on. */
export const bench: Bench = {
  name: 'release',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
    const requestsFile = join(folder, 'requests.json');
    const child = fork(fileURLToPath(new URL('./release-server.ts', import.meta.url)), [
      requestsFile,
      `${TOTAL}`,
      `${PLATFORMS}`,
      `${FLOOR_RUNS}`,
      `${INSIDE_RUNS}`,
    ]);
    try {
      await measureAll(report, child, requestsFile);
    } finally {
      const exited = once(child, 'exit');
      if (child.connected) child.send('stop');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    }
    await measureTable(report);
  },
};

/** Memory of a full key table, in a process of its own. */
async function measureTable(report: Report): Promise<void> {
  const script = fileURLToPath(new URL('./release-table.ts', import.meta.url));
  const child = fork(script, [`${SLOTS}`], { execArgv: ['--expose-gc', '--import', 'tsx'] });
  // It sends this one message.
  const { grownMiB, churnedMiB } = (await messageOf(child)) as TableMemory;
  const what = `MiB of RSS for ${SLOTS} slots of ${SLOTS / 2} lineages`;
  report.target(what, grownMiB, { atMost: TABLE_MIB });
  report.target(`${what}, after a third was made anew`, churnedMiB, { atMost: TABLE_MIB });
}

/** The next message of the child, which says what {@link ReleaseServerReady} and {@link FloorSeconds} describe. */
async function messageOf(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const [message] = await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(() => {
        throw new Error('the server of the bench ended early');
      }),
    ]);
    return message;
  } finally {
    over.abort();
  }
}

async function measureAll(report: Report, child: ChildProcess, requestsFile: string): Promise<void> {
  // The child's messages are of these types, in the order of the questions.
  const ready = (await messageOf(child)) as ReleaseServerReady;
  const bodies: readonly string[] = JSON.parse(readFileSync(requestsFile, 'utf8'));
  const send = (port: number, from: number, count: number) =>
    sendAll(
      port,
      bodies.slice(from, from + count).map((body) => rawPost(port, PATH, body)),
      CONNECTIONS,
    );
  const floorRound = async (): Promise<Measured> => {
    child.send('floor');
    return summarizeSeconds((await messageOf(child)) as FloorSeconds);
  };
  await send(ready.constantPort, 0, WARM_UP);
  await send(ready.bothPort, 0, WARM_UP);
  await send(ready.port, 0, WARM_UP);
  await send(ready.comparisonPort, 0, COMPARED);
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = WARM_UP + round * REQUESTS;
    rounds.push({
      constant: await send(ready.constantPort, from, REQUESTS),
      floor: await floorRound(),
      both: await send(ready.bothPort, from, REQUESTS),
      release: await send(ready.port, from, REQUESTS),
      comparison: await send(ready.comparisonPort, from, COMPARED),
    });
  }
  report.result('(a) Hono answering the same body with a constant', medianOf(rounds, 'constant'));
  report.result('(b) the bare cryptography, no HTTP', medianOf(rounds, 'floor'));
  report.result('(a) and (b) in one server, for each request', medianOf(rounds, 'both'));
  report.result('release: all checks, every request another account', medianOf(rounds, 'release'));
  report.result('comparison: @phala/dcap-qvl and @hpke/core', medianOf(rounds, 'comparison'));
  child.send('inside');
  // The answer to this question.
  const inside = (await messageOf(child)) as InsideSeconds;
  const measured = (seconds: readonly number[]): Measured => summarizeSeconds(seconds.slice(INSIDE_RUNS / 3));
  const alone = measured(inside.release);
  const verification = measured(inside.verification);
  report.result('release without HTTP, one after the other', alone);
  report.result('… of it: verification of the quote', verification);
  report.ratio(
    'release without HTTP / what is left of it without the verification (medians)',
    alone.p50Ms / (alone.p50Ms - verification.p50Ms),
  );
  const toBound = rounds.map(
    ({ constant, floor, release }) =>
      release.opsPerSecond * (1 / constant.opsPerSecond + 1 / floor.opsPerSecond),
  );
  const toBoth = rounds.map(({ both, release }) => release.opsPerSecond / both.opsPerSecond);
  const toComparison = rounds.map(
    ({ release, comparison }) => release.opsPerSecond / comparison.opsPerSecond,
  );
  report.ratio('release / (1 ÷ (1/a + 1/b)), median of rounds', percentile(toBound, 0.5));
  // The goal was 0.7; "What a released key costs" in docs/decisions.md says where the rest goes.
  report.target('release / (a) and (b) in one server, median of rounds', percentile(toBoth, 0.5), {
    atLeast: 0.5,
  });
  report.target('release / comparison server, median of rounds', percentile(toComparison, 0.5), {
    atLeast: 10,
  });
}

function summarizeSeconds(seconds: readonly number[]): Measured {
  const milliseconds = seconds.map((duration) => duration * 1000);
  return summarize(
    milliseconds,
    milliseconds.reduce((sum, duration) => sum + duration, 0),
  );
}

/** What one turn of everything took. */
type Round = Readonly<Record<'constant' | 'floor' | 'both' | 'release' | 'comparison', Measured>>;

function medianOf(rounds: readonly Round[], what: keyof Round): Measured {
  const median = (of: (measured: Measured) => number) =>
    percentile(
      rounds.map((round) => of(round[what])),
      0.5,
    );
  return {
    opsPerSecond: median(({ opsPerSecond }) => opsPerSecond),
    p50Ms: median(({ p50Ms }) => p50Ms),
    p99Ms: median(({ p99Ms }) => p99Ms),
  };
}
