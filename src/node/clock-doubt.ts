import type { LockedCause } from '../boot/node/locked-cause.ts';
import { StaleChainError } from '../chain/stale-chain.ts';

/** Number and time of one refused block, and the time of this machine when it was refused. */
interface StaleBlock {
  readonly number: number;
  readonly timeMs: number;
  readonly seenAtMs: number;
}

/**
 * Distinguishes a clock that is ahead from a chain that stands still. In both cases every proven block is too old. Only
 * with a wrong clock do new blocks arrive at the usual pace.
 */
export class ClockDoubt {
  readonly #nowMs: () => number;
  #first: StaleBlock | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The cause behind an error of the chain, where this object knows it better than its code. */
  causeOf(error: unknown): LockedCause | undefined {
    if (!(error instanceof StaleChainError) || error.blockTimeMs === undefined) return undefined;
    const block = { number: error.blockNumber, timeMs: error.blockTimeMs, seenAtMs: this.#nowMs() };
    this.#first ??= block;
    const { number, timeMs, seenAtMs } = this.#first;
    const elapsedMs = block.seenAtMs - seenAtMs;
    // A host that replays old blocks quickly, to catch up, is not a clock that is wrong.
    const keepsPace =
      block.timeMs - timeMs >= elapsedMs / 2 && block.timeMs - timeMs <= elapsedMs * 2 + PACE_SLACK_MS;
    return block.number > number && keepsPace ? 'clock' : undefined;
  }
}

/** Blocks come at intervals, so their times and the clock never run in step exactly. */
const PACE_SLACK_MS = 15_000;
