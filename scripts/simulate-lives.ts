import { type ChildProcess, fork } from 'node:child_process';
import { on } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type LifeOptions, type RunReport, runSchedule } from '../test/support/simulated-network-schedule.ts';

const worker = fileURLToPath(new URL('./simulate-worker.ts', import.meta.url));

/** A life makes much that lives for milliseconds: room for it saves a third of the collections. Mebibytes. */
const YOUNG_SPACE = ['--max-semi-space-size=64'];

/** The lives of these seeds, one after another, here. */
export async function* livesInThisProcess(
  seeds: readonly number[],
  options: LifeOptions,
): AsyncGenerator<RunReport> {
  for (const seed of seeds) yield await runSchedule(seed, options);
}

/**
 * Runs the lives of these seeds in the given number of processes; yields them in the order in which they end. A process
 * that dies in the middle of a life is itself a finding: its seed counts as failed, and a new process takes the next
 * seeds.
 */
export async function* livesInProcesses(
  seeds: readonly number[],
  workers: number,
  options: LifeOptions,
): AsyncGenerator<RunReport> {
  const waiting = [...seeds];
  const children = new Set<ChildProcess>();
  const reports = new EventTarget();
  const tell = (report: RunReport) => reports.dispatchEvent(new CustomEvent('life', { detail: report }));
  const start = (): void => {
    const seed = waiting.shift();
    if (seed === undefined) return;
    const child = fork(worker, { execArgv: [...process.execArgv, ...YOUNG_SPACE] });
    children.add(child);
    let current: number | undefined = seed;
    child.on('message', (report) => {
      current = waiting.shift();
      if (current === undefined) child.disconnect();
      else child.send({ seed: current, options });
      // The worker sends nothing but reports.
      tell(report as RunReport);
    });
    child.on('exit', (code, signal) => {
      children.delete(child);
      if (current === undefined) return;
      const violations = [`the process of this life ended: ${signal ?? `exit code ${code}`}`];
      tell({ seed: current, violations, history: [], cpuMs: 0, counts: {} });
      start();
    });
    child.send({ seed, options });
  };
  const arriving = on(reports, 'life');
  try {
    for (let started = 0; started < workers; started++) start();
    for (let left = seeds.length; left > 0; left--) {
      const { value } = await arriving.next();
      // `on` gives the arguments of each event; ours is a CustomEvent with the report.
      yield (value as [CustomEvent<RunReport>])[0].detail;
    }
  } finally {
    // The reader may end before the last life: then a process that ends is followed by no other.
    waiting.length = 0;
    for (const child of children) if (child.connected) child.disconnect();
  }
}
