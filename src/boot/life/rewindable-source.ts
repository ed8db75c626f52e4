import { copyBytes } from '../../bytes/copy-bytes.ts';

/** Bytes that can be read once, of which the first ones can be read again: to try another key on a backup's header. */
export class RewindableSource {
  readonly #rest: AsyncIterator<Uint8Array>;
  readonly #keepBytes: number;
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #isPast = false;

  /** @param keepBytes how many of the first bytes are kept; a whole number of parts is. */
  constructor(source: AsyncIterable<Uint8Array>, keepBytes: number) {
    this.#rest = source[Symbol.asyncIterator]();
    this.#keepBytes = keepBytes;
  }

  /** Whether no byte was read that is not kept. */
  get canRewind(): boolean {
    return !this.#isPast;
  }

  /** All bytes from the beginning; only while {@link canRewind}, and one reader at a time. */
  async *fromStart(): AsyncGenerator<Uint8Array> {
    if (!this.canRewind) throw new TypeError('bytes were read that were not kept');
    yield* [...this.#kept];
    for (;;) {
      const next = await this.#rest.next();
      if (next.done === true) return;
      this.#keep(next.value);
      yield next.value;
    }
  }

  #keep(part: Uint8Array): void {
    if (this.#keptBytes >= this.#keepBytes) {
      this.#isPast = true;
      this.#kept.length = 0;
      return;
    }
    // The source may write its next part into the same memory.
    this.#kept.push(copyBytes(part, 'part'));
    this.#keptBytes += part.length;
  }
}
