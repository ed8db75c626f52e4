import { readU32BigEndian } from '../bytes/integers.ts';
import type { RandomSource } from '../crypto/random.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** Most requests that wait, by default. */
const MAX_WAITING = 32;
/** How long the last of them should wait, in milliseconds; but this number may wait in any case. */
const MAX_WAIT_MS = 25;
const FEWEST_PLACES = 8;
/** Weight of the newest turn in the mean. */
const NEWEST = 1 / 8;
/** A refused request should come again after one to two of these. */
const RETRY_MS = 1_000;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The requests that wait to have a quote verified: one request in each turn of the event loop, so that answers, refusals and
 * cheap requests pass between them. Whoever would wait for long is refused at once, because an answer that comes after
 * the caller's deadline is work for nobody. A node that is locked goes before one that only makes a new key.
 */
export class AdmissionQueue {
  readonly #random: RandomSource;
  readonly #maxWaiting: number;
  readonly #locked: Waiter[] = [];
  readonly #others: Waiter[] = [];
  readonly #monotonicMs: () => number;
  #isTaken = false;
  #takenAtMs = 0;
  /** Mean time from one turn to the next while requests wait. */
  #turnMs = 0;

  constructor(options: {
    readonly random: RandomSource;
    readonly maxWaiting?: number;
    readonly monotonicMs?: () => number;
  }) {
    this.#random = options.random;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /**
   * The refusal that a request would get now; `undefined` where {@link enter} would let it wait.
   * @param isLocked whether the caller cannot open its store without the answer (intent `recover`). It goes first, and
   *   takes the place of the newest of the others where the queue is full.
   */
  refusal(isLocked: boolean): ProblemError | undefined {
    const ahead = this.#locked.length + (isLocked ? 0 : this.#others.length);
    return this.#isTaken && ahead >= this.#places ? this.#busy() : undefined;
  }

  /**
   * Resolves when it is this request's turn: at once where nobody waits.
   * @throws ProblemError SERVER_BUSY with a time at which to ask again, different for each caller.
   */
  async enter(isLocked: boolean): Promise<void> {
    const refusal = this.refusal(isLocked);
    if (refusal !== undefined) throw refusal;
    if (!this.#isTaken) {
      this.#take();
      return;
    }
    if (this.#locked.length + this.#others.length >= this.#places) this.#others.pop()?.reject(this.#busy());
    await new Promise<void>((resolve, reject) => {
      (isLocked ? this.#locked : this.#others).push({ resolve, reject });
    });
  }

  /** The turn is over when the event loop comes round, whatever the work waits for then. */
  #take(): void {
    this.#isTaken = true;
    this.#takenAtMs = this.#monotonicMs();
    setImmediate(() => {
      this.#isTaken = false;
      const next = this.#locked.shift() ?? this.#others.shift();
      if (next === undefined) return;
      this.#turnMs += (this.#monotonicMs() - this.#takenAtMs - this.#turnMs) * NEWEST;
      this.#take();
      next.resolve();
    });
  }

  /** Under a flood a turn takes as long as the refusals between two turns: then fewer may wait. */
  get #places(): number {
    return Math.min(this.#maxWaiting, Math.max(FEWEST_PLACES, Math.floor(MAX_WAIT_MS / this.#turnMs)));
  }

  #busy(): ProblemError {
    const retryAfterMs = RETRY_MS + Math.floor((RETRY_MS * readU32BigEndian(this.#random(4))) / 2 ** 32);
    return new ProblemError('SERVER_BUSY', 'more keys are asked for than this server can verify in time', {
      expected: `at most ${this.#places} requests that wait`,
      retryAfterMs,
    });
  }
}
