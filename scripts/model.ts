import { bounded, exploreRules, findViolation, formerFaults, singleRules } from '../test/model/scenarios.ts';

/**
 * Explores the model of lineages, marks, heads and generations: `npm run model [-- maximum number of states]`. First
 * the faults of the rules before lineages and of the rules in force with one switched off, then all rules in force.
 */
const maxStates = Number(process.argv[2] ?? 6_000_000);
let failures = 0;

const timed = <Result>(run: () => Result): readonly [Result, string] => {
  const start = performance.now();
  return [run(), `${((performance.now() - start) / 1000).toFixed(1)} s`] as const;
};

for (const scenario of [...formerFaults, ...singleRules]) {
  const [{ trace, states }, time] = timed(() => findViolation(scenario, maxStates));
  if (trace === undefined) failures++;
  console.log(`${scenario.name}: ${trace === undefined ? 'NOT FOUND' : 'found'}, ${states} states, ${time}`);
  for (const step of [...(scenario.after ?? []), ...(trace ?? [])]) console.log(`    ${step}`);
}
for (const setting of [...bounded.small, ...bounded.full]) {
  const [{ trace, states, depth, isExhausted }, time] = timed(() => exploreRules(setting, maxStates));
  if (trace !== undefined) failures++;
  const verdict = trace === undefined ? 'nothing' : 'VIOLATED';
  const reach = isExhausted ? 'all' : `the first, to depth ${depth}`;
  console.log(`all rules, ${setting.name}: ${verdict} in ${reach} ${states} states, ${time}`);
  for (const step of trace ?? []) console.log(`    ${step}`);
}
process.exitCode = failures === 0 ? 0 : 1;
