import { copyBytes } from '../../bytes/copy-bytes.ts';

/** Collects, while a log is read from its beginning, the digests of the chain at the positions that were asked for. */
export class AskedDigests {
  readonly #asked: ReadonlySet<number>;
  /** The positions that the reading has not reached, the next one last. */
  readonly #ahead: number[];
  readonly #found = new Map<number, Uint8Array>();

  constructor(sequences: readonly number[]) {
    this.#asked = new Set(sequences);
    this.#ahead = [...this.#asked].sort((one, other) => other - one);
  }

  /** A part of the log begins behind the record of this sequence. What is before it and was not read is compacted. */
  beginAfter(sequence: number, digest: Uint8Array): void {
    this.#reach(sequence - 1, undefined);
    this.#reach(sequence, digest);
  }

  /** The chain stood at this digest after a frame; its last record has this sequence. */
  advanceTo(sequence: number, digest: Uint8Array): void {
    this.#reach(sequence, digest);
  }

  /** A copy; see `FoundLog.digestAt`. @throws RangeError for a position that was not asked for. */
  at(sequence: number): Uint8Array | undefined {
    if (!this.#asked.has(sequence))
      throw new RangeError(
        `the digest after record ${String(sequence)} was not asked for in admit.sequences`,
      );
    const digest = this.#found.get(sequence);
    return digest === undefined ? undefined : copyBytes(digest);
  }

  #reach(sequence: number, digest: Uint8Array | undefined): void {
    for (;;) {
      const next = this.#ahead.at(-1);
      if (next === undefined || next > sequence) return;
      this.#ahead.pop();
      if (digest !== undefined) this.#found.set(next, digest);
    }
  }
}
