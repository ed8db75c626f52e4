import { readU32BigEndian } from '../bytes/integers.ts';
import type { RandomSource } from '../crypto/random.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** How many may wait: as many as have their turn within the time, within the bounds. */
export interface LineBounds {
  readonly waitMs: number;
  readonly fewest: number;
  readonly most: number;
}

/**
 * With one turn of four for the others, half of the time for which a node waits for an answer: a locked node is served best
 * by waiting, not by coming again.
 */
const LOCKED: LineBounds = { waitMs: 3_000, fewest: 8, most: 4_096 };
const OTHERS: LineBounds = { waitMs: 25, fewest: 8, most: 32 };
/** Where both wait, one turn of so many is for the others. */
const SHARE_OF_OTHERS = 4;
/** A refused request should come again after one to two of these, in milliseconds. */
const RETRY_MS = 1_000;
/** What a turn takes until one was measured. */
const FIRST_TURN_MS = 1;
/** Weight of the newest turn in the mean. */
const NEWEST = 1 / 8;

/**
 * Requests that wait to have a quote verified. One has its turn in each turn of the event loop, so that answers, refusals
 * and cheap requests pass between. Nodes that cannot open their store have a line of their own, in which most of a network
 * can wait; the line of those that only make a new key is short, and who finds it full is refused at once.
 */
export class AdmissionQueue {
  readonly #random: RandomSource;
  readonly #monotonicMs: () => number;
  readonly #locked: Line;
  readonly #others: Line;
  #isTaken = false;
  #takenAtMs = 0;
  #turns = 0;
  /** Mean time from one turn to the next while requests wait. Under a flood most of it goes into refusals. */
  #turnMs = FIRST_TURN_MS;

  constructor(options: {
    readonly random: RandomSource;
    readonly locked?: LineBounds;
    readonly others?: LineBounds;
    readonly monotonicMs?: () => number;
  }) {
    this.#random = options.random;
    this.#locked = new Line(options.locked ?? LOCKED);
    this.#others = new Line(options.others ?? OTHERS);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /**
   * The refusal that a request would get now; `undefined` where {@link enter} would let it wait.
   * @param isLocked whether the caller cannot open its store without the answer (intent `recover`).
   */
  refusal(isLocked: boolean): ProblemError | undefined {
    const line = this.#lineOf(isLocked);
    const places = line.placesAt(this.#turnMs);
    if (!this.#isTaken || line.length < places) return undefined;
    // Another time for each caller, so that they do not come back together.
    const retryAfterMs = RETRY_MS + Math.floor((RETRY_MS * readU32BigEndian(this.#random(4))) / 2 ** 32);
    return new ProblemError('SERVER_BUSY', 'more keys are asked for than this server can verify in time', {
      expected: `at most ${places} requests that wait`,
      retryAfterMs,
    });
  }

  /**
   * Resolves when it is this request's turn: at once where nothing waits.
   * @param isLocked as for {@link refusal}.
   * @throws ProblemError SERVER_BUSY with a time at which to ask again.
   */
  async enter(isLocked: boolean): Promise<void> {
    const refusal = this.refusal(isLocked);
    if (refusal !== undefined) throw refusal;
    if (this.#isTaken) await this.#lineOf(isLocked).wait();
    else this.#take();
  }

  #lineOf(isLocked: boolean): Line {
    return isLocked ? this.#locked : this.#others;
  }

  /** The turn is over when the event loop comes round, whatever the work waits for then. */
  #take(): void {
    this.#isTaken = true;
    this.#takenAtMs = this.#monotonicMs();
    setImmediate(() => {
      this.#isTaken = false;
      this.#turns += 1;
      const isForOthers = this.#turns % SHARE_OF_OTHERS === 0;
      const [first, second] = isForOthers ? [this.#others, this.#locked] : [this.#locked, this.#others];
      const next = first.take() ?? second.take();
      if (next === undefined) return;
      this.#turnMs += (this.#monotonicMs() - this.#takenAtMs - this.#turnMs) * NEWEST;
      this.#take();
      next();
    });
  }
}

class Line {
  readonly #bounds: LineBounds;
  readonly #waiting = new Set<() => void>();

  constructor(bounds: LineBounds) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#waiting.size;
  }

  placesAt(turnMs: number): number {
    const { waitMs, fewest, most } = this.#bounds;
    return Math.min(most, Math.max(fewest, Math.floor(waitMs / turnMs)));
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** The first of the line, which leaves it. */
  take(): (() => void) | undefined {
    const [first] = this.#waiting;
    if (first !== undefined) this.#waiting.delete(first);
    return first;
  }
}
