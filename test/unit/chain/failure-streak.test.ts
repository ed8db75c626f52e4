import { describe, expect, it } from 'vitest';
import { FailureStreak } from '../../../src/chain/failure-streak.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';

const failure = (message: string): ProblemError => new ProblemError('CHAIN_UNAVAILABLE', message);

describe('failures in a row', () => {
  it('are reported at each doubling, and increase the pause up to half a minute', () => {
    const streak = new FailureStreak(1000);
    const advice = Array.from({ length: 9 }, (_, block) => streak.note(failure(`block ${block} is too old`)));
    expect(advice.map(({ pauseMs }) => pauseMs / 1000)).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30]);
    expect(advice.filter(({ isToldAgain }) => isToldAgain).map(({ count }) => count)).toEqual([1, 2, 4, 8]);
  });

  it('are counted from one again after another kind of failure, and after a success', () => {
    const streak = new FailureStreak(1000);
    streak.note(failure('a'));
    expect(streak.note(failure('b'))).toEqual({ count: 1, pauseMs: 1000, isToldAgain: true });
    expect(streak.note(new ProblemError('CHAIN_DISAGREEMENT', 'b')).count).toBe(1);
    expect(streak.note(new ProblemError('CHAIN_DISAGREEMENT', 'b')).count).toBe(2);
    streak.end();
    expect(streak.note(new ProblemError('CHAIN_DISAGREEMENT', 'b')).count).toBe(1);
  });
});
