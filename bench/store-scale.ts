// Run as a process of its own by bench/store.ts, so that its memory is only the store's:
//   node --expose-gc --import tsx bench/store-scale.ts FOLDER RECORDS VALUE_BYTES fill|open|iterate|compact
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { nameOf } from './store-cases.ts';

/** What one pass over a large store measured. */
export interface ScaleResult {
  /** Of the phase: opening, iterating or compacting. */
  readonly milliseconds: number;
  /** Processor time of all threads of the process, while it opened the store. */
  readonly openProcessorMs?: number;
  /** Growth of the heap and of what hangs on it, after garbage collection. */
  readonly heapBytes: number;
  /** Largest resident size of the process. */
  readonly peakBytes: number;
}

/** Not secret: the records are random. */
export const benchKey = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(7));

const CONCURRENT = 4096;

function heapNow(): number {
  // Only there with --expose-gc. Memory of read buffers is counted as free only at the second collection.
  for (let turn = 0; turn < 2; turn++) (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function fill(folder: string, records: number, valueBytes: number): Promise<void> {
  const store = await SealedStore.create({ path: folder, storeKey: benchKey() });
  const namespace = await store.namespace('bench');
  const value = new Uint8Array(valueBytes).fill(0x61);
  for (let from = 0; from < records; from += CONCURRENT) {
    const count = Math.min(CONCURRENT, records - from);
    await Promise.all(
      Array.from({ length: count }, (_, index) => namespace.put(nameOf(from + index), value)),
    );
  }
  await store.close();
}

async function reopen(folder: string, records: number, phase: string): Promise<ScaleResult> {
  const heapBefore = heapNow();
  const start = performance.now();
  const processorBefore = process.cpuUsage();
  const store = await SealedStore.open({ path: folder, storeKey: benchKey() });
  const { user, system } = process.cpuUsage(processorBefore);
  const openProcessorMs = (user + system) / 1000;
  const openMs = performance.now() - start;
  const heapBytes = heapNow() - heapBefore;
  const from = performance.now();
  if (phase === 'iterate') await iterate(store, records);
  if (phase === 'compact') await store.compact();
  const workMs = performance.now() - from;
  await store.close();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { milliseconds: phase === 'open' ? openMs : workMs, openProcessorMs, heapBytes, peakBytes };
}

/** @throws Error unless all records are there. */
async function iterate(store: SealedStore, records: number): Promise<void> {
  const namespace = await store.namespace('bench');
  let seen = 0;
  for await (const [, value] of namespace.entries()) seen += value.length > 0 ? 1 : 0;
  if (seen !== records) throw new Error(`${seen} of ${records} records`);
}

const [folder, records, valueBytes, phase] = process.argv.slice(2);
if (folder !== undefined && phase !== undefined) {
  const count = Number(records);
  if (phase === 'fill') await fill(folder, count, Number(valueBytes));
  else console.log(JSON.stringify(await reopen(folder, count, phase)));
}
