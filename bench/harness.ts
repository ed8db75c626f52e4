/** One benchmark, `bench/<name>.ts`, registered in `bench/main.ts`. */
export interface Bench {
  readonly name: string;
  run(report: Report): Promise<void>;
}

/** Where a benchmark puts what it measured. */
export interface Report {
  /** One measured case. */
  result(name: string, measured: Measured): void;
  /** A ratio of two measurements of this run, against the bar that it should reach (`atLeast`) or stay below. */
  target(name: string, value: number, bar: Bar): void;
  /** A ratio of two measurements of this run; no limit is set for it. */
  ratio(name: string, value: number): void;
}

/** What a ratio should reach, or stay below. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

export interface Measured {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Percentile (0 to 1) of unsorted durations. */
export function percentile(durations: readonly number[], fraction: number): number {
  const sorted = [...durations].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

/** Summarises durations of single operations that ran for `totalMs` altogether. */
export function summarize(durationsMs: readonly number[], totalMs: number): Measured {
  return {
    opsPerSecond: (durationsMs.length / totalMs) * 1000,
    p50Ms: percentile(durationsMs, 0.5),
    p99Ms: percentile(durationsMs, 0.99),
  };
}

/** Runs an operation one after another for about `milliseconds`, after a warm-up of a fifth of that. */
export async function measure(
  operation: (turn: number) => unknown,
  milliseconds = 1500,
  warmUpMs = milliseconds / 5,
): Promise<Measured> {
  let turn = 0;
  const warmUntil = performance.now() + warmUpMs;
  while (performance.now() < warmUntil) await operation(turn++);
  const durations: number[] = [];
  const start = performance.now();
  let now = start;
  while (now - start < milliseconds) {
    const before = now;
    await operation(turn++);
    now = performance.now();
    durations.push(now - before);
  }
  return summarize(durations, now - start);
}
