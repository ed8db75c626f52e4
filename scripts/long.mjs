// Runs everything that is too long for CI, one step after the other, and prints a table of results.
// usage: npm run long -- [--list] [NAME…]     without names: all steps; exit code 1 when a step failed
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** name, command, and what it shows. Hours each, on two cores, unless it says otherwise. */
const steps = [
  ['simulate', 'npm run --silent simulate -- --runs 2000', 'random lives of a network: no promise broken'],
  ['store', 'npm run --silent soak:store -- --kills 1000 --runs 5000', 'kills and power cuts of the store'],
  ['epochs', 'npm run --silent soak:epochs -- --seeds 100', 'crash plans of the epoch journal'],
  ['rituals', 'npm run --silent soak:rituals', '100,000 rituals (minutes)'],
  ['model', 'npm run --silent model', 'the model of lineages, with more states than in the suite'],
  [
    'mutations',
    'for room in trust protocol keyslots keyserver tdx lineage; do npm run --silent mutate -- $room || exit 1; done',
    'every condition of these rooms is tested; tries those of changed files',
  ],
  [
    'blackouts',
    'npx tsx scripts/blackouts.ts',
    '1,000 total blackouts with custody lose no store (half an hour)',
  ],
  [
    'ring-kills',
    'npm run --silent build && npx tsx scripts/ring-kills.ts --kills 1000',
    'kill -9 of nodes of a ring while users work: no invariant broken (hours)',
  ],
  [
    'schemathesis',
    'npx tsx scripts/schemathesis.ts --seconds 600 --examples 1000',
    'generated requests: every answer is as the OpenAPI files describe it (twenty minutes)',
  ],
  ['chopsticks', 'npm run --silent long:chopsticks', 'a genuine Substrate runtime (minutes)'],
  ['node-24', 'node scripts/platforms/run.mjs 24 --all', 'the whole suite on Node.js 24 (half an hour)'],
  ['node-22', 'node scripts/platforms/run.mjs 22 --all', 'the whole suite on Node.js 22 (half an hour)'],
  [
    'clients',
    'LATCHKEY_ALL_RULES=1 npx vitest run test/unit/conformance/client-checks.test.ts',
    'each broken client is found by its own rules alone (a quarter of an hour)',
  ],
  ['moves', 'npm start -- --once --moves 3', 'a fleet changes its trust section three times (minutes)'],
  ['demonstration', 'npm start -- --once', 'the demonstration on the installed Node.js (minutes)'],
];

const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith('--'));
const unknown = names.filter((name) => !steps.some(([known]) => known === name));
if (unknown.length > 0 || args.some((arg) => arg.startsWith('--') && arg !== '--list')) {
  console.error(`usage: npm run long -- [--list] [NAME…]; names: ${steps.map(([name]) => name).join(' ')}`);
  process.exit(2);
}
const chosen = steps.filter(([name]) => names.length === 0 || names.includes(name));
if (args.includes('--list')) {
  for (const [name, command, shows] of chosen)
    console.log(`${name.padEnd(14)}${shows}\n${' '.repeat(14)}${command}`);
  process.exit(0);
}

const results = chosen.map(([name, command]) => {
  console.log(`\n=== ${name}: ${command}`);
  const startedAtMs = Date.now();
  const { status } = spawnSync(command, { cwd: root, shell: true, stdio: 'inherit' });
  return { name, passed: status === 0, minutes: Math.round((Date.now() - startedAtMs) / 6_000) / 10 };
});
console.log('');
for (const { name, passed, minutes } of results) {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${name}, ${minutes} minutes`);
}
const failed = results.filter(({ passed }) => !passed).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
