/** A run of sorted times that lie within the tolerance of each other. */
interface Window {
  readonly first: number;
  readonly last: number;
}

const members = ({ first, last }: Window): number => last - first + 1;

/**
 * The time that at least `threshold` servers agree on, in milliseconds. With fewer than `threshold` liars, every such
 * group has an honest member, so the answer is at most `toleranceMs` from an honest clock.
 * @returns the median of the largest agreeing group; `undefined` when too few agree, or when two groups without a
 *   common member both would do, which only liars can bring about.
 * @throws RangeError when the threshold is below 1.
 */
export function agreedTime(
  serverTimesMs: readonly number[],
  threshold: number,
  toleranceMs: number,
): number | undefined {
  if (!Number.isInteger(threshold) || threshold < 1) {
    throw new RangeError(`threshold must be at least 1, got ${threshold}`);
  }
  const sorted = serverTimesMs.filter(Number.isFinite).sort((a, b) => a - b);
  const windows = sorted
    .map((start, first) => ({ first, last: sorted.findLastIndex((time) => time - start <= toleranceMs) }))
    .filter((window) => members(window) >= threshold);
  if (windows.length === 0) return undefined;
  const largest = windows.reduce((best, window) => (members(window) > members(best) ? window : best));
  const disjoint = windows.some(({ first, last }) => first > largest.last || last < largest.first);
  return disjoint ? undefined : sorted[Math.floor((largest.first + largest.last) / 2)];
}

/**
 * Whether a time that servers agree on is so far ahead of every other clock that it is not to be taken: a jump of years
 * would make all certificates look expired.
 * @param knownMs the other clocks, in milliseconds.
 */
export const isTimeJump = (timeMs: number, knownMs: readonly number[], maxJumpMs: number): boolean =>
  timeMs > Math.max(...knownMs) + maxJumpMs;
