import { join } from 'node:path';
import { systemRandom } from '../src/crypto/random.ts';
import type { FileSystem } from '../src/disk/file-system.ts';
import { type Measured, measure, summarize } from './harness.ts';
import type { Engine } from './store-rivals.ts';

/** Callers that put at the same time, each waiting for its own acknowledgement. */
export const WRITERS = 64;
/** Records that are there when gets are measured. */
const PRESENT = 20_000;

/** Names as the services use them: a prefix and a number. */
export const nameOf = (index: number): string => `record/${String(index).padStart(12, '0')}`;

/** Many writers put new records; each writer waits for the acknowledgement of its last record. */
export async function concurrentPuts(
  engine: Engine,
  valueBytes: number,
  milliseconds: number,
): Promise<Measured> {
  const value = systemRandom(valueBytes);
  let next = 1_000_000;
  const durations: number[] = [];
  const run = async (untilMs: number, note: (duration: number) => void): Promise<void> => {
    while (performance.now() < untilMs) {
      const before = performance.now();
      await engine.put(nameOf(next++), value);
      note(performance.now() - before);
    }
  };
  const all = (untilMs: number, note: (duration: number) => void): Promise<unknown> =>
    Promise.all(Array.from({ length: WRITERS }, () => run(untilMs, note)));
  await all(performance.now() + milliseconds / 4, () => undefined);
  const start = performance.now();
  await all(start + milliseconds, (duration) => durations.push(duration));
  return summarize(durations, performance.now() - start);
}

/** Fills the engine with the records that {@link gets} reads. */
export async function fill(engine: Engine, valueBytes: number): Promise<void> {
  const value = systemRandom(valueBytes);
  for (let from = 0; from < PRESENT; from += 2000) {
    const names = Array.from({ length: 2000 }, (_, index) => nameOf(from + index));
    await (engine.putAll?.(names, value) ?? Promise.all(names.map((name) => engine.put(name, value))));
  }
}

/** Reads and decrypts records in no order, one after the other. */
export function gets(engine: Engine, milliseconds: number): Promise<Measured> {
  let at = 7;
  return measure(() => {
    // A stride that is prime to the count visits all, far apart.
    at = (at + 7919) % PRESENT;
    return engine.get(nameOf(at));
  }, milliseconds);
}

/**
 * Acknowledged puts one after the other against a bare write and fdatasync of as many bytes, in turns of a few so
 * that both meet the same disk.
 */
export async function sequentialPuts(
  engine: Engine,
  fileSystem: FileSystem,
  folder: string,
  valueBytes: number,
  turns: number,
): Promise<{ readonly put: Measured; readonly bare: Measured }> {
  const value = systemRandom(valueBytes);
  const file = await fileSystem.open(join(folder, 'bare'), 'create');
  const bytes = systemRandom(valueBytes + 200);
  let position = 0;
  const bareOnce = async (): Promise<void> => {
    await file.write([bytes], position);
    position += bytes.length;
    await file.sync();
  };
  const timed = { put: [] as number[], bare: [] as number[] };
  const note = async (into: number[], work: () => Promise<unknown>): Promise<void> => {
    const before = performance.now();
    await work();
    into.push(performance.now() - before);
  };
  for (let turn = 0; turn < turns; turn++) {
    for (let count = 0; count < 10; count++) await note(timed.bare, bareOnce);
    for (let count = 0; count < 10; count++)
      await note(timed.put, () => engine.put(`sequential/${turn}/${count}`, value));
  }
  await file.close();
  const total = (durations: readonly number[]): number => durations.reduce((sum, each) => sum + each, 0);
  return { put: summarize(timed.put, total(timed.put)), bare: summarize(timed.bare, total(timed.bare)) };
}
