import { byteAt } from '../bytes/byte-at.ts';
import { type DerReader, tags } from './der-reader.ts';

const ZULU = 0x5a;
const ASCII_ZERO = 0x30;

/**
 * Reads a Time as RFC 5280 section 4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050, in seconds and
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
  // Characters below zero wrap around to large bytes.
  const digits = text.subarray(0, -1).map((character) => character - ASCII_ZERO);
  if (digits.some((digit) => digit > 9)) return reader.fail('a time in digits', 'other characters');
  const written = isUtcTime ? pair(digits, 0) : pair(digits, 0) * 100 + pair(digits, 2);
  const year = !isUtcTime ? written : written < 50 ? 2000 + written : 1900 + written;
  if (!isUtcTime && year < 2050) return reader.fail('UTCTime before 2050', 'GeneralizedTime');
  const month = pair(digits, yearDigits);
  const day = pair(digits, yearDigits + 2);
  const hours = pair(digits, yearDigits + 4);
  const minutes = pair(digits, yearDigits + 6);
  const seconds = pair(digits, yearDigits + 8);
  const timeMs = Date.UTC(year, month - 1, day, hours, minutes, seconds);
  // Date.UTC carries 31 April over into May, and 24:00 into the next day.
  const date = new Date(timeMs);
  const exists =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCHours() === hours;
  return exists && minutes < 60 && seconds < 60
    ? timeMs
    : reader.fail('a date that exists', 'one that does not');
}

const pair = (digits: Uint8Array, at: number): number => byteAt(digits, at) * 10 + byteAt(digits, at + 1);
