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
/** Turns in one turn of the event loop, however long the rest of it takes. */
const MOST_AT_ONCE = 64;
const DRAW_BYTES = 4;
const DRAWS_AT_ONCE = 256;

/**
 * Requests that wait to have a quote verified. Each turn of the event loop has one turn of the queue, so that answers,
 * refusals and cheap requests pass between; where these take long, it has so many that half of the time is for keys.
 * Nodes that cannot open their store have a line of their own, in which most of a network can wait; the line of those
 * that only make a new key is short, and a request that finds it full is refused at once.
 */
export class AdmissionQueue {
  readonly #random: RandomSource;
  readonly #monotonicMs: () => number;
  readonly #locked: Line;
  readonly #others: Line;
  #isTaken = false;
  #turns = 0;
  /** Mean time from one turn to the next while requests wait. Under a flood half of it goes into refusals. */
  #turnMs = FIRST_TURN_MS;
  #drawn = new Uint8Array(0);
  #nextDraw = 0;

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
   * After which time a request should come again that would be refused now, in milliseconds; `undefined` where
   * {@link enter} would let it wait. Under a flood it is asked thousands of times a second.
   * @param isLocked whether the caller cannot open its store without the answer (intent `recover`).
   */
  retryAfterMs(isLocked: boolean): number | undefined {
    const line = isLocked ? this.#locked : this.#others;
    if (!this.#isTaken || line.length < line.placesAt(this.#turnMs)) return undefined;
    // Another time for each caller, so that they do not come back together.
    return RETRY_MS + Math.floor((RETRY_MS * this.#draw()) / 2 ** 32);
  }

  /**
   * Resolves when it is this request's turn: at once where nothing waits.
   * @param isLocked as for {@link retryAfterMs}.
   * @throws ProblemError SERVER_BUSY with a time at which to ask again.
   */
  async enter(isLocked: boolean): Promise<void> {
    const retryAfterMs = this.retryAfterMs(isLocked);
    if (retryAfterMs !== undefined) throw serverBusy(retryAfterMs);
    if (this.#isTaken) {
      await (isLocked ? this.#locked : this.#others).wait();
      return;
    }
    this.#isTaken = true;
    this.#plan(1, this.#monotonicMs());
  }

  /**
   * Plans turns for the next turn of the event loop. A turn is over when the event loop runs the next callback, whatever
   * its work waits for then.
   * @param sinceMs end of the former turns: what has passed when the first of these begins was for other work.
   */
  #plan(turns: number, sinceMs: number): void {
    let beganMs = sinceMs;
    setImmediate(() => {
      beganMs = this.#monotonicMs();
    });
    let given = 0;
    for (let turn = 0; turn < turns; turn++) {
      setImmediate(() => {
        if (this.#give()) given += 1;
      });
    }
    setImmediate(() => {
      this.#isTaken = given > 0;
      if (given === 0) return;
      const endMs = this.#monotonicMs();
      this.#turnMs += ((endMs - sinceMs) / given - this.#turnMs) * NEWEST;
      const asMany = Math.floor((beganMs - sinceMs) / ((endMs - beganMs) / given));
      this.#plan(Math.min(MOST_AT_ONCE, Math.max(1, asMany || 1)), endMs);
    });
  }

  /** Lets the next request have its turn. @returns whether one was waiting. */
  #give(): boolean {
    this.#turns += 1;
    const isForOthers = this.#turns % SHARE_OF_OTHERS === 0;
    const [first, second] = isForOthers ? [this.#others, this.#locked] : [this.#locked, this.#others];
    const next = first.take() ?? second.take();
    next?.();
    return next !== undefined;
  }

  /** A random number below 2^32. A draw of the operating system costs more than the rest of a refusal. */
  #draw(): number {
    if (this.#nextDraw === this.#drawn.length) {
      this.#drawn = new Uint8Array(this.#random(DRAW_BYTES * DRAWS_AT_ONCE));
      this.#nextDraw = 0;
    }
    this.#nextDraw += DRAW_BYTES;
    return readU32BigEndian(this.#drawn, this.#nextDraw - DRAW_BYTES);
  }
}

/** The refusal of a request for a key that finds no place. */
export const serverBusy = (retryAfterMs: number): ProblemError =>
  new ProblemError('SERVER_BUSY', 'more keys are asked for than this server can verify in time', {
    retryAfterMs,
  });

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
