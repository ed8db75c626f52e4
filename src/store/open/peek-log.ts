import { join } from 'node:path';
import type { FileSystem } from '../../disk/file-system.ts';
import { FRAME_HEADER_BYTES, readFrameHeader } from '../log/frame.ts';
import { SEGMENT_HEADER_BYTES, segmentFileName } from '../log/segment.ts';

/** How far a log seems to go, by what can be read without the store key. Nothing of it is authenticated. */
export interface PeekedLog {
  /** Ordinal of the last record in the newest segment; absent when that one holds none. */
  readonly sequence?: number;
  /** When the file of the newest segment was changed last, in milliseconds. */
  readonly changedAtMs?: number;
}

/**
 * Reads the headers of the newest segment, for a report about a locked store.
 * @param path folder of the store.
 */
export async function peekLog(fileSystem: FileSystem, path: string): Promise<PeekedLog> {
  const prefix = segmentFileName(0).replace(/\d+$/, '');
  const newest = (await fileSystem.list(path))
    .filter((name) => name.startsWith(prefix))
    .sort()
    .at(-1);
  if (newest === undefined) return {};
  const file = join(path, newest);
  const { changedAtMs } = (await fileSystem.stat(file)) ?? {};
  const handle = await fileSystem.open(file, 'read');
  try {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    let sequence: number | undefined;
    for (let at = SEGMENT_HEADER_BYTES; handle.readSync(header, at) === header.length; ) {
      const frame = readFrameHeader(header, 0);
      if (frame === undefined) break;
      const last = frame.firstOrdinal + frame.records - 1;
      if (Number.isSafeInteger(last) && last >= 0) sequence = last;
      at += frame.length;
    }
    return {
      ...(sequence === undefined ? {} : { sequence }),
      ...(changedAtMs === undefined ? {} : { changedAtMs }),
    };
  } finally {
    await handle.close();
  }
}
