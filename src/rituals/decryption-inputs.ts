import { requireInteger } from '../bytes/require-value.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { Ritual } from './ritual.ts';
import type { ActiveRitual, Validator } from './ritual-cache.ts';

/** What a program needs to make this node's share of a threshold decryption. */
export interface DecryptionInputs extends Ritual {
  /** The ritual as it was stored when it became active. */
  readonly ritual: ActiveRitual;
  /** All validators of the ritual, in the order in which they were stored. */
  readonly validators: readonly Validator[];
  /** Where this node stands among them, from 0. */
  readonly position: number;
}

/** What is cached about a ritual; `undefined` where nothing is. */
interface Cached {
  readonly ritual: ActiveRitual | undefined;
  readonly validators: readonly Validator[] | undefined;
}

/**
 * Judges whether the validator may decrypt for a ritual at this unix time in seconds.
 * @param validator The node's own address, exactly as it was stored.
 * @throws RefusalError RITUAL_NOT_ACTIVE, RITUAL_EXPIRED from its `endTimestamp` on, RITUAL_NOT_PARTICIPANT. TypeError or
 *   RangeError for a validator that is no string and a time that is no integer.
 */
export function judgeDecryption(
  id: number,
  { ritual, validators = [] }: Cached,
  validator: string,
  nowSeconds: number,
): Pick<DecryptionInputs, 'ritual' | 'validators' | 'position'> {
  if (typeof validator !== 'string')
    throw new TypeError(`validator must be a string, got ${typeof validator}`);
  requireInteger(nowSeconds, 'nowSeconds');
  if (ritual === undefined)
    throw new RefusalError('RITUAL_NOT_ACTIVE', `ritual ${id} is not kept as active`, {
      hint: 'store the active ritual when the chain has finalized it',
    });
  if (nowSeconds >= ritual.endTimestamp)
    throw new RefusalError('RITUAL_EXPIRED', `decryption for ritual ${id} refused: it ended`, {
      field: 'endTimestamp',
      expected: `later than ${nowSeconds}`,
      observed: String(ritual.endTimestamp),
    });
  const position = validators.findIndex(({ address }) => address === validator);
  if (position === -1)
    throw new RefusalError('RITUAL_NOT_PARTICIPANT', `ritual ${id} has no such validator`, {
      field: 'validator',
      hint: 'addresses are compared as they were stored, with their upper and lower case',
    });
  return { ritual, validators, position };
}
