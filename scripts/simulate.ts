import { parseArgs } from 'node:util';
import { runSchedule } from '../test/support/simulated-network-schedule.ts';

const usage = `npx tsx scripts/simulate.ts [--runs N] [--seed S] [--verbose]

Runs random lives of a whole network in virtual time, seeds S to S + N - 1, and checks the invariants of
docs/simulation.md after every step. Prints the seed and the history of a run that breaks one; --seed replays it.`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  if (values.help) {
    console.log(usage);
    return;
  }
  const first = Number(values.seed);
  const runs = Number(values.runs);
  const counts: Record<string, number> = {};
  const startMs = Date.now();
  let failed = 0;
  for (let seed = first; seed < first + runs; seed++) {
    const report = await runSchedule(seed);
    for (const [what, count] of Object.entries(report.counts)) counts[what] = (counts[what] ?? 0) + count;
    if ((seed - first + 1) % 25 === 0) console.error(`${seed - first + 1} of ${runs}, ${failed} failed`);
    const bad = report.violations.length > 0;
    if (bad) failed++;
    if (bad || values.verbose) {
      console.log(`seed ${seed}:\n  ${[...report.history, ...report.violations].join('\n  ')}`);
    }
  }
  console.log(JSON.stringify({ runs, failed, seconds: Math.round((Date.now() - startMs) / 1000), counts }));
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
