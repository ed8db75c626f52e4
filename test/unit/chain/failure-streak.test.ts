import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { FailureStreak } from '../../../src/chain/failure-streak.ts';
import { answeredError } from '../../../src/chain/rpc-failure.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';

const failure = (message: string): ProblemError => new ProblemError('CHAIN_UNAVAILABLE', message);

describe('failures in a row', () => {
  it('are reported at each doubling, and increase the pause up to half a minute', () => {
    const streak = new FailureStreak(1000);
    const advice = Array.from({ length: 9 }, (_, block) => streak.note(failure(`block ${block} is too old`)));
    expect(advice.map(({ pauseMs }) => pauseMs / 1000)).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30]);
    expect(advice.filter(({ isToldAgain }) => isToldAgain).map(({ count }) => count)).toEqual([1, 2, 4, 8]);
  });

  it('count together whatever their texts say, such as the id of a request', () => {
    const streak = new FailureStreak(1000);
    const advice = Array.from({ length: 20 }, () =>
      streak.note(
        answeredError('state_getReadProof', {
          code: -32603,
          message: `Internal error (request ${randomUUID()})`,
        }),
      ),
    );
    expect(advice.at(-1)?.pauseMs).toBe(30_000);
    expect(advice.filter(({ isToldAgain }) => isToldAgain).map(({ count }) => count)).toEqual([
      1, 2, 4, 8, 16,
    ]);
  });

  it('count together when two of them take turns', () => {
    const streak = new FailureStreak(1000);
    const advice = Array.from({ length: 20 }, (_, at) =>
      streak.note(
        at % 2 === 0 ? failure('Internal error') : new ProblemError('CHAIN_DISAGREEMENT', 'two versions'),
      ),
    );
    expect(advice.at(-1)).toMatchObject({ count: 20, pauseMs: 30_000 });
  });

  it('are told as well at the first time of each code', () => {
    const streak = new FailureStreak(1000);
    const codes = ['CHAIN_UNAVAILABLE', 'CHAIN_UNAVAILABLE', 'CHAIN_DISAGREEMENT'] as const;
    const later = ['CHAIN_DISAGREEMENT', 'CHAIN_UNAVAILABLE', 'CHAIN_SHAPE_UNKNOWN'] as const;
    const advice = [...codes, ...later, ...later].map((code) => streak.note(new ProblemError(code, 'text')));
    expect(advice.filter(({ isToldAgain }) => isToldAgain).map(({ count }) => count)).toEqual([
      1, 2, 3, 4, 6, 8,
    ]);
  });

  it('begin at 1 after a success', () => {
    const streak = new FailureStreak(1000);
    streak.note(failure('a'));
    streak.note(failure('a'));
    streak.end();
    expect(streak.note(failure('a'))).toEqual({ count: 1, pauseMs: 1000, isToldAgain: true });
  });
});
