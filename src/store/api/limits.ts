import { EvidenceError } from '../../errors/latchkey-error.ts';

/** Longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 4096;
/** Largest value, in bytes: 16 MiB. */
export const MAX_VALUE_BYTES = 16 * 1024 * 1024;
/** Largest atomic batch, in bytes as sealed: 64 MiB. */
export const MAX_BATCH_BYTES = 64 * 1024 * 1024;
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
  if (typeof name !== 'string') throw new TypeError('a name must be a string');
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
 * @throws TypeError when it is not bytes; EvidenceError STORE_VALUE_TOO_LARGE over 16 MiB.
 */
export function checkValue(value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw new TypeError('a value must be a Uint8Array');
  if (value.length <= MAX_VALUE_BYTES) return;
  throw new EvidenceError('STORE_VALUE_TOO_LARGE', `a value must not be over ${MAX_VALUE_BYTES} bytes`, {
    field: 'value',
    expected: `at most ${MAX_VALUE_BYTES} bytes`,
    observed: `${value.length} bytes`,
  });
}
