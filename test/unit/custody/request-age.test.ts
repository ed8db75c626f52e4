import { describe, expect, it } from 'vitest';
import { ageLine, judgeAge, MAX_REQUEST_AGE_MS } from '../../../src/custody/request-age.ts';
import { codeOf } from '../../support/thrown.ts';

const NOW_MS = Date.parse('2026-11-30T16:00:00Z');
const HOUR_MS = 3_600_000;
const times = (madeAgoMs: number, blockAgoMs = madeAgoMs) => ({
  madeAtMs: NOW_MS - madeAgoMs,
  blockAtMs: NOW_MS - blockAgoMs,
});

describe('the age of a request, by the clock of the custodian', () => {
  it('passes without a word for a day', () => {
    expect(judgeAge(times(24 * HOUR_MS), NOW_MS)).toEqual([]);
    expect(judgeAge({ madeAtMs: NOW_MS }, NOW_MS)).toEqual([]);
  });

  it('is warned of after a day, and refused after a week', () => {
    expect(judgeAge({ madeAtMs: NOW_MS - 49 * HOUR_MS }, NOW_MS)).toEqual([
      'the request is 2 days old: is this store still locked?',
    ]);
    expect(judgeAge(times(MAX_REQUEST_AGE_MS), NOW_MS)).toHaveLength(2);
    expect(codeOf(() => judgeAge(times(MAX_REQUEST_AGE_MS + 1), NOW_MS))).toBe('CUSTODY_REQUEST_OLD');
  });

  it('a host that sets the clock of the node forward, and keeps new blocks from it, is noticed', () => {
    expect(judgeAge(times(0, 100 * HOUR_MS), NOW_MS)).toEqual([expect.stringContaining('4 days old')]);
  });

  it.each([
    ['by the clock of the node', { madeAtMs: NOW_MS + 2 * HOUR_MS }],
    ['by its block', { madeAtMs: NOW_MS, blockAtMs: NOW_MS + 2 * HOUR_MS }],
  ])('a request from the future is refused, %s', (_whose, request) => {
    expect(codeOf(() => judgeAge(request, NOW_MS))).toBe('CUSTODY_CLOCKS_DIFFER');
    expect(codeOf(() => judgeAge(request, NOW_MS + HOUR_MS))).toBe('none');
  });

  it('is shown in words', () => {
    const words = (ms: number) => ageLine({ madeAtMs: NOW_MS - ms }, NOW_MS);
    expect(words(2 * HOUR_MS)).toBe('2026-11-30 14:00 UTC, 2 hours ago by the clock of this computer');
    expect(words(90_000)).toContain('1 minutes ago');
    expect(words(-90_000)).toContain('just now');
  });
});
