import type { LatchkeyError } from '../errors/latchkey-error.ts';

/** Longest pause between two reads that fail alike, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** What to do after a failed read. */
export interface FailureAdvice {
  /** How often the same failure has come in a row. */
  readonly count: number;
  /** Until the next read. */
  readonly pauseMs: number;
  /** Whether to log it: the first, and then each time that the count has doubled. */
  readonly isToldAgain: boolean;
}

/** Equal for failures that differ only in numbers, such as those of blocks and ages. */
const kindOf = ({ code, message }: LatchkeyError): string =>
  `${code} ${message.replaceAll(/0x[0-9a-f]+|\d+/gi, '#')}`;

/** Counts equal failures in a row: a read that always fails must not be repeated every second, or fill the log. */
export class FailureStreak {
  readonly #firstPauseMs: number;
  #kind: string | undefined;
  #count = 0;

  /** @param firstPauseMs pause after the first failure; it doubles with each equal one. */
  constructor(firstPauseMs: number) {
    this.#firstPauseMs = firstPauseMs;
  }

  note(error: LatchkeyError): FailureAdvice {
    const kind = kindOf(error);
    this.#count = kind === this.#kind ? this.#count + 1 : 1;
    this.#kind = kind;
    const longest = Math.max(LONGEST_PAUSE_MS, this.#firstPauseMs);
    return {
      count: this.#count,
      pauseMs: Math.min(longest, this.#firstPauseMs * 2 ** (this.#count - 1)),
      isToldAgain: Number.isInteger(Math.log2(this.#count)),
    };
  }

  /** A read has succeeded. */
  end(): void {
    this.#kind = undefined;
    this.#count = 0;
  }
}
