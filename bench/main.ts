import { parseArgs } from 'node:util';
import type { Bar, Bench, Measured, Report } from './harness.ts';
import { type SavedResults, saveResults, type Target, whereAndWhen } from './saved-results.ts';

/** All benchmarks by name; each is loaded only when asked for. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  boot: async () => (await import('./boot.ts')).bench,
  'chain-proof': async () => (await import('./chain-proof.ts')).bench,
  decryptions: async () => (await import('./decryptions.ts')).bench,
  epochs: async () => (await import('./epochs.ts')).bench,
  release: async () => (await import('./release.ts')).bench,
  ring: async () => (await import('./ring.ts')).bench,
  store: async () => (await import('./store.ts')).storeBench,
  storm: async () => (await import('./storm.ts')).bench,
  tdx: async () => (await import('./tdx.ts')).bench,
};

class PrintedReport implements Report {
  readonly #bench: string;
  readonly #json: boolean;
  readonly #cases: SavedResults['cases'][number][] = [];
  readonly #targets: Target[] = [];
  readonly #ratios: { readonly name: string; readonly value: number }[] = [];

  constructor(bench: string, json: boolean) {
    this.#bench = bench;
    this.#json = json;
  }

  result(name: string, { opsPerSecond, p50Ms, p99Ms }: Measured): void {
    this.#cases.push({ name, opsPerSecond, p50Ms, p99Ms });
    if (this.#json) {
      console.log(JSON.stringify({ bench: this.#bench, case: name, opsPerSecond, p50Ms, p99Ms }));
      return;
    }
    const rate = opsPerSecond.toFixed(opsPerSecond < 100 ? 1 : 0).padStart(12);
    console.log(`  ${name.padEnd(52)}${rate}/s  p50 ${p50Ms.toFixed(3)} ms  p99 ${p99Ms.toFixed(3)} ms`);
  }

  target(name: string, value: number, bar: Bar): void {
    const [text, met] =
      'atLeast' in bar
        ? [`≥ ${bar.atLeast}`, value >= bar.atLeast]
        : [`≤ ${bar.atMost}`, value <= bar.atMost];
    this.#targets.push({ name, value, bar: text, met });
    if (!this.#json) console.log(`  ${met ? 'met   ' : 'MISSED'} ${name}: ${value.toFixed(3)} (${text})`);
  }

  ratio(name: string, value: number): void {
    this.#ratios.push({ name, value });
    if (!this.#json) console.log(`  ratio  ${name}: ${value.toFixed(3)}`);
  }

  end(): Pick<SavedResults, 'bench' | 'cases' | 'targets' | 'ratios'> {
    const { targets, ratios } = { targets: this.#targets, ratios: this.#ratios };
    if (this.#json) console.log(JSON.stringify({ bench: this.#bench, targets, ratios }));
    return { bench: this.#bench, cases: this.#cases, targets, ratios };
  }
}

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    // Replaces bench/results/NAME.json, from which `npm run docs` makes bench/RESULTS.md and README's table.
    save: { type: 'boolean', default: false },
  },
});
const { json, save } = values;
const unknown = names.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  const bench = await benches[name]?.();
  if (bench === undefined) continue;
  const where = whereAndWhen(name);
  if (!json) console.log(`\n${name}: node ${where.node}, ${where.machine}, load ${where.loadBefore}`);
  const report = new PrintedReport(name, json);
  await bench.run(report);
  const results = { ...where, ...report.end() };
  if (save) saveResults(results);
}
