import { utf8 } from '../bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

const BYTES = '$bytes';

/** JSON bytes of a plain value; byte strings become `{"$bytes": "0x…"}`. */
export const toRecordJson = (value: unknown): Uint8Array =>
  utf8(
    JSON.stringify(value, (_name, member: unknown) =>
      member instanceof Uint8Array ? { [BYTES]: toPrefixedHex(member) } : member,
    ),
  );

/**
 * Reads the bytes of {@link toRecordJson}; the type parameter is the type that was written.
 * @throws ProblemError RITUAL_RECORD_DAMAGED when it is no JSON.
 */
export function fromRecordJson<T>(bytes: Uint8Array): T {
  try {
    // The store authenticates its records, so this is the value that was written.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), reviveBytes) as T;
  } catch (cause) {
    throw new ProblemError('RITUAL_RECORD_DAMAGED', 'a stored record is not JSON', { cause });
  }
}

function reviveBytes(_name: string, member: unknown): unknown {
  if (typeof member !== 'object' || member === null || !(BYTES in member)) return member;
  const bytes = typeof member[BYTES] === 'string' ? tryFromHex(member[BYTES]) : undefined;
  return bytes ?? member;
}
