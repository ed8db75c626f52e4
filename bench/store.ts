import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem } from '../src/disk/node-file-system.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import type { Bench, Report } from './harness.ts';
import { concurrentPuts, fill, gets, sequentialPuts, WRITERS } from './store-cases.ts';
import { scale } from './store-large.ts';
import { type Engine, openLevel, openLmdb } from './store-rivals.ts';
import { benchKey } from './store-scale.ts';
import { bytesWritten } from './store-written.ts';

const MILLISECONDS = Number(process.env['LATCHKEY_BENCH_MS'] ?? 2000);
const ROUNDS = 3;
/** Of ten puts and ten bare writes. */
const SEQUENTIAL_TURNS = 60;

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

/** Best of a few rounds in turns, so that a slow second of the machine affects all measurements. */
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
  for (const opener of openers) {
    const folder = join(root, `sequential-${valueBytes}-${opener.name}`);
    const engine = await opener(folder);
    // The floor is compiled code; so should be what is measured against it.
    await fill(engine, valueBytes);
    const { put, bare } = await sequentialPuts(engine, nodeFileSystem, root, valueBytes, SEQUENTIAL_TURNS);
    await engine.close();
    rmSync(join(root, 'bare'));
    report.result(`${engine.name}: one put after the other, ${valueBytes} B`, put);
    report.result(`bare write and fdatasync, ${valueBytes} B`, bare);
    const name = `sequential put of ${valueBytes} B, in fdatasyncs`;
    if (engine.name === 'latchkey') report.target(name, put.p50Ms / bare.p50Ms, { atMost: 1.2 });
    else report.ratio(`${engine.name}: ${name}`, put.p50Ms / bare.p50Ms);
  }
}

/** What can be measured; `LATCHKEY_BENCH_PARTS=scale,written` chooses. */
const parts = { engines: compareEngines, sequential, scale, written: bytesWritten } as const;

function chosenParts(): readonly (typeof parts)[keyof typeof parts][] {
  const names = process.env['LATCHKEY_BENCH_PARTS']?.split(',');
  const unknown = names?.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined)
    throw new RangeError(`LATCHKEY_BENCH_PARTS: ${unknown} is none of ${Object.keys(parts).join(', ')}`);
  return Object.entries(parts)
    .filter(([name]) => names?.includes(name) ?? true)
    .map(([, part]) => part);
}

/** The numbers of the sealed store, each against its bar, rivals in the same run. */
export const storeBench: Bench = {
  name: 'store',
  async run(report) {
    const chosen = chosenParts();
    const root = mkdtempSync(join(process.env['LATCHKEY_BENCH_FOLDER'] ?? tmpdir(), 'latchkey-bench-'));
    try {
      for (const valueBytes of [100, 1024]) for (const part of chosen) await part(root, report, valueBytes);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};
