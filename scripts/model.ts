import {
  bounded,
  exploreNewRules,
  findViolation,
  presentFaults,
  singleRules,
  withoutHolding,
} from '../test/model/scenarios.ts';

/**
 * Explores the model of lineage, claims, heads and generations: `npm run model [-- maximum number of states]`. First
 * the faults of the rules in force and of the proposed rules with one switched off, then all proposed rules.
 */
const maxStates = Number(process.argv[2] ?? 6_000_000);
let failures = 0;

const timed = <Result>(run: () => Result): readonly [Result, string] => {
  const start = performance.now();
  return [run(), `${((performance.now() - start) / 1000).toFixed(1)} s`] as const;
};

for (const scenario of [...presentFaults, ...singleRules]) {
  const [{ trace, states }, time] = timed(() => findViolation(scenario, maxStates));
  if (trace === undefined) failures++;
  console.log(`${scenario.name}: ${trace === undefined ? 'NOT FOUND' : 'found'}, ${states} states, ${time}`);
  for (const step of trace ?? []) console.log(`    ${step}`);
}
for (const bounds of [...bounded.small, ...bounded.full]) {
  const [{ trace, states, depth, isExhausted }, time] = timed(() => exploreNewRules(bounds, maxStates));
  if (trace !== undefined) failures++;
  const verdict = trace === undefined ? 'nothing' : 'VIOLATED';
  const reach = isExhausted ? 'all' : `the first, to depth ${depth}`;
  console.log(`new rules, ${JSON.stringify(bounds)}: ${verdict} in ${reach} ${states} states, ${time}`);
  for (const step of trace ?? []) console.log(`    ${step}`);
}
const { rules, bounds } = withoutHolding;
const [{ trace, states, isExhausted }, time] = timed(() => exploreNewRules(bounds, maxStates, rules));
const found = trace === undefined ? 'nothing' : (trace.at(-1) ?? '');
console.log(
  `M7, generations made before holding: ${found} in ${states} states, all: ${isExhausted}, ${time}`,
);
process.exitCode = failures === 0 ? 0 : 1;
