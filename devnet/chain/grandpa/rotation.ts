import { utf8 } from '../../../src/bytes/concat.ts';
import { blake2b256 } from '../../../src/crypto/blake2.ts';
import {
  type AuthorityChange,
  type AuthoritySet,
  type AuthorityState,
  deriveAuthoritySet,
} from './authorities.ts';

const MAX_DELAY = 1000;

/** How the authority set changes. */
export interface Rotation {
  /** Size of the new set; default: the present size. All keys of the new set are new. */
  readonly count?: number;
  /** Blocks that the old set finalizes behind the announcing one, default 0. */
  readonly delay?: number;
  /** Announces a forced change: the new set finalizes the announcing block already. */
  readonly forced?: boolean;
}

/**
 * The change that the next block announces.
 * @throws RangeError when a delayed change is not in force yet, or a number is out of range.
 */
export function plannedChange(
  { count, delay = 0, forced = false }: Rotation,
  { set, scheduled }: AuthorityState,
  finalizedNumber: number,
  seed: Uint8Array,
): AuthorityChange {
  if (scheduled !== undefined) throw new RangeError(`a change is pending until block ${scheduled.at}`);
  if (!Number.isInteger(delay) || delay < 0 || delay > MAX_DELAY || (forced && delay > 0))
    throw new RangeError(`delay must be 0 to ${MAX_DELAY}, and 0 of a forced change, got ${delay}`);
  const next = deriveAuthoritySet(seed, set.id + 1, count ?? set.authorities.length);
  return { next, delay, ...(forced ? { forcedAfter: finalizedNumber } : {}) };
}

/** A set of the same size with keys that are not authorized. */
export const impostorsOf = (seed: Uint8Array, { id, authorities }: AuthoritySet): AuthoritySet =>
  deriveAuthoritySet(blake2b256(utf8('impostors'), seed), id, authorities.length);
