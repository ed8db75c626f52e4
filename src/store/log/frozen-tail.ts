import type { FileHandle } from '../../disk/file-system.ts';
import { MAX_ROOM_BYTES } from './segment.ts';

/** More than the largest preallocation of a file; bytes before it never change. */
const TAIL_BYTES = 2 * MAX_ROOM_BYTES;

/**
 * A file as it was at one moment although a store goes on appending to it: where frames may still take the place of
 * zeros, the bytes are copied at once, and what lies before never changes.
 */
export class FrozenTail implements Pick<FileHandle, 'readSync'> {
  readonly #file: Pick<FileHandle, 'readSync'>;
  readonly #tail: Uint8Array;
  readonly #tailAt: number;

  /** `size`: of the file, in bytes. */
  constructor(file: Pick<FileHandle, 'readSync'>, size: number) {
    this.#file = file;
    this.#tailAt = Math.max(0, size - TAIL_BYTES);
    const tail = new Uint8Array(size - this.#tailAt);
    // The writer may have cut off room since the size was asked for.
    this.#tail = tail.subarray(0, file.readSync(tail, this.#tailAt));
  }

  /** Bytes of the file that can be read. */
  get size(): number {
    return this.#tailAt + this.#tail.length;
  }

  /** As {@link FileHandle.readSync}. */
  readSync(into: Uint8Array, position: number): number {
    const length = Math.min(into.length, this.size - position);
    if (length <= 0) return 0;
    const before = Math.min(length, Math.max(0, this.#tailAt - position));
    if (before > 0 && this.#file.readSync(into.subarray(0, before), position) < before) return 0;
    const from = position + before - this.#tailAt;
    into.set(this.#tail.subarray(from, from + length - before), before);
    return length;
  }
}
