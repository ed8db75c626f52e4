import { describe, expect, it } from 'vitest';
import { mostSlotsTogether, thresholdFor, thresholdWarning } from '../../../src/keyslots/threshold.ts';

describe('quorum', () => {
  it.each([
    [0, undefined, undefined],
    [1, undefined, { t: 1, n: 1 }],
    [2, undefined, { t: 1, n: 2 }],
    [3, { t: 2, n: 3 }, { t: 2, n: 3 }],
    [4, { t: 3, n: 4 }, { t: 3, n: 4 }],
    [5, { t: 3, n: 5 }, { t: 3, n: 5 }],
    [500, { t: 3, n: 5 }, { t: 3, n: 5 }],
  ])('of %i eligible servers', (eligible, plain, bootstrap) => {
    expect(thresholdFor(eligible, { bootstrap: false })).toEqual(plain);
    expect(thresholdFor(eligible, { bootstrap: true })).toEqual(bootstrap);
  });

  it('any two quorums share a server, so that a recovery finds deposited heads', () => {
    for (const eligible of [3, 4, 5, 6]) {
      const quorum = thresholdFor(eligible, { bootstrap: false });
      expect(2 * (quorum?.t ?? 0)).toBeGreaterThan(quorum?.n ?? 0);
    }
  });

  it('no platform can hold enough slots to open the store, or to lock it by its loss', () => {
    expect(mostSlotsTogether({ t: 3, n: 5 })).toBe(2);
    expect(mostSlotsTogether({ t: 2, n: 3 })).toBe(1);
    expect(mostSlotsTogether({ t: 3, n: 4 })).toBe(1);
    expect(mostSlotsTogether({ t: 1, n: 1 })).toBe(1);
    for (let n = 2; n <= 16; n++) {
      for (let t = 2; t < n; t++) {
        expect(mostSlotsTogether({ t, n })).toBeLessThan(t);
        expect(n - mostSlotsTogether({ t, n })).toBeGreaterThanOrEqual(t);
      }
    }
  });

  it.each([
    [2, 4, false],
    [2, 5, true],
    [2, 500, true],
    [3, 5, false],
    [1, 5, false],
  ])('a minimum threshold of %i is unwise with %i servers: %s', (minimum, servers, isUnwise) => {
    expect(thresholdWarning(minimum, servers) !== undefined).toBe(isUnwise);
  });

  it('an invalid count is misuse', () => {
    expect(() => thresholdFor(-1, { bootstrap: false })).toThrow(RangeError);
    expect(() => thresholdFor(2.5, { bootstrap: false })).toThrow(RangeError);
  });
});
