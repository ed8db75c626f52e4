import { RefusalError } from '../errors/latchkey-error.ts';
import { DAY_MS } from '../trust/section-values.ts';
import type { VerifiedHeader } from './verify-header.ts';

/** Oldest manifest that a new node takes as its first: a host could show it an old one. */
export const MAX_FIRST_MANIFEST_AGE_MS = 180 * DAY_MS;
/** How far the clocks of the signers may be ahead of the chain. */
const MAX_AHEAD_MS = DAY_MS;

/**
 * Judges the age of the first manifest of a new node. A node with a store remembers the newest serial; a new one has
 * nothing but the measured minimum and the time of the chain.
 * @throws RefusalError FLEET_AGE_REFUSED.
 */
export function judgeFirstManifest({ header }: VerifiedHeader, chainMs: number): void {
  const ageMs = chainMs - header.issuedAtMs;
  if (ageMs <= MAX_FIRST_MANIFEST_AGE_MS && ageMs >= -MAX_AHEAD_MS) return;
  throw new RefusalError('FLEET_AGE_REFUSED', 'a new node does not take this fleet manifest as its first', {
    field: 'issuedAtMs',
    expected: `at most ${MAX_FIRST_MANIFEST_AGE_MS / DAY_MS} days before the time of the chain`,
    observed: ageMs > 0 ? `${Math.floor(ageMs / DAY_MS)} days before it` : 'a time after it',
    hint: 'sign a manifest of a higher serial with the same content: `latchkey fleet draft --from FILE`',
  });
}
