/**
 * Checks a number of a caller, which may be JavaScript.
 * @param name What the error calls it.
 * @param most Largest value that is accepted.
 * @throws RangeError unless the value is an integer from 0 to `most`, so also for NaN and for text.
 */
export function requireInteger(value: number, name: string, most: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return;
  const bound = most === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(most);
  throw new RangeError(`${name} must be an integer from 0 to ${bound}, got ${describe(value)}`);
}

/** Checks an option of a caller. @throws TypeError unless it is `true` or `false`; the text "false" is neither. */
export function requireBoolean(value: boolean, name: string): void {
  if (typeof value !== 'boolean')
    throw new TypeError(`${name} must be true or false, got ${describe(value)}`);
}

const describe = (value: unknown): string =>
  typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value;
