import { byteAt } from '../bytes/byte-at.ts';
import { utcTimeMs } from './calendar.ts';
import { type DerReader, tags } from './der-reader.ts';

const ZULU = 0x5a;
const ASCII_ZERO = 0x30;

/**
 * Reads a Time as RFC 5280 section 4.1.2.5 requires it: UTCTime through 2049, GeneralizedTime from 2050, in seconds and
 * UTC, and a date that exists.
 * @returns milliseconds since 1970.
 */
export function readTimeMs(reader: DerReader): number {
  const isUtcTime = reader.nextTag === tags.utcTime;
  const text = reader.contents(isUtcTime ? tags.utcTime : tags.generalizedTime);
  const yearDigits = isUtcTime ? 2 : 4;
  if (text.length !== yearDigits + 11 || text.at(-1) !== ZULU) {
    return reader.fail('a time in seconds and UTC', `${text.length} characters of another format`);
  }
  const year = isUtcTime ? shortYear(pair(text, 0)) : pair(text, 0) * 100 + pair(text, 2);
  if (!isUtcTime && year < 2050) return reader.fail('UTCTime before 2050', 'GeneralizedTime');
  const month = pair(text, yearDigits);
  const day = pair(text, yearDigits + 2);
  const clock = [pair(text, yearDigits + 4), pair(text, yearDigits + 6), pair(text, yearDigits + 8)] as const;
  return (
    utcTimeMs(year, month, day, clock) ??
    reader.fail('a date that exists', 'one that does not, or other characters than digits')
  );
}

const shortYear = (written: number): number => (written < 50 ? 2000 : 1900) + written;

/** Two decimal digits; NaN for other characters. */
function pair(text: Uint8Array, at: number): number {
  const tens = byteAt(text, at) - ASCII_ZERO;
  const ones = byteAt(text, at + 1) - ASCII_ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
