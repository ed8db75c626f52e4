import { join } from 'node:path';
import type { FileHandle, FileSystem } from '../../disk/file-system.ts';
import { FRAME_HEADER_BYTES, readFrameHeader } from '../log/frame.ts';
import { peekSegmentHeader, SEGMENT_HEADER_BYTES, segmentFileName } from '../log/segment.ts';

/** How far a log seems to go, by what can be read without the store key. Nothing of it is authenticated. */
export interface PeekedLog {
  /** Ordinal of the last record. */
  readonly sequence?: number;
  /** When the file of the newest segment of the log was changed last, in milliseconds. */
  readonly changedAtMs?: number;
}

/**
 * Reads the headers of the newest segment of the log, for a report about a locked store. Compacted segments are passed
 * over: they have higher numbers, and the ordinals of old records.
 * @param path folder of the store.
 */
export async function peekLog(fileSystem: FileSystem, path: string): Promise<PeekedLog> {
  const prefix = segmentFileName(0).replace(/\d+$/, '');
  const newestFirst = (await fileSystem.list(path))
    .filter((name) => name.startsWith(prefix))
    .sort()
    .reverse();
  for (const name of newestFirst) {
    const file = join(path, name);
    const sequence = await lastOrdinalOf(fileSystem, file);
    if (sequence === undefined) continue;
    const { changedAtMs } = (await fileSystem.stat(file)) ?? {};
    return { sequence, ...(changedAtMs === undefined ? {} : { changedAtMs }) };
  }
  return {};
}

/** Ordinal of the last record up to the end of a segment of the log; `undefined` for any other file. */
async function lastOrdinalOf(fileSystem: FileSystem, file: string): Promise<number | undefined> {
  const handle = await fileSystem.open(file, 'read');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const header = handle.readSync(bytes, 0) === bytes.length ? peekSegmentHeader(bytes) : undefined;
    return header?.kind === 'log' ? lastOrdinal(handle, header.firstOrdinal) : undefined;
  } finally {
    await handle.close();
  }
}

function lastOrdinal(handle: FileHandle, firstOrdinal: number): number {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  let sequence = Math.max(0, firstOrdinal - 1);
  for (let at = SEGMENT_HEADER_BYTES; handle.readSync(bytes, at) === bytes.length; ) {
    const frame = readFrameHeader(bytes, 0);
    if (frame === undefined) break;
    const last = frame.firstOrdinal + frame.records - 1;
    if (Number.isSafeInteger(last) && last >= 0) sequence = last;
    at += frame.length;
  }
  return sequence;
}
