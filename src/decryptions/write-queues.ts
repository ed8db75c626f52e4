import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { KeyedLock } from '../store/keyed-lock.ts';

/** Writes of one key that wait for the same write. */
interface Queue {
  members: number;
  /** Why one of them was not answered by the engine. */
  failure: LatchkeyError | undefined;
}

/** An engine that answers with one of these was asked until the time of an operation was over. */
const UNANSWERED: ReadonlySet<string> = new Set([
  'DECRYPTIONS_ENGINE_UNAVAILABLE',
  'DECRYPTIONS_ENGINE_ANSWER_INVALID',
]);

/**
 * Runs the writes of one key one after another, in order of arrival. Where the engine does not answer one of them, those
 * that wait behind it end too: a write must not wait for one timeout after another.
 */
export class WriteQueues {
  readonly #lock = new KeyedLock<string>();
  readonly #queues = new Map<string, Queue>();

  /** Number of keys with writes under way. */
  get size(): number {
    return this.#lock.size;
  }

  /** @throws what the write throws; ProblemError DECRYPTIONS_ENGINE_UNAVAILABLE when one before it was not answered. */
  async run<T>(key: string, write: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? { members: 0, failure: undefined };
    this.#queues.set(key, queue);
    queue.members += 1;
    try {
      return await this.#lock.run(key, () => this.#inTurn(key, queue, write));
    } finally {
      queue.members -= 1;
      if (queue.members === 0) this.#leave(key, queue);
    }
  }

  async #inTurn<T>(key: string, queue: Queue, write: () => Promise<T>): Promise<T> {
    if (queue.failure !== undefined) throw notTried(queue.failure);
    try {
      return await write();
    } catch (error) {
      if (error instanceof LatchkeyError && UNANSWERED.has(error.code)) {
        queue.failure = error;
        // What arrives from here on is tried.
        this.#leave(key, queue);
      }
      throw error;
    }
  }

  #leave(key: string, queue: Queue): void {
    if (this.#queues.get(key) === queue) this.#queues.delete(key);
  }
}

const notTried = (cause: LatchkeyError): ProblemError =>
  new ProblemError(
    'DECRYPTIONS_ENGINE_UNAVAILABLE',
    `not tried, because an earlier write of the same key failed: ${cause.message}`,
    { cause },
  );
