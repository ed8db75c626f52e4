import { expect, it } from 'vitest';
import { StaleChainError } from '../../../src/chain/stale-chain.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { ClockDoubt } from '../../../src/node/clock-doubt.ts';

/** The result after two errors; between them the block's number, its time and the clock advance. */
function afterTwoLooks(moved: {
  readonly blocks: number;
  readonly timeMs: number;
  readonly clockMs: number;
}) {
  let nowMs = 10_000_000_000;
  const doubt = new ClockDoubt(() => nowMs);
  const stale = (number: number, timestampMs: number) =>
    new StaleChainError({ number, timestampMs }, { ageMs: 1, maxAgeMs: 1 });
  expect(doubt.causeOf(stale(100, 1_000_000))).toBeUndefined();
  nowMs += moved.clockMs;
  return doubt.causeOf(stale(100 + moved.blocks, 1_000_000 + moved.timeMs));
}

it('old blocks at the normal pace mean a wrong clock', () => {
  expect(afterTwoLooks({ blocks: 10, timeMs: 60_000, clockMs: 62_000 })).toBe('clock');
});

it('a chain without new blocks does not mean a wrong clock', () => {
  expect(afterTwoLooks({ blocks: 0, timeMs: 0, clockMs: 60_000 })).toBeUndefined();
  expect(afterTwoLooks({ blocks: 1, timeMs: 6_000, clockMs: 600_000 })).toBeUndefined();
});

it('old blocks at a fast pace mean that the chain catches up', () => {
  expect(afterTwoLooks({ blocks: 600, timeMs: 3_600_000, clockMs: 10_000 })).toBeUndefined();
});

it('another error, or a block without time, gives no conclusion', () => {
  const doubt = new ClockDoubt(() => 0);
  expect(doubt.causeOf(new ProblemError('CHAIN_UNAVAILABLE', 'gone'))).toBeUndefined();
  expect(
    doubt.causeOf(new StaleChainError({ number: 1 }, { ageMs: undefined, maxAgeMs: 1 })),
  ).toBeUndefined();
});
