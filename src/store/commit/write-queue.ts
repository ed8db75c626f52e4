import { ProblemError } from '../../errors/latchkey-error.ts';

/** A write that waits until the next group has room. */
interface WaitingWrite {
  readonly bytes: number;
  readonly admit: () => void;
  readonly reject: (error: unknown) => void;
}

const MAX_WAITING_WRITES = 1_000_000;
const MAX_WAITING_BYTES = 256 * 1024 * 1024;

/** A queue of writes in the order of arrival, with a limit on its memory. */
export class WriteQueue {
  #writes: WaitingWrite[] = [];
  #head = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#head === this.#writes.length;
  }

  /** @throws ProblemError STORE_OVERLOADED at a million writes or 256 MiB that wait. */
  push(write: WaitingWrite): void {
    if (
      this.#writes.length - this.#head >= MAX_WAITING_WRITES ||
      this.#bytes + write.bytes > MAX_WAITING_BYTES
    )
      throw new ProblemError('STORE_OVERLOADED', 'too many writes wait for the disk', {
        expected: `at most ${MAX_WAITING_WRITES} writes and ${MAX_WAITING_BYTES} bytes`,
        hint: 'await earlier writes before making more',
      });
    this.#bytes += write.bytes;
    this.#writes.push(write);
  }

  /** Takes the first. */
  shift(): WaitingWrite | undefined {
    const write = this.#writes[this.#head];
    if (write === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= write.bytes;
    if (this.#head === this.#writes.length || this.#head > 4096) {
      this.#writes = this.#writes.slice(this.#head);
      this.#head = 0;
    }
    return write;
  }

  rejectAll(error: unknown): void {
    for (let write = this.shift(); write !== undefined; write = this.shift()) write.reject(error);
  }
}
