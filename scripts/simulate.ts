import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { livesInProcesses, livesInThisProcess } from './simulate-lives.ts';

const usage = `npx tsx scripts/simulate.ts [--runs N] [--seed S] [--workers W] [--verbose]

Runs random lives of a whole network in virtual time, seeds S to S + N - 1, on W processes (all cores by default), and
checks the invariants of docs/simulation.md after every step. Prints the seed and the history of a life that breaks
one, with the command that replays it, and exits 1.`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: `${availableParallelism()}` },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const REPORT_EVERY = 25;

function wholeNumber(name: 'runs' | 'seed' | 'workers', least: number): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new RangeError(`--${name} must be a whole number of at least ${least}, got ${values[name]}`);
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(usage);
    return;
  }
  const [first, runs] = [wholeNumber('seed', 0), wholeNumber('runs', 1)];
  const workers = Math.min(wholeNumber('workers', 1), runs);
  const seeds = Array.from({ length: runs }, (_, index) => first + index);
  const counts: Record<string, number> = {};
  const failed: number[] = [];
  const startMs = Date.now();
  let done = 0;
  // One life alone stays in this process, where a debugger or a profiler sees it.
  const lives = workers === 1 ? livesInThisProcess(seeds) : livesInProcesses(seeds, workers);
  for await (const report of lives) {
    for (const [what, count] of Object.entries(report.counts)) counts[what] = (counts[what] ?? 0) + count;
    const bad = report.violations.length > 0;
    if (bad) failed.push(report.seed);
    if (++done % REPORT_EVERY === 0) console.error(`${done} of ${runs}, ${failed.length} failed`);
    if (!bad && !values.verbose) continue;
    console.log(`seed ${report.seed}:\n  ${[...report.history, ...report.violations].join('\n  ')}`);
    if (bad) console.log(`  replay: npx tsx scripts/simulate.ts --runs 1 --seed ${report.seed}`);
  }
  const seconds = Math.round((Date.now() - startMs) / 1000);
  const failedSeeds = failed.sort((a, b) => a - b);
  console.log(JSON.stringify({ runs: done, workers, failed: failed.length, failedSeeds, seconds, counts }));
  process.exitCode = done === runs && failed.length === 0 ? 0 : 1;
}

await main();
