import { copyBytes } from './copy-bytes.ts';

/** Bytes of room at first. */
const FIRST_ROOM = 4_096;

/**
 * Bytes that come in pieces, copied together at once. A list of the pieces takes some hundred bytes for each, and a
 * sender who makes pieces of one byte fills the memory with them.
 */
export class GatheredBytes {
  readonly #most: number;
  #room = new Uint8Array(0);
  #length = 0;

  /** @param most how many bytes are taken. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Adds a piece. @returns false, and keeps nothing of it, when all together are more than allowed. */
  add(piece: Uint8Array): boolean {
    const length = this.#length + piece.length;
    if (length > this.#most) return false;
    if (length > this.#room.length) {
      const grown = new Uint8Array(Math.min(this.#most, Math.max(FIRST_ROOM, 2 * this.#room.length, length)));
      grown.set(this.#room.subarray(0, this.#length));
      this.#room = grown;
    }
    this.#room.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  /** All of them; memory that nothing else uses. */
  take(): Uint8Array {
    return copyBytes(this.#room.subarray(0, this.#length));
  }
}

/**
 * All bytes of the body of a request or an answer. One of more than `most` bytes is cancelled.
 * @returns `undefined` then; an empty array for a body that is not there.
 */
export async function gatherBody(
  body: AsyncIterable<Uint8Array> | null,
  most: number,
): Promise<Uint8Array | undefined> {
  const gathered = new GatheredBytes(most);
  // Leaving the loop cancels the body.
  for await (const piece of body ?? []) if (!gathered.add(piece)) return undefined;
  return gathered.take();
}
