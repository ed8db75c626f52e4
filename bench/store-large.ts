import { execFile } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Report } from './harness.ts';
import { nameOf } from './store-cases.ts';
import { OpenFloor } from './store-floor.ts';
import type { ScaleResult } from './store-scale.ts';

/** A million is the number of the promise, and takes minutes. */
const RECORDS = Number(process.env['LATCHKEY_BENCH_RECORDS'] ?? 200_000);
const ROUNDS = 3;
/** Processor time of opening before there were checkpoints, in µs for each record of so many bytes. */
const FORMER_US = 16;
const FORMER_BYTES = 100;

async function scalePhase(
  folder: string,
  valueBytes: number,
  phase: string,
): Promise<ScaleResult | undefined> {
  const script = fileURLToPath(new URL('store-scale.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', script, folder, String(RECORDS), String(valueBytes), phase];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 20 });
  // Printed by the script next to this one.
  return stdout === '' ? undefined : (JSON.parse(stdout) as ScaleResult);
}

/** Opening, iterating and compacting a large store, each phase in a process of its own. */
export async function scale(root: string, report: Report, valueBytes: number): Promise<void> {
  const folder = join(root, `scale-${valueBytes}`);
  await scalePhase(folder, valueBytes, 'fill');
  const stored = RECORDS * (nameOf(0).length + valueBytes);
  const onDisk = await bytesIn(folder);
  report.target(`bytes on the disk per byte stored, ${valueBytes} B`, onDisk / stored, { atMost: 3 });
  const floor = await OpenFloor.write(join(root, 'floor'), RECORDS, valueBytes);
  const floors: number[] = [];
  const opens: number[] = [];
  const processor = { checkpoint: [] as number[], replay: [] as number[] };
  let opened: ScaleResult | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    floors.push(await floor.openMs());
    opened = await scalePhase(folder, valueBytes, 'open');
    opens.push(opened?.milliseconds ?? Number.NaN);
    processor.checkpoint.push(opened?.openProcessorMs ?? Number.NaN);
    await removeCheckpoint(folder);
    const replayed = await scalePhase(folder, valueBytes, 'open');
    processor.replay.push(replayed?.openProcessorMs ?? Number.NaN);
  }
  rmSync(join(root, 'floor'));
  const iterated = await scalePhase(folder, valueBytes, 'iterate');
  const compacted = await scalePhase(folder, valueBytes, 'compact');
  rmSync(folder, { recursive: true });
  const rate = (name: string, milliseconds: number): void =>
    report.result(`${name}, ${RECORDS} records of ${valueBytes} B`, {
      opsPerSecond: (RECORDS / milliseconds) * 1000,
      p50Ms: milliseconds,
      p99Ms: milliseconds,
    });
  rate('open', Math.min(...opens));
  rate('floor of opening', Math.min(...floors));
  rate('iterate', iterated?.milliseconds ?? Number.NaN);
  rate('compact', compacted?.milliseconds ?? Number.NaN);
  const perRecord = (each: readonly number[]): number => (Math.min(...each) * 1000) / RECORDS;
  const what = `processor time of opening, µs a record of ${valueBytes} B`;
  if (valueBytes > FORMER_BYTES) {
    report.ratio(`${what}, with a checkpoint`, perRecord(processor.checkpoint));
    report.ratio(`${what}, without`, perRecord(processor.replay));
  } else {
    report.target(`${what}, with a checkpoint`, perRecord(processor.checkpoint), { atMost: FORMER_US / 10 });
    report.target(`${what}, without`, perRecord(processor.replay), { atMost: FORMER_US / 3 });
  }
  report.target(`open, to its floor, ${valueBytes} B`, Math.min(...floors) / Math.min(...opens), {
    atLeast: 0.7,
  });
  const perKey = (opened?.heapBytes ?? Number.NaN) / RECORDS - nameOf(0).length;
  report.target(`memory per key beside its name, bytes (${valueBytes} B)`, perKey, { atMost: 200 });
  const peak = Math.max(iterated?.peakBytes ?? Number.NaN, compacted?.peakBytes ?? Number.NaN);
  report.target(`peak memory, GiB (${RECORDS} records of ${valueBytes} B)`, peak / 2 ** 30, { atMost: 2 });
}

/** The next opening finds none, and replays everything. */
async function removeCheckpoint(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (name.startsWith('checkpoint-')) rmSync(join(folder, name));
}

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder);
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
