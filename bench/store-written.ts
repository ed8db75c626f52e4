import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '../src/crypto/random.ts';
import type { FileHandle, FileSystem } from '../src/disk/file-system.ts';
import { nodeFileSystem } from '../src/disk/node-file-system.ts';
import type { Namespace } from '../src/store/api/store-api.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import type { Report } from './harness.ts';
import { nameOf } from './store-cases.ts';
import { benchKey } from './store-scale.ts';

/** Names that are overwritten again and again, in no order. */
const NAMES = 20_000;
/** Each name is written so often, on average, in the load with compaction. */
const OVERWRITES = 10;
/** So small that the load fills dozens of segments, as a long-lived store has. */
const SEGMENT_BYTES = 4 * 1024 * 1024;
const AT_ONCE = 64;

/** The operating system's files, with every byte counted that the store asks to have written. */
class CountingFileSystem implements FileSystem {
  written = 0;
  readonly rename = nodeFileSystem.rename;
  readonly unlink = nodeFileSystem.unlink;
  readonly mkdir = nodeFileSystem.mkdir;
  readonly rmdir = nodeFileSystem.rmdir;
  readonly list = nodeFileSystem.list;
  readonly stat = nodeFileSystem.stat;
  readonly syncDirectory = nodeFileSystem.syncDirectory;

  async open(path: string, mode: 'read' | 'read-write' | 'create'): Promise<FileHandle> {
    const handle = await nodeFileSystem.open(path, mode);
    const count = (parts: readonly Uint8Array[]): void => {
      for (const part of parts) this.written += part.length;
    };
    return {
      readSync: (into, position) => handle.readSync(into, position),
      sync: () => handle.sync(),
      truncate: (length) => handle.truncate(length),
      size: () => handle.size(),
      close: () => handle.close(),
      async write(parts, position) {
        count(parts);
        await handle.write(parts, position);
      },
      async writeDurable(parts, position) {
        count(parts);
        await (handle.writeDurable?.(parts, position) ?? handle.write(parts, position).then(handle.sync));
      },
    };
  }
}

/** Puts in groups of `atOnce`, each group awaited. @returns bytes of names and values put. */
async function putAll(
  records: Namespace,
  indexes: readonly number[],
  valueBytes: number,
  atOnce: number,
): Promise<number> {
  const value = systemRandom(valueBytes);
  for (let from = 0; from < indexes.length; from += atOnce)
    await Promise.all(indexes.slice(from, from + atOnce).map((index) => records.put(nameOf(index), value)));
  return indexes.length * (nameOf(0).length + valueBytes);
}

async function measured(
  root: string,
  work: (records: Namespace) => Promise<number>,
): Promise<{ readonly perByte: number; readonly onDisk: number }> {
  const fileSystem = new CountingFileSystem();
  const path = join(root, 'written');
  const store = await SealedStore.create({
    fileSystem,
    path,
    storeKey: benchKey(),
    segmentBytes: SEGMENT_BYTES,
  });
  const stored = await work(await store.namespace('bench'));
  await store.settled();
  const { diskBytes, liveBytes } = store.stat();
  await store.close();
  rmSync(path, { recursive: true });
  return { perByte: fileSystem.written / stored, onDisk: diskBytes / liveBytes };
}

const inOrder = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** Bytes written (headers, room, manifests and compaction included) per byte of name and value that was put. */
export async function bytesWritten(root: string, report: Report, valueBytes: number): Promise<void> {
  const single = await measured(root, (records) => putAll(records, inOrder(2000), valueBytes, 1));
  const grouped = await measured(root, (records) => putAll(records, inOrder(NAMES), valueBytes, AT_ONCE));
  const mixed = await measured(root, (records) => {
    const random = new Uint32Array(systemRandom(4 * NAMES * (OVERWRITES - 1)).buffer);
    const again = Array.from(random, (number) => number % NAMES);
    return putAll(records, [...inOrder(NAMES), ...again], valueBytes, AT_ONCE);
  });
  report.ratio(`bytes written per byte put, one after the other, ${valueBytes} B`, single.perByte);
  report.ratio(`bytes written per byte put, ${AT_ONCE} at once, ${valueBytes} B`, grouped.perByte);
  report.ratio(`bytes written per byte put, overwriting, ${valueBytes} B`, mixed.perByte);
  report.ratio(`bytes on the disk per live byte, overwriting, ${valueBytes} B`, mixed.onDisk);
}
