import { sha256Hex } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** A condition on the present value, checked before it is replaced or deleted (RFC 9110 section 13.1). */
export type Precondition =
  | { readonly kind: 'none' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'equals'; readonly etag: string };

/** The entity tag of a value, without quotes: its SHA-256, so that it is the same after a restart. */
export const entityTag = (value: Uint8Array): string => sha256Hex(value);

const STRONG_TAG = /^"([0-9a-f]{64})"$/;

/**
 * Reads `If-Match: "<tag>"`, `If-Match: *` or `If-None-Match: *`.
 * @throws EvidenceError FIELD_INVALID for another form, both at once, or where the route takes no condition.
 */
export function readPrecondition(
  heeded: boolean,
  header: (name: string) => string | undefined,
): Precondition {
  const match = header('if-match');
  const noneMatch = header('if-none-match');
  if (match === undefined && noneMatch === undefined) return { kind: 'none' };
  if (!heeded) throw invalid('this route heeds no If-Match or If-None-Match', 'neither');
  if (match !== undefined && noneMatch !== undefined)
    throw invalid('If-Match and If-None-Match exclude each other', 'one of them');
  if (noneMatch !== undefined) {
    if (noneMatch === '*') return { kind: 'absent' };
    throw invalid('If-None-Match must be *', '*');
  }
  if (match === '*') return { kind: 'present' };
  const etag = STRONG_TAG.exec(match ?? '')?.[1];
  if (etag === undefined) throw invalid('If-Match must be * or one entity tag', '* or "<64 hex digits>"');
  return { kind: 'equals', etag };
}

/**
 * Checks a condition against the present value.
 * @throws EvidenceError PRECONDITION_FAILED.
 */
export function requirePrecondition(precondition: Precondition, present: Uint8Array | undefined): void {
  const observed = present === undefined ? 'no value' : `"${entityTag(present)}"`;
  const [holds, expected] = judge(precondition, present);
  if (holds) return;
  throw new EvidenceError('PRECONDITION_FAILED', 'the present value is not the expected one', {
    field: precondition.kind === 'absent' ? 'If-None-Match' : 'If-Match',
    expected,
    observed,
  });
}

function judge(precondition: Precondition, present: Uint8Array | undefined): readonly [boolean, string] {
  switch (precondition.kind) {
    case 'none':
      return [true, 'anything'];
    case 'absent':
      return [present === undefined, 'no value'];
    case 'present':
      return [present !== undefined, 'a value'];
    case 'equals':
      return [present !== undefined && entityTag(present) === precondition.etag, `"${precondition.etag}"`];
  }
}

const invalid = (message: string, expected: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', message, { field: 'If-Match', expected });
