const DAYS_OF_MONTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * A UTC time that exists, from its written parts (month from 1). `Date` alone would carry 31 April over into May, and
 * 24:00 into the next day.
 * @returns milliseconds since 1970; `undefined` when there is no such time, when a part is no number, and below year
 *   100, which `Date.UTC` takes for another.
 */
export function utcTimeMs(
  year: number,
  month: number,
  day: number,
  [hours, minutes, seconds]: readonly [number, number, number],
): number | undefined {
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const lastDay = month === 2 && isLeapYear ? 29 : (DAYS_OF_MONTHS[month - 1] ?? 0);
  const exists = year >= 100 && day >= 1 && day <= lastDay && hours < 24 && minutes < 60 && seconds < 60;
  return exists ? Date.UTC(year, month - 1, day, hours, minutes, seconds) : undefined;
}
