import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agreedTime, isTimeJump } from '../../../src/trust/time.ts';

describe('a time far ahead of every other clock', () => {
  it.each([
    [1_100, [1_000, 0], false],
    [1_101, [1_000, 0], true],
    [1_101, [0, 1_001], false],
    [0, [1_000, 1_000], false],
  ])('%i compared with %j', (time, known, expected) => {
    expect(isTimeJump(time, known, 100)).toBe(expected);
  });
});

describe('agreed time', () => {
  it.each([
    ['all agree', [100, 101, 102], 3, 5, 101],
    ['one liar in the future', [100, 101, 9_999_999], 2, 5, 100],
    ['one liar in the past', [0, 101, 103], 2, 5, 101],
    ['too few agree', [0, 100, 200], 2, 5, undefined],
    ['two camps', [0, 1, 100, 101], 2, 5, undefined],
    ['fewer answers than the threshold', [100], 2, 5, undefined],
    ['nothing', [], 1, 5, undefined],
    ['not a number is no vote', [Number.NaN, 100, 101], 3, 5, undefined],
    ['the tolerance is inclusive', [100, 105], 2, 5, 100],
    ['the largest of three groups that overlap', [0, 3, 6, 7, 8], 2, 5, 6],
    ['the first of two groups of one size', [0, 3, 6], 2, 5, 0],
    ['a later group that shares the last member', [0, 1, 3, 8], 2, 5, 1],
    ['an earlier, smaller camp', [0, 1, 100, 101, 102], 2, 5, undefined],
    ['a later, smaller camp', [0, 1, 2, 100, 101], 2, 5, undefined],
  ])('%s', (_name, times, threshold, tolerance, expected) => {
    expect(agreedTime(times, threshold, tolerance)).toBe(expected);
  });

  it('is within the tolerance of an honest clock for any answers of fewer than t lying servers', () => {
    const lies = fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 2 });
    const honest = fc.array(fc.integer({ min: 5000, max: 5020 }), { minLength: 3, maxLength: 5 });
    fc.assert(
      fc.property(honest, lies, (truths, wrong) => {
        const agreed = agreedTime([...wrong, ...truths], 3, 20);
        expect(truths.some((truth) => Math.abs(truth - (agreed ?? Number.NaN)) <= 20)).toBe(true);
      }),
    );
  });

  it.each([0, 1.5, Number.NaN])('a threshold of %d is misuse', (threshold) => {
    expect(() => agreedTime([1], threshold, 5)).toThrow(RangeError);
  });
});
