// Total blackouts of simulated networks (docs/simulation.md). Usage:
//   npx tsx scripts/blackouts.ts [--blackouts N] [--each K] [--without N] [--seed S]
// N blackouts with custody, K of them in each network, and some without custody. Exit 1 when a store is lost with custody,
// or one is not lost without.
import { parseArgs } from 'node:util';
import { type BlackoutResult, seriesOfBlackouts } from '../test/support/blackouts.ts';

const { values } = parseArgs({
  options: {
    blackouts: { type: 'string', default: '1000' },
    each: { type: 'string', default: '10' },
    without: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
});
const firstSeed = Number(values.seed);
const each = Number(values.each);
const startMs = Date.now();

/** Runs networks one after another until there were enough blackouts. */
async function run(wanted: number, inEach: number, hasCustody: boolean) {
  const total = { blackouts: 0, stores: 0, lost: 0, networks: 0 };
  const events: Record<string, number> = {};
  for (let seed = firstSeed; total.blackouts < wanted; seed++) {
    const result = await seriesOfBlackouts(seed, Math.min(inEach, wanted - total.blackouts), hasCustody);
    add(result);
    report(seed, result);
  }
  return { ...total, events };

  function add(result: BlackoutResult): void {
    total.networks++;
    for (const key of ['blackouts', 'stores', 'lost'] as const) total[key] += result[key];
    for (const [event, times] of Object.entries(result.events)) events[event] = (events[event] ?? 0) + times;
  }

  function report(seed: number, { stores, lost, violations }: BlackoutResult): void {
    for (const violation of violations) console.log(`seed ${seed}: ${violation}`);
    if (violations.length > 0 || lost !== (hasCustody ? 0 : stores)) {
      process.exitCode = 1;
      console.log(`seed ${seed}: ${lost} of ${stores} stores lost`);
    }
    if (total.networks % 10 === 0) {
      const seconds = Math.round((Date.now() - startMs) / 1000);
      console.log(`${total.blackouts} blackouts, ${total.lost} of ${total.stores} stores lost, ${seconds} s`);
    }
  }
}

console.log('without custody', await run(Number(values.without), 1, false));
console.log('with custody', await run(Number(values.blackouts), each, true));
console.log(`${Math.round((Date.now() - startMs) / 1000)} s`);
