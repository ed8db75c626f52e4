import { once } from 'node:events';
import { writeFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { type DecoderAnswer, MAX_TEXT_CHARACTERS } from '../runtime-layout.ts';
import type { WatchdogLimits } from './limits.ts';
import { importLibrary } from './load-metadata.ts';
import { layoutOfMetadata, ShapeError } from './metadata-layout.ts';

/**
 * The decoder process: the only place where @polkadot/api runs, because metadata that an endpoint forged can make it
 * take all memory and all time. Descriptor 0 brings the metadata and stays open as long as the parent wants an answer;
 * descriptor 3 takes the answer, one DecoderAnswer as JSON. Then it ends.
 *
 * Arguments: deadline in milliseconds, most resident memory in bytes, most processor time in milliseconds.
 */
const ANSWER_FD = 3;
const MAX_REASON_CHARACTERS = 200;

/** When memory runs out, the kernel ends this process and not the node. */
function offerToKernel(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Without /proc the watchdog and the heap's own bound remain.
  }
}

/** Starts the watchdog. @returns the metadata, once it came. */
async function watchedMetadata(): Promise<Uint8Array> {
  const limits = process.argv.slice(2).map(Number);
  const [deadlineMs = 0, maxRssBytes = 0, maxCpuMs = 0] = limits;
  if (limits.length !== 3 || !limits.every((limit) => limit > 0))
    throw new RangeError('three limits expected');
  const workerData: WatchdogLimits = { deadlineMs, maxRssBytes, maxCpuMs };
  const watchdog = new Worker(new URL('./watchdog.js', import.meta.url), { workerData });
  const [metadata]: unknown[] = await once(watchdog, 'message');
  if (!(metadata instanceof Uint8Array)) throw new TypeError('bytes expected');
  return metadata;
}

/** The library's messages repeat the metadata and each other; the beginning says what there is to know. */
const textOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_CHARACTERS);

async function answer(): Promise<DecoderAnswer> {
  // The metadata may come before the library is there, or much later.
  const [load, metadata] = await Promise.all([importLibrary(), watchedMetadata()]);
  try {
    return { kind: 'layout', layout: layoutOfMetadata(await load(metadata)) };
  } catch (error) {
    if (!(error instanceof ShapeError)) return { kind: 'unusable', why: textOf(error) };
    const { item, expected, observed } = error;
    const cut = (text: string): string => text.slice(0, MAX_TEXT_CHARACTERS);
    return { kind: 'shape', item, expected: cut(expected), observed: cut(observed) };
  }
}

offerToKernel();
writeSync(ANSWER_FD, JSON.stringify(await answer()));
process.exit(0);
