import { type DerReader, tags } from './der-reader.ts';

const utcPattern = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const generalizedPattern = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/**
 * Reads a Time as RFC 5280 section 4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050, in seconds and
 * UTC, and a date that exists.
 * @returns milliseconds since 1970.
 */
export function readTimeMs(reader: DerReader): number {
  const isUtcTime = reader.nextTag === tags.utcTime;
  const text = Buffer.from(reader.contents(isUtcTime ? tags.utcTime : tags.generalizedTime)).toString(
    'latin1',
  );
  const match = (isUtcTime ? utcPattern : generalizedPattern).exec(text);
  if (match === null) return reader.fail('a time in seconds and UTC', 'another format');
  const [written = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map(Number);
  const year = isUtcTime ? (written < 50 ? 2000 + written : 1900 + written) : written;
  const timeMs = Date.UTC(year, month - 1, day, hours, minutes, seconds);
  // Date.UTC carries 31 April over into May; a date that exists comes back as it went in.
  const back = new Date(timeMs).toISOString().replace(/[-:T]|\.000/g, '');
  if (!back.endsWith(text)) return reader.fail('a date that exists', text);
  return timeMs;
}
