import { requireInteger } from '../bytes/require-value.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** One node's decryption key fragment of one ritual. */
export interface Ritual extends RitualReference {
  /** The secret bytes of the fragment. */
  readonly fragment: Uint8Array;
}

/** A ritual without its fragment. */
export interface RitualReference {
  /** Integer from 0 to 2^53 - 1; the coordinator counts rituals from 0. */
  readonly id: number;
  /** Integer unix time in seconds. */
  readonly timestamp: number;
}

/** Sixteen digits hold every safe integer, so that names sort as numbers. */
const digits = (value: number): string => String(value).padStart(16, '0');

/** The integer as a name; names sort in the order of the numbers. */
export function idText(id: number): string {
  requireInteger(id, 'ritual id');
  return digits(id);
}

/** Name in the index by time: time, then id. */
export const timeName = ({ id, timestamp }: RitualReference): string =>
  `${timeBound(timestamp)}/${idText(id)}`;

/** The first possible name of a time in the index by time. */
export function timeBound(timestamp: number): string {
  requireInteger(timestamp, 'timestamp');
  return digits(timestamp);
}

/** Reads the text of {@link timeName}. @throws ProblemError RITUAL_RECORD_DAMAGED for anything else. */
export function parseTimeName(name: string): RitualReference {
  const match = /^([0-9]{16})\/([0-9]{16})$/.exec(name);
  if (match === null) throw new ProblemError('RITUAL_RECORD_DAMAGED', `index entry ${name}`);
  return { timestamp: Number(match[1]), id: Number(match[2]) };
}
