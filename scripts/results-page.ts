import { type SavedResults, savedResults } from '../bench/saved-results.ts';

/** The rows of README's table: what is said, the benchmark, and the names of its targets or ratios. */
const headlines: readonly (readonly [what: string, bench: string, ...names: readonly string[]])[] = [
  [
    'quote verification, warm, to two bare ECDSA verifications',
    'tdx',
    'warm, relative to the floor (medians)',
  ],
  ['… to `@phala/dcap-qvl`', 'tdx', 'warm, times @phala/dcap-qvl (medians)'],
  [
    '… cold, everything new, in times of two bare ECDSA verifications',
    'tdx',
    'cold, times the floor (medians)',
  ],
  [
    'proven read of 100 servers, in times of its digests alone (state version 0, 1)',
    'chain-proof',
    'read of servers to its floor, state version 0',
    'read of servers to its floor, state version 1',
  ],
  [
    'finality proof of 100 authorities, in times of its signatures alone',
    'chain-proof',
    'justification to its floor',
  ],
  [
    'key release over HTTP, to bare Hono plus bare cryptography, each measured alone',
    'release',
    'release / (1 ÷ (1/a + 1/b)), median of rounds',
  ],
  [
    '… to a server that does both for each request (the goal was 0.7)',
    'release',
    'release / (a) and (b) in one server, median of rounds',
  ],
  [
    '… to a server built from `@phala/dcap-qvl` and `@hpke/core`',
    'release',
    'release / comparison server, median of rounds',
  ],
  ['boot with all 5 servers, in times of its round trips', 'boot', 'boot / its round trips (medians)'],
  [
    'boot with 2 of 5 servers dead, to 1.5 × undisturbed + 150 ms',
    'boot',
    'boot, 2 of 5 dead: median / (1.5 × undisturbed + 150 ms)',
  ],
  [
    'boot with 2 of 5 hanging, to the same',
    'boot',
    'boot, 2 of 5 hanging: median / (1.5 × undisturbed + 150 ms)',
  ],
  [
    'store: concurrent durable puts, to the better of LMDB and LevelDB (100 B, 1 KiB)',
    'store',
    'concurrent puts of 100 B, to the better rival',
    'concurrent puts of 1024 B, to the better rival',
  ],
  ['store: gets, to LMDB (100 B, 1 KiB)', 'store', 'gets of 100 B, to LMDB', 'gets of 1024 B, to LMDB'],
  [
    'store: one acknowledged put, in writes with fdatasync (100 B, 1 KiB)',
    'store',
    'sequential put of 100 B, in fdatasyncs',
    'sequential put of 1024 B, in fdatasyncs',
  ],
  [
    'store: opening, to its floor (100 B, 1 KiB)',
    'store',
    'open, to its floor, 100 B',
    'open, to its floor, 1024 B',
  ],
  [
    'store: memory per key, without its name, in bytes',
    'store',
    'memory per key beside its name, bytes (100 B)',
  ],
  [
    'decryptions: GET hit, durable PUT, to plain Hono that does nothing',
    'decryptions',
    'GET hit / plain Hono',
    'durable PUT / plain Hono PUT',
  ],
  [
    'decryptions: 10,000 waiters woken by one PUT, in times of plain Hono that syncs and wakes as many',
    'decryptions',
    '10000 waiters, until the last is answered / plain Hono that syncs and wakes, medians',
  ],
  ['ring: acknowledged deploys (4 copies), to as many bare puts', 'ring', 'deploys to bare puts'],
  [
    'ring: request through the relay, in times of the same request without it (median, 99th percentile)',
    'ring',
    'relayed to direct, median',
    'relayed to direct, 99th percentile',
  ],
];

/** `bench/RESULTS.md`: everything that was measured, a section for each benchmark. */
export function resultsPage(all: readonly SavedResults[] = savedResults()): string {
  return `# Results of the benchmarks

Made from \`bench/results\` by \`npm run docs\`; \`npm run bench -- --save [NAME…]\` measures again. Only ratios hold on another machine: each is of two measurements of one run. A load above 1 before a run means that other programs were at work.

${all.map(section).join('\n')}`;
}

/** The table in README. */
export function headlineTable(all: readonly SavedResults[] = savedResults()): string {
  const rows = headlines.flatMap(([what, bench, ...names]) => {
    const results = all.find((one) => one.bench === bench);
    if (results === undefined) return [];
    const found = names.map((name) => ratioOf(results, name));
    return [`| ${what} | ${found.map(({ text }) => text).join(', ')} | ${found[0]?.bar ?? ''} |`];
  });
  return ['| what | measured | bar |', '|---|---|---|', ...rows].join('\n');
}

function ratioOf({ bench, targets, ratios }: SavedResults, name: string): { text: string; bar: string } {
  const target = targets.find((one) => one.name === name);
  const value = target?.value ?? ratios.find((one) => one.name === name)?.value;
  if (value === undefined) throw new TypeError(`bench/results/${bench}.json has no ratio "${name}"`);
  return { text: number(value), bar: target?.bar ?? '' };
}

function section(results: SavedResults): string {
  const { bench, date, node, machine, versions, loadBefore, cases, targets, ratios } = results;
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `## ${bench}`,
    '',
    `${date}, ${machine}, Node ${node}, ${used.join(', ')}, load before ${loadBefore}.`,
    '',
  ];
  const table = (head: string, rows: readonly string[]) => {
    if (rows.length === 0) return;
    const columns = head.split('|').length - 2;
    lines.push(head, `|${'---|'.repeat(columns)}`, ...rows, '');
  };
  table('| ratio | measured | bar | |', [
    ...targets.map(
      ({ name, value, bar, met }) =>
        `| ${cell(name)} | ${number(value)} | ${bar} | ${met ? 'met' : '**missed**'} |`,
    ),
    ...ratios.map(({ name, value }) => `| ${cell(name)} | ${number(value)} | | |`),
  ]);
  table(
    '| case | per second | median, ms | 99th percentile, ms |',
    cases.map(
      ({ name, opsPerSecond, p50Ms, p99Ms }) =>
        `| ${cell(name)} | ${number(opsPerSecond)} | ${number(p50Ms)} | ${number(p99Ms)} |`,
    ),
  );
  return lines.join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** Three digits: more would claim what no second run shows. */
function number(value: number): string {
  return value >= 100 ? `${Math.round(value)}` : `${Number(value.toPrecision(3))}`;
}
