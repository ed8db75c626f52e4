import { isDiskFull } from '../files/disk-failure.ts';
import { syncFile } from '../files/files.ts';
import type { Segment } from './segment.ts';

/** Larger frames get no room behind them: compared with writing them, the growth of the file costs little. */
const MOST_FRAME_BYTES = 16 * 1024;
let zeros = new Uint8Array(0);

/**
 * Appends a frame durably. When a small one makes the file grow, zeros are written behind it, and the frames after it
 * take their place: a file that does not grow is synced without its file system's journal, which takes a fifth of the
 * time off a single put here, and a second flush off many disks. Room is a luxury, so a disk that is too full for it
 * gets the frame alone.
 * @param roomBytes most zeros to write.
 * @returns how many zeros lie behind the frame now.
 * @throws the file system's error, or SyncFailure; {@link cutTail} takes away what it may have left.
 */
export async function appendDurably(segment: Segment, frame: Uint8Array, roomBytes: number): Promise<number> {
  const grows = frame.length > segment.room;
  const wanted = grows && segment.takesRoom && frame.length <= MOST_FRAME_BYTES ? roomBytes : 0;
  if (wanted > 0) {
    try {
      await writeDurably(segment, [frame, zerosOf(wanted)]);
      return wanted;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      segment.takesRoom = false;
      await cutTail(segment);
    }
  }
  await writeDurably(segment, [frame]);
  return Math.max(0, segment.room - frame.length);
}

/**
 * Cuts off, durably, what lies behind the end of a segment: room, a torn write, or what a failed one left. Unless that
 * is durable, the tail is back after a power cut, perhaps when the segment is long finished.
 * @throws the file system's error, or SyncFailure.
 */
export async function cutTail(segment: Segment): Promise<void> {
  await segment.handle.truncate(segment.length);
  segment.room = 0;
  await syncFile(segment.handle);
}

async function writeDurably(segment: Segment, parts: readonly Uint8Array[]): Promise<void> {
  const { handle, length } = segment;
  if (handle.writeDurable !== undefined) return handle.writeDurable(parts, length);
  await handle.write(parts, length);
  await syncFile(handle);
}

function zerosOf(length: number): Uint8Array {
  if (zeros.length < length) zeros = new Uint8Array(length);
  return zeros.subarray(0, length);
}
