import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import type { Measured } from './harness.ts';

/** A ratio that was compared with its bar. */
export interface Target {
  readonly name: string;
  readonly value: number;
  /** `≥` or `≤`, and the number. */
  readonly bar: string;
  readonly met: boolean;
}

/** What one benchmark measured, and where. */
export interface SavedResults {
  readonly bench: string;
  /** Of the first measurement, in UTC: YYYY-MM-DD. */
  readonly date: string;
  readonly node: string;
  readonly machine: string;
  /** Of OpenSSL, and of the packages and programs that the benchmark compares with or uses, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Mean number of runnable processes in the minute before the first measurement: above 1 others were at work, too. */
  readonly loadBefore: number;
  readonly cases: readonly ({ readonly name: string } & Measured)[];
  readonly targets: readonly Target[];
  readonly ratios: readonly { readonly name: string; readonly value: number }[];
}

const folder = new URL('./results/', import.meta.url);

/** Programs that a benchmark starts; each prints `NAME Version: VERSION`. */
const programs: Readonly<Record<string, readonly string[]>> = { decryptions: ['etcd'] };

/** Packages that the files of a benchmark import: `bench/<name>.ts` and `bench/<name>-*.ts`. */
export function packagesOf(bench: string): readonly string[] {
  const sources = new URL('./', import.meta.url);
  const files = readdirSync(sources).filter(
    (file) => file === `${bench}.ts` || (file.startsWith(`${bench}-`) && file.endsWith('.ts')),
  );
  const imported = files.flatMap((file) =>
    [...readFileSync(new URL(file, sources), 'utf8').matchAll(/ from '(@[^/']+\/[^/']+|[^./@'][^/']*)/g)].map(
      ([, name = '']) => name,
    ),
  );
  return [...new Set(imported)].filter((name) => !name.startsWith('node:')).sort();
}

function versionsOf(bench: string): Readonly<Record<string, string>> {
  const modules = new URL('../node_modules/', import.meta.url);
  const versions: Record<string, string> = { OpenSSL: process.versions.openssl };
  for (const name of packagesOf(bench)) {
    // A manifest of npm has a version.
    const manifest = JSON.parse(readFileSync(new URL(`${name}/package.json`, modules), 'utf8')) as {
      readonly version: string;
    };
    versions[name] = manifest.version;
  }
  for (const name of programs[bench] ?? []) {
    const { stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    const version = /Version: (\S+)/.exec(stdout ?? '')?.[1];
    if (version !== undefined) versions[name] = version;
  }
  return versions;
}

/** Where, when and with what this process measures. */
export function whereAndWhen(
  bench: string,
): Pick<SavedResults, 'date' | 'node' | 'machine' | 'versions' | 'loadBefore'> {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    versions: versionsOf(bench),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    loadBefore: Number(loadavg()[0]?.toFixed(1)),
  };
}

/** Replaces the committed results of a benchmark. */
export function saveResults(results: SavedResults): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${results.bench}.json`, folder), `${JSON.stringify(results, null, 2)}\n`);
}

/** The committed results of all benchmarks that have some, by name. */
export function savedResults(): readonly SavedResults[] {
  return (
    readdirSync(folder)
      .sort()
      // Written by `saveResults` and by nothing else.
      .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as SavedResults)
  );
}
