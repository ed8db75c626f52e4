import type { NameRange } from '../api/store-api.ts';

/** Places a UTF-16 unit as its character's UTF-8 bytes are placed: surrogates stand for what comes after U+FFFF. */
const weight = (unit: number): number =>
  unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;

const highUnit = /[\ud800-\uffff]/;

/** True for names on which the order of UTF-16 units is that of UTF-8 bytes, against any other name. */
export const isPlainName = (name: string): boolean => !highUnit.test(name);

/** Order of the UTF-8 bytes of two names, without encoding them: negative, zero or positive. */
export function compareNames(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index += 1) {
    const difference = weight(a.charCodeAt(index)) - weight(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Two predicates that bound a range; each is true for the first names in order, and false for all later names. */
export interface RangeBounds {
  readonly isBefore: (name: string) => boolean;
  readonly isNotPast: (name: string) => boolean;
}

/** Converts a range into predicates on names. Names with the same prefix are neighbours in the order. */
export function boundsOf({ prefix = '', from = '', before }: NameRange): RangeBounds {
  const start = compareNames(from, prefix) > 0 ? from : prefix;
  return {
    isBefore: (name) => compareNames(name, start) < 0,
    isNotPast: (name) =>
      (before === undefined || compareNames(name, before) < 0) &&
      (name.startsWith(prefix) || compareNames(name, prefix) < 0),
  };
}
