import { timingSafeEqual } from 'node:crypto';

/** Compares two byte strings in a time that does not depend on where they differ. Lengths are not secret. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
