import { ProblemError } from '../errors/latchkey-error.ts';

/** CHAIN_STALE: the newest proven block is older than is allowed, by the clock of this machine. */
export class StaleChainError extends ProblemError {
  readonly blockNumber: number;
  /** Time that the block gives for itself, in milliseconds since 1970; `undefined` when it gives none. */
  readonly blockTimeMs: number | undefined;

  /** @param block as it was proven. @param bounds of its age, in milliseconds. */
  constructor(
    block: { readonly number: number; readonly timestampMs?: number | undefined },
    bounds: { readonly ageMs: number | undefined; readonly maxAgeMs: number },
  ) {
    const { ageMs, maxAgeMs } = bounds;
    super('CHAIN_STALE', `the newest proven block ${block.number} is too old`, {
      expected: `a block of the last ${maxAgeMs} ms`,
      observed: ageMs === undefined ? 'a block without time' : `one from ${ageMs} ms ago`,
      hint: 'The endpoint withholds newer blocks, the chain stands still, or the clock is wrong.',
    });
    this.blockNumber = block.number;
    this.blockTimeMs = block.timestampMs;
  }
}
