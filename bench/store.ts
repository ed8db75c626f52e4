import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeFileSystem } from '../src/disk/node-file-system.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import type { Bench, Report } from './harness.ts';
import { concurrentPuts, fill, gets, nameOf, sequentialPuts, WRITERS } from './store-cases.ts';
import { openFloorMs } from './store-floor.ts';
import { type Engine, openLevel, openLmdb } from './store-rivals.ts';
import { benchKey, type ScaleResult } from './store-scale.ts';

const MILLISECONDS = Number(process.env['LATCHKEY_BENCH_MS'] ?? 2000);
/** A million is the number of the promise, and takes about a minute. */
const RECORDS = Number(process.env['LATCHKEY_BENCH_RECORDS'] ?? 200_000);
const ROUNDS = 3;

async function openSealed(folder: string): Promise<Engine> {
  const store = await SealedStore.create({ path: folder, storeKey: benchKey() });
  const namespace = await store.namespace('bench');
  return {
    name: 'latchkey',
    put: (name, value) => namespace.put(name, value),
    get: (name) => namespace.get(name),
    close: () => store.close(),
  };
}

const openers = [openSealed, openLmdb, openLevel] as const;

/** Best of a few rounds in turns, so that a slow second of the machine hits nobody alone. */
async function compareEngines(root: string, report: Report, valueBytes: number): Promise<void> {
  const puts = new Map<string, number>();
  const reads = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const opener of openers) {
      const folder = join(root, `engine-${valueBytes}-${round}-${opener.name}`);
      const engine = await opener(folder);
      await fill(engine, valueBytes);
      const put = await concurrentPuts(engine, valueBytes, MILLISECONDS / 2);
      const get = await gets(engine, MILLISECONDS / 2);
      await engine.close();
      rmSync(folder, { recursive: true });
      report.result(`${engine.name}: ${WRITERS} writers, ${valueBytes} B`, put);
      report.result(`${engine.name}: gets, ${valueBytes} B`, get);
      puts.set(engine.name, Math.max(puts.get(engine.name) ?? 0, put.opsPerSecond));
      reads.set(engine.name, Math.max(reads.get(engine.name) ?? 0, get.opsPerSecond));
    }
  }
  const ours = puts.get('latchkey') ?? 0;
  const best = Math.max(puts.get('lmdb') ?? 0, puts.get('classic-level') ?? 0);
  report.target(`concurrent puts of ${valueBytes} B, to the better rival`, ours / best, { atLeast: 1 });
  const getRatio = (reads.get('latchkey') ?? 0) / (reads.get('lmdb') ?? 1);
  report.target(`gets of ${valueBytes} B, to LMDB`, getRatio, { atLeast: 0.5 });
}

async function sequential(root: string, report: Report, valueBytes: number): Promise<void> {
  const folder = join(root, `sequential-${valueBytes}`);
  const engine = await openSealed(folder);
  const { put, bare } = await sequentialPuts(engine, nodeFileSystem, root, valueBytes, 40);
  await engine.close();
  rmSync(join(root, 'bare'));
  report.result(`one put after the other, ${valueBytes} B`, put);
  report.result(`bare write and fdatasync, ${valueBytes} B`, bare);
  report.target(`sequential put of ${valueBytes} B, in fdatasyncs`, put.p50Ms / bare.p50Ms, { atMost: 1.2 });
}

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

async function scale(root: string, report: Report, valueBytes: number): Promise<void> {
  const folder = join(root, `scale-${valueBytes}`);
  await scalePhase(folder, valueBytes, 'fill');
  const stored = RECORDS * (nameOf(0).length + valueBytes);
  const onDisk = await bytesIn(folder);
  report.target(`bytes on the disk per byte stored, ${valueBytes} B`, onDisk / stored, { atMost: 3 });
  const floors: number[] = [];
  const opens: number[] = [];
  let opened: ScaleResult | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    floors.push(await openFloorMs(join(root, 'floor'), RECORDS, valueBytes));
    opened = await scalePhase(folder, valueBytes, 'open');
    opens.push(opened?.milliseconds ?? Number.NaN);
  }
  rmSync(join(root, 'floor'));
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
  rate('iterate', opened?.iterateMs ?? Number.NaN);
  rate('compact', compacted?.milliseconds ?? Number.NaN);
  report.target(`open, to its floor, ${valueBytes} B`, Math.min(...floors) / Math.min(...opens), {
    atLeast: 0.7,
  });
  const perKey = (opened?.heapBytes ?? Number.NaN) / RECORDS - nameOf(0).length;
  report.target(`memory per key beside its name, bytes (${valueBytes} B)`, perKey, { atMost: 200 });
  const peak = Math.max(opened?.peakBytes ?? Number.NaN, compacted?.peakBytes ?? Number.NaN);
  report.target(`peak memory, GiB (${RECORDS} records of ${valueBytes} B)`, peak / 2 ** 30, { atMost: 2 });
}

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder);
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** The numbers of the sealed store, each against its bar, rivals in the same run. */
export const storeBench: Bench = {
  name: 'store',
  async run(report) {
    const root = mkdtempSync(join(process.env['LATCHKEY_BENCH_FOLDER'] ?? tmpdir(), 'latchkey-bench-'));
    try {
      for (const valueBytes of [100, 1024]) {
        await compareEngines(root, report, valueBytes);
        await sequential(root, report, valueBytes);
        await scale(root, report, valueBytes);
      }
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};
