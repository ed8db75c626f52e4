import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { MAX_METADATA_BYTES } from '../runtime-layout.ts';
import type { WatchdogLimits } from './limits.ts';

/**
 * A second thread that watches the decoding thread, because decoding may never return. It reads the metadata from
 * descriptor 0 (u32 little-endian length, bytes) and passes it to the decoding thread. From then on it ends the whole
 * process when decoding takes too much memory or time. It also ends the process when the pipe closes, because then
 * the parent is gone or no longer needs the answer.
 */
const FRAME_HEAD_BYTES = 4;
const LOOK_MS = 20;
/** What takes longer leaves the processor to the node. */
const POLITE_AFTER_CPU_MS = 3_000;
const POLITE_PRIORITY = 10;

// Passed by main.ts, the only file that starts this one.
const { deadlineMs, maxCpuMs, maxRssBytes } = workerData as WatchdogLimits;

const end = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

function bePolite(): void {
  try {
    // The process id is also the id of the thread that decodes, and priorities belong to threads.
    setPriority(process.pid, POLITE_PRIORITY);
  } catch {
    // It has a lower one already.
  }
}

function watch(): void {
  setTimeout(end, deadlineMs);
  let isPolite = false;
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    const cpuMs = (user + system) / 1000;
    if (process.memoryUsage.rss() > maxRssBytes || cpuMs > maxCpuMs) end();
    if (isPolite || cpuMs < POLITE_AFTER_CPU_MS) return;
    isPolite = true;
    bePolite();
  }, LOOK_MS);
}

const head = new Uint8Array(FRAME_HEAD_BYTES);
let metadata: Uint8Array | undefined;
let have = 0;

/** Takes what is still missing of the frame. @returns whether the frame is whole. */
function take(chunk: Uint8Array): boolean {
  const target = metadata ?? head;
  const part = chunk.subarray(0, target.length - have);
  target.set(part, have);
  have += part.length;
  if (have < target.length) return false;
  const rest = chunk.subarray(part.length);
  if (metadata !== undefined) {
    // The parent sends one frame only; more bytes are a fault.
    if (rest.length > 0) end();
    return true;
  }
  const length = new DataView(head.buffer).getUint32(0, true);
  if (length > MAX_METADATA_BYTES) end();
  metadata = new Uint8Array(length);
  have = 0;
  return take(rest);
}

const pipe = new Socket({ fd: 0, readable: true, writable: false });
for (const event of ['error', 'close']) pipe.on(event, end);
let isWhole = false;
pipe.on('data', (chunk) => {
  if (isWhole) end();
  isWhole = take(chunk);
  if (!isWhole) return;
  watch();
  parentPort?.postMessage(metadata);
});
