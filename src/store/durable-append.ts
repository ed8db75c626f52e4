import { isDiskFull } from './disk-failure.ts';
import type { Segment } from './segment.ts';

/**
 * Larger frames come without room behind them: beside their bytes, what a growing file costs is little.
 */
const MOST_FRAME_BYTES = 16 * 1024;
const noZeros = new Uint8Array(0);
let zeros = noZeros;

/** A failed sync leaves unknown what is on the disk (and Linux forgets the pages), so it is never tried again. */
class SyncFailure extends Error {}

/**
 * Appends a frame durably. When a small one makes the file grow, zeros are written behind it, and the frames after it
 * take their place: a file that does not grow is synced without its file system's journal, which takes a fifth of the
 * time off a single put here, and a second flush off many disks. Room is a luxury, so a disk that is too full for it
 * gets the frame alone.
 * @param roomBytes most zeros to write.
 * @throws the file system's error; {@link cutTail} takes away what it may have left.
 */
export async function appendDurably(segment: Segment, frame: Uint8Array, roomBytes: number): Promise<void> {
  const grows = frame.length > segment.room;
  const wanted = grows && segment.takesRoom && frame.length <= MOST_FRAME_BYTES ? roomBytes : 0;
  if (wanted > 0) {
    try {
      await writeDurably(segment, [frame, zerosOf(wanted)]);
      segment.room = wanted;
      return;
    } catch (error) {
      segment.takesRoom = false;
      if (!isDiskFull(error) || !(await cutTail(segment))) throw error;
    }
  }
  await writeDurably(segment, [frame]);
  segment.room = Math.max(0, segment.room - frame.length);
}

/**
 * Cuts off what lies behind the durable end of a segment: room, or what a failed write left.
 * @returns false when the disk does not let it.
 */
export async function cutTail(segment: Segment): Promise<boolean> {
  try {
    await cutRoom(segment);
    return true;
  } catch {
    return false;
  }
}

/** As {@link cutTail}. @throws the file system's error. */
export async function cutRoom(segment: Segment): Promise<void> {
  await segment.handle.truncate(segment.length);
  // Unless it is durable, the tail is back after a power cut, perhaps when the segment is long finished.
  await segment.handle.sync();
  segment.room = 0;
}

async function writeDurably({ handle, length }: Segment, parts: readonly Uint8Array[]): Promise<void> {
  if (handle.writeDurable !== undefined) return handle.writeDurable(parts, length);
  await handle.write(parts, length);
  await handle.sync().catch((error: unknown) => {
    throw new SyncFailure('fdatasync failed', { cause: error });
  });
}

function zerosOf(length: number): Uint8Array {
  if (zeros.length < length) zeros = new Uint8Array(length);
  return zeros.subarray(0, length);
}
