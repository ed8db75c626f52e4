import type { LatchkeyError } from '../errors/latchkey-error.ts';

/** Longest pause between two reads that fail, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** What to do after a failed read. */
export interface FailureAdvice {
  /** How many reads have failed in a row. */
  readonly count: number;
  /** Until the next read. */
  readonly pauseMs: number;
  /** Whether to log it: the first of each code, and then each time that the count has doubled. */
  readonly isToldAgain: boolean;
}

/**
 * Counts failures in a row: a read that fails for good must not be repeated every second, or fill the log. All failures
 * count together, because an endpoint chooses the text and can let different failures take turns.
 */
export class FailureStreak {
  readonly #firstPauseMs: number;
  readonly #toldCodes = new Set<string>();
  #count = 0;

  /** @param firstPauseMs pause after the first failure; it doubles with each further one. */
  constructor(firstPauseMs: number) {
    this.#firstPauseMs = firstPauseMs;
  }

  note({ code }: LatchkeyError): FailureAdvice {
    this.#count += 1;
    const isNewCode = !this.#toldCodes.has(code);
    this.#toldCodes.add(code);
    const longest = Math.max(LONGEST_PAUSE_MS, this.#firstPauseMs);
    return {
      count: this.#count,
      pauseMs: Math.min(longest, this.#firstPauseMs * 2 ** (this.#count - 1)),
      isToldAgain: isNewCode || Number.isInteger(Math.log2(this.#count)),
    };
  }

  /** A read has succeeded. */
  end(): void {
    this.#toldCodes.clear();
    this.#count = 0;
  }
}
