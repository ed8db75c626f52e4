import { z } from 'zod';
import { tryFromHex } from '../bytes/hex.ts';

/** A fixed-size value in the trust section: `0x` and hex, as lower case. */
export const hexBytes = (byteLength: number) =>
  z
    .string()
    .regex(
      new RegExp(`^0x[0-9a-fA-F]{${byteLength * 2}}$`),
      `must be 0x and ${byteLength * 2} hex digits (${byteLength} bytes)`,
    )
    // One value has one text, or two spellings of the same section would hash apart.
    .transform((text) => text.toLowerCase());

/** The bytes of hex that the schema has checked already. @throws TypeError for any other text. */
export function checkedHex(text: string): Uint8Array {
  const bytes = tryFromHex(text);
  if (bytes === undefined) throw new TypeError('not a value of a parsed trust section');
  return bytes;
}

/** Lists mean sets: order and repetition carry no meaning, so they must not change the hash. */
export const hexSet = (byteLength: number, most: number) =>
  z
    .array(hexBytes(byteLength))
    .max(most)
    .transform((list) => [...new Set(list)].sort());

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const DAY_MS = 24 * 60 * MINUTE_MS;

/** A duration in milliseconds. */
export const milliseconds = (least: number, most: number) => z.int().min(least).max(most);
