// The crash plans of row E14 with many seeds:
//   npx tsx scripts/soak-epochs.ts [--seeds 100] [--from 1] [--plan 'storage faults']
import { parseArgs } from 'node:util';
import { brokenPromises, plans, runPlan } from '../test/simulation/epochs/crash-plans.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    plan: { type: 'string' },
  },
});
const [first, count] = [Number(values.from), Number(values.seeds)];
const chosen = Object.entries(plans).filter(([name]) => values.plan === undefined || values.plan === name);
if (chosen.length === 0) throw new RangeError(`there is no plan ${values.plan}`);

const total = { runs: 0, rounds: 0, epochs: 0, crashes: 0, panics: 0 };
const broken: string[] = [];
for (let seed = first; seed < first + count; seed += 1) {
  for (const [name, plan] of chosen) {
    const result = await runPlan(seed, plan);
    total.runs += 1;
    for (const what of ['rounds', 'epochs', 'crashes', 'panics'] as const) total[what] += result[what];
    for (const promise of brokenPromises(result)) broken.push(`${name}, seed ${seed}: ${promise}`);
  }
}
for (const line of broken) console.error(line);
console.log(JSON.stringify({ seeds: `${first} to ${first + count - 1}`, ...total, broken: broken.length }));
process.exitCode = broken.length === 0 ? 0 : 1;
