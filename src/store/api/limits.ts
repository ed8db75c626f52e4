import { types } from 'node:util';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { NameRange } from './store-api.ts';

/** Longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 4096;
/** Largest value, in bytes: 16 MiB. */
export const MAX_VALUE_BYTES = 16 * 1024 * 1024;
/** Largest atomic batch, in bytes as sealed: 64 MiB. */
export const MAX_BATCH_BYTES = 64 * 1024 * 1024;
/** Most operations of an atomic batch: it is judged and sealed in one turn of the event loop. */
export const MAX_BATCH_OPERATIONS = 65_536;
/** Length of a store key. */
export const STORE_KEY_BYTES = 32;
/** Length of a store id. */
export const STORE_ID_BYTES = 16;

/** Finds a surrogate without its partner: such a text has no UTF-8 form. */
const loneSurrogate = /\p{Surrogate}/u;

/**
 * Checks a name of a record or namespace.
 * @throws TypeError when it is no text; EvidenceError STORE_NAME_INVALID when it is empty, over 4 KiB of UTF-8, or
 *   contains half a surrogate pair.
 */
export function checkName(name: string): void {
  if (typeof name !== 'string') throw new TypeError(`a name must be a string, got ${typeof name}`);
  // Three bytes per UTF-16 unit are the most, so short names need no counting.
  const tooLong = name.length > MAX_NAME_BYTES / 3 && Buffer.byteLength(name) > MAX_NAME_BYTES;
  if (name !== '' && !tooLong && !loneSurrogate.test(name)) return;
  throw new EvidenceError('STORE_NAME_INVALID', 'a name must be 1 to 4096 bytes of UTF-8', {
    field: 'name',
    expected: `1 to ${MAX_NAME_BYTES} bytes of well-formed Unicode`,
    observed: name === '' ? 'nothing' : `${Buffer.byteLength(name)} bytes${tooLong ? '' : ', ill-formed'}`,
  });
}

/**
 * Checks a value.
 * @throws TypeError when it is not bytes, or its buffer was transferred away; EvidenceError STORE_VALUE_TOO_LARGE over
 *   16 MiB.
 */
export function checkValue(value: Uint8Array): void {
  // Of no bytes there may be none, or they may be gone: copying tells.
  if (!types.isUint8Array(value) || value.length === 0) copyBytes(value, 'a value');
  if (value.length <= MAX_VALUE_BYTES) return;
  throw new EvidenceError('STORE_VALUE_TOO_LARGE', `a value must not be over ${MAX_VALUE_BYTES} bytes`, {
    field: 'value',
    expected: `at most ${MAX_VALUE_BYTES} bytes`,
    observed: `${value.length} bytes`,
  });
}

/**
 * Checks the bounds of an iteration, which callers in JavaScript may get wrong.
 * @throws RangeError for a limit that is not a whole number from 0; TypeError for bounds that are no text.
 */
export function checkRange(range: NameRange): void {
  if (typeof range !== 'object' || range === null) throw new TypeError('a range must be an object');
  const { limit, reverse } = range;
  for (const bound of ['prefix', 'from', 'before'] as const) {
    const text = range[bound];
    if (text !== undefined && typeof text !== 'string')
      throw new TypeError(`${bound} must be a string, got ${typeof text}`);
  }
  requireBoolean(reverse, 'reverse');
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new RangeError(`limit must be a whole number from 0, got ${String(limit)}`);
}

/** @throws TypeError when an option is there and neither true nor false. */
export function requireBoolean(value: boolean | undefined, name: string): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw new TypeError(`${name} must be true or false, got ${typeof value}`);
}
