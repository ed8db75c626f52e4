// Total blackouts of a simulated network (docs/simulation.md). Usage:
//   npx tsx scripts/blackouts.ts [--blackouts N] [--each K] [--seed S]
// N blackouts with custody, K of them in each network, and one network without custody. Exit 1 when a store is lost with
// custody, or none without.
import { parseArgs } from 'node:util';
import { seriesOfBlackouts } from '../test/support/blackouts.ts';

const { values } = parseArgs({
  options: {
    blackouts: { type: 'string', default: '1000' },
    each: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
  },
});
const wanted = Number(values.blackouts);
const each = Number(values.each);

const without = await seriesOfBlackouts(Number(values.seed), 1, false);
console.log(`without custody: ${without.lost} of 4 stores lost in 1 blackout`);
if (without.lost !== 4) process.exitCode = 1;

let done = 0;
let lost = 0;
for (let seed = Number(values.seed); done < wanted; seed++) {
  const result = await seriesOfBlackouts(seed, Math.min(each, wanted - done), true);
  done += result.blackouts;
  lost += result.lost;
  for (const violation of result.violations) console.log(`seed ${seed}: ${violation}`);
  if (result.lost > 0 || result.violations.length > 0) process.exitCode = 1;
  console.log(`with custody: ${lost} stores lost in ${done} blackouts of 4 stores (seed ${seed})`);
}
