import { describe, expect, it } from 'vitest';
import { utcTimeMs } from '../../../src/der/calendar.ts';

const midnight = [0, 0, 0] as const;

describe('times that exist', () => {
  it('agree with Date on every day from 1890 to 2110, and no other days exist', () => {
    for (let year = 1890; year <= 2110; year++) {
      for (let month = 0; month <= 13; month++) {
        for (let day = 0; day <= 32; day++) {
          const timeMs = Date.UTC(year, month - 1, day);
          const date = new Date(timeMs);
          const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
          if (utcTimeMs(year, month, day, midnight) !== (exists ? timeMs : undefined))
            expect.unreachable(`${year}-${month}-${day}`);
        }
      }
    }
  });

  it.each([
    [2000, 29],
    [2100, undefined],
    [2400, 29],
    [2024, 29],
    [2025, undefined],
  ])('29 February %i', (year, day) => {
    const timeMs = utcTimeMs(year, 2, 29, midnight);
    expect(timeMs === undefined ? undefined : new Date(timeMs).getUTCDate()).toBe(day);
  });

  it('count hours to 23, minutes and seconds to 59', () => {
    expect(utcTimeMs(2026, 1, 31, [23, 59, 59])).toBe(Date.UTC(2026, 0, 31, 23, 59, 59));
    for (const clock of [
      [24, 0, 0],
      [0, 60, 0],
      [0, 0, 60],
      [Number.NaN, 0, 0],
    ] as const)
      expect(utcTimeMs(2026, 1, 31, clock)).toBeUndefined();
  });

  it('need numbers, and years that Date.UTC does not map to other years', () => {
    expect(utcTimeMs(99, 1, 1, midnight)).toBeUndefined();
    expect(utcTimeMs(100, 1, 1, midnight)).toBe(Date.parse('0100-01-01T00:00:00Z'));
    for (const index of [0, 1, 2]) {
      const [year, month, day] = [2026, 1, 1].with(index, Number.NaN);
      expect(utcTimeMs(year ?? 0, month ?? 0, day ?? 0, midnight)).toBeUndefined();
    }
  });
});
