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
  /** Mean number of runnable processes in the minute before the first measurement: above 1 others were at work, too. */
  readonly loadBefore: number;
  readonly cases: readonly ({ readonly name: string } & Measured)[];
  readonly targets: readonly Target[];
  readonly ratios: readonly { readonly name: string; readonly value: number }[];
}

const folder = new URL('./results/', import.meta.url);

/** Where and when this process measures. */
export function whereAndWhen(): Pick<SavedResults, 'date' | 'node' | 'machine' | 'loadBefore'> {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
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
