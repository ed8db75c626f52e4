import { cpus } from 'node:os';
import type { Bar, Bench, Measured, Report } from './harness.ts';

/** All benchmarks by name; each is loaded only when asked for. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  boot: async () => (await import('./boot.ts')).bench,
  'chain-proof': async () => (await import('./chain-proof.ts')).bench,
  decryptions: async () => (await import('./decryptions.ts')).bench,
  epochs: async () => (await import('./epochs.ts')).bench,
  release: async () => (await import('./release.ts')).bench,
  ring: async () => (await import('./ring.ts')).bench,
  store: async () => (await import('./store.ts')).storeBench,
  tdx: async () => (await import('./tdx.ts')).bench,
};

interface Target {
  readonly name: string;
  readonly value: number;
  readonly target: number;
  readonly met: boolean;
}

class PrintedReport implements Report {
  readonly #bench: string;
  readonly #json: boolean;
  readonly #targets: Target[] = [];
  readonly #ratios: { readonly name: string; readonly value: number }[] = [];

  constructor(bench: string, json: boolean) {
    this.#bench = bench;
    this.#json = json;
  }

  result(name: string, { opsPerSecond, p50Ms, p99Ms }: Measured): void {
    if (this.#json) {
      console.log(JSON.stringify({ bench: this.#bench, case: name, opsPerSecond, p50Ms, p99Ms }));
      return;
    }
    const rate = opsPerSecond.toFixed(opsPerSecond < 100 ? 1 : 0).padStart(12);
    console.log(`  ${name.padEnd(52)}${rate}/s  p50 ${p50Ms.toFixed(3)} ms  p99 ${p99Ms.toFixed(3)} ms`);
  }

  target(name: string, value: number, bar: Bar): void {
    const [target, met] =
      'atLeast' in bar ? [bar.atLeast, value >= bar.atLeast] : [bar.atMost, value <= bar.atMost];
    this.#targets.push({ name, value, target, met });
    if (!this.#json) {
      const sign = 'atLeast' in bar ? '>=' : '<=';
      console.log(`  ${met ? 'met   ' : 'MISSED'} ${name}: ${value.toFixed(3)} (${sign} ${target})`);
    }
  }

  ratio(name: string, value: number): void {
    this.#ratios.push({ name, value });
    if (!this.#json) console.log(`  ratio  ${name}: ${value.toFixed(3)}`);
  }

  end(): void {
    if (this.#json)
      console.log(JSON.stringify({ bench: this.#bench, targets: this.#targets, ratios: this.#ratios }));
  }
}

const args = process.argv.slice(2);
const json = args.includes('--json');
const names = args.filter((argument) => !argument.startsWith('--'));
const unknown = names.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
if (!json)
  console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  const bench = await benches[name]?.();
  if (bench === undefined) continue;
  if (!json) console.log(`\n${name}`);
  const report = new PrintedReport(name, json);
  await bench.run(report);
  report.end();
}
