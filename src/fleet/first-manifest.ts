import { RefusalError } from '../errors/latchkey-error.ts';
import { DAY_MS } from '../trust/section-values.ts';
import type { VerifiedHeader } from './verify-header.ts';

/** Oldest manifest that a new node takes as its first: a host could show it an old one. */
export const MAX_FIRST_MANIFEST_AGE_MS = 180 * DAY_MS;
/** How far the clocks of the signers may be ahead of the chain. */
export const MAX_AHEAD_MS = DAY_MS;

/**
 * Judges the age of the first manifest of a new node. A node with a store remembers the newest serial; a new one has
 * nothing but the measured minimum and the time of the chain.
 * @throws RefusalError FLEET_AGE_REFUSED, and what {@link judgeIssueTime} throws.
 */
export function judgeFirstManifest(verified: VerifiedHeader, chainMs: number): void {
  judgeIssueTime(verified, chainMs);
  const ageMs = chainMs - verified.header.issuedAtMs;
  if (ageMs <= MAX_FIRST_MANIFEST_AGE_MS) return;
  throw new RefusalError('FLEET_AGE_REFUSED', 'a new node does not take this fleet manifest as its first', {
    field: 'issuedAtMs',
    expected: `at most ${MAX_FIRST_MANIFEST_AGE_MS / DAY_MS} days before the time of the chain`,
    observed: `${Math.floor(ageMs / DAY_MS)} days before it`,
    hint: 'sign a manifest of a higher serial with the same content: `latchkey fleet draft --from FILE`',
  });
}

/**
 * Judges the date of any manifest. One from the future would stay young for new nodes for as long, and its date is what
 * nodes without memory count from.
 * @param chainMs time of the chain; 0 before it is known, and then no manifest is taken.
 * @throws RefusalError FLEET_ISSUED_AHEAD.
 */
export function judgeIssueTime({ header: { issuedAtMs } }: VerifiedHeader, chainMs: number): void {
  if (issuedAtMs <= chainMs + MAX_AHEAD_MS) return;
  throw new RefusalError(
    'FLEET_ISSUED_AHEAD',
    'the fleet manifest is issued later than the time of the chain',
    {
      field: 'issuedAtMs',
      expected: `at most ${chainMs + MAX_AHEAD_MS}, a day after the newest block that is known`,
      observed: `${issuedAtMs}`,
      hint: 'the clock of the machine that drafted it was ahead: let the keys sign a higher serial with the right time',
    },
  );
}
