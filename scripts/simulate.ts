import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { LifeOptions, RunReport } from '../test/support/simulated-network-schedule.ts';
import { livesInProcesses, livesInThisProcess } from './simulate-lives.ts';

const usage = `npx tsx scripts/simulate.ts [--runs N] [--seed S] [--workers W] [--log FILE] [--minutes M]
    [--real] [--thorough] [--moving] [--verbose]

Runs random lives of a whole network in virtual time, seeds S to S + N - 1, on W processes (all cores by default), and
checks the invariants of docs/simulation.md after every step. Prints the seed and the history of a life that breaks
one, with the command that replays it, and exits 1.

In one life of 33 (seed a multiple of 33), and with --thorough in all, networks have four to eight machines, all
cryptography is real, quotes are verified every time that they are shown, and quiet stretches last their whole time. In
the other lives each quote is verified once, most networks have four machines, and a quiet stretch ends as soon as nothing
is left to do; and there keyed hashes stand in for HMAC, X25519 and signatures, except in one life of eleven, and with
--real in all.

With --log each life that ended is added to FILE, a line of JSON, and lives that are in it already are not run again, so
that a run which was ended goes on where it was. After --minutes no other life begins.

In one life of five (seed a multiple of five), and with --moving in all, the fleet has an authority and moves to other
images and trust sections in the middle of all this.`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: `${availableParallelism()}` },
    log: { type: 'string' },
    minutes: { type: 'string' },
    real: { type: 'boolean', default: false },
    thorough: { type: 'boolean', default: false },
    moving: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const REPORT_EVERY = 25;

function wholeNumber(name: 'runs' | 'seed' | 'workers' | 'minutes', least: number): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new RangeError(`--${name} must be a whole number of at least ${least}, got ${values[name]}`);
}

/** The switches that a replay needs too. */
const switches = (): string =>
  (['real', 'thorough', 'moving'] as const).map((name) => (values[name] ? ` --${name}` : '')).join('');

/** One life in the log, with its history when it broke an invariant. */
function lineOf({ seed, violations, history, cpuMs, counts }: RunReport): string {
  const end = Object.keys(counts).find((what) => what.startsWith('ends '));
  return `${JSON.stringify({ seed, end, cpuMs, violations, ...(violations.length > 0 ? { history } : {}) })}\n`;
}

/** The lives that a log has already, by seed. Of a line that was cut off nothing is taken, and the next one begins a line of its own. */
function loggedSeeds(path: string): ReadonlySet<number> {
  if (!existsSync(path)) return new Set();
  const lines = readFileSync(path, 'utf8').split('\n');
  if (lines.pop() !== '') appendFileSync(path, '\n');
  return new Set(lines.flatMap((line) => line.match(/^\{"seed":(\d+),.*\}$/)?.[1] ?? []).map(Number));
}

/** What happened in a life, and how it is replayed when it broke an invariant. */
function show({ seed, history, violations }: RunReport): void {
  console.log(`seed ${seed}:\n  ${[...history, ...violations].join('\n  ')}`);
  if (violations.length > 0)
    console.log(`  replay: npx tsx scripts/simulate.ts --runs 1 --seed ${seed}${switches()}`);
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(usage);
    return;
  }
  const [first, runs] = [wholeNumber('seed', 0), wholeNumber('runs', 1)];
  const known = values.log === undefined ? new Set() : loggedSeeds(values.log);
  const seeds = Array.from({ length: runs }, (_, index) => first + index).filter((seed) => !known.has(seed));
  const workers = Math.max(1, Math.min(wholeNumber('workers', 1), seeds.length));
  const counts: Record<string, number> = {};
  const failed: number[] = [];
  const startMs = Date.now();
  const mostMs = values.minutes === undefined ? Number.POSITIVE_INFINITY : wholeNumber('minutes', 1) * 60_000;
  let done = 0;
  let cpuMs = 0;
  // One life alone stays in this process, where a debugger or a profiler sees it.
  const options: LifeOptions = {
    ...(values.real ? { real: true } : {}),
    ...(values.thorough ? { thorough: true } : {}),
    ...(values.moving ? { moving: true } : {}),
  };
  const lives =
    workers === 1 ? livesInThisProcess(seeds, options) : livesInProcesses(seeds, workers, options);
  for await (const report of lives) {
    for (const [what, count] of Object.entries(report.counts)) counts[what] = (counts[what] ?? 0) + count;
    cpuMs += report.cpuMs;
    const bad = report.violations.length > 0;
    if (bad) failed.push(report.seed);
    if (values.log !== undefined) appendFileSync(values.log, lineOf(report));
    if (++done % REPORT_EVERY === 0) console.error(`${done} of ${seeds.length}, ${failed.length} failed`);
    if (bad || values.verbose) show(report);
    if (Date.now() - startMs > mostMs) break;
  }
  const elapsedMs = Date.now() - startMs;
  const seconds = Math.round(elapsedMs / 1000);
  const livesPerSecond = Number(((1000 * done) / elapsedMs).toFixed(2));
  const failedSeeds = failed.sort((a, b) => a - b);
  const summary = {
    runs: done,
    workers,
    failed: failed.length,
    failedSeeds,
    seconds,
    livesPerSecond,
    cpuMsPerLife: Math.round(cpuMs / Math.max(1, done)),
    counts,
  };
  console.log(JSON.stringify(summary));
  const isWhole = done === seeds.length || values.minutes !== undefined;
  process.exitCode = isWhole && failed.length === 0 ? 0 : 1;
}

await main();
