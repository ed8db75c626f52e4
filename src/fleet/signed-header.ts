import { byteAt } from '../bytes/byte-at.ts';
import { compareBytes, concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { MAX_AUTHORITY_KEYS } from '../trust/fleet-authority.ts';
import {
  decodeHeader,
  encodeHeader,
  FLEET_HEADER_BYTES,
  type FleetHeader,
  malformedHeader,
} from './fleet-header.ts';

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const ENTRY_BYTES = KEY_BYTES + SIGNATURE_BYTES;
const ENTRIES_AT = FLEET_HEADER_BYTES + 1;

/** Longest signed header: less than the most bytes of one extension. */
export const MAX_SIGNED_HEADER_BYTES = ENTRIES_AT + MAX_AUTHORITY_KEYS * ENTRY_BYTES;

/** One key's signature, not verified. */
export interface HeaderSignature {
  /** Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** A header with signatures that are not verified. */
export interface SignedHeader {
  readonly header: FleetHeader;
  /** Ascending by key, no key twice; at most {@link MAX_AUTHORITY_KEYS}. */
  readonly signatures: readonly HeaderSignature[];
}

/**
 * The exact bytes: header ‖ u8 count ‖ (key ‖ signature)…, ascending by key.
 * @throws RangeError when there are too many signatures, or a key has two.
 */
export function encodeSignedHeader({ header, signatures }: SignedHeader): Uint8Array {
  const sorted = [...signatures].sort((a, b) => compareBytes(a.key, b.key));
  if (sorted.length > MAX_AUTHORITY_KEYS)
    throw new RangeError(`at most ${MAX_AUTHORITY_KEYS} signatures, got ${sorted.length}`);
  if (!isAscending(sorted)) throw new RangeError('a key signs a header once');
  return concatBytes(
    encodeHeader(header),
    Uint8Array.of(sorted.length),
    ...sorted.flatMap(({ key, signature }) => [key, signature]),
  );
}

/** Reads the exact bytes; there is one spelling. @throws EvidenceError FLEET_HEADER_MALFORMED. */
export function decodeSignedHeader(bytes: Uint8Array): SignedHeader {
  if (bytes.length < ENTRIES_AT)
    throw malformedHeader('signed header', `at least ${ENTRIES_AT} bytes`, `${bytes.length} bytes`);
  const count = byteAt(bytes, FLEET_HEADER_BYTES);
  if (count > MAX_AUTHORITY_KEYS)
    throw malformedHeader('signatures', `at most ${MAX_AUTHORITY_KEYS}`, `${count}`);
  const expectedBytes = ENTRIES_AT + count * ENTRY_BYTES;
  if (bytes.length !== expectedBytes)
    throw malformedHeader(
      'signed header',
      `${expectedBytes} bytes with ${count} signatures`,
      `${bytes.length}`,
    );
  const own = copyBytes(bytes, 'signed header');
  const signatures = Array.from({ length: count }, (_, index) => signatureAt(own, index));
  if (!isAscending(signatures)) throw malformedHeader('signatures', 'ascending by key', 'another order');
  return { header: decodeHeader(own.subarray(0, FLEET_HEADER_BYTES)), signatures };
}

function signatureAt(bytes: Uint8Array, index: number): HeaderSignature {
  const at = ENTRIES_AT + index * ENTRY_BYTES;
  return {
    key: bytes.subarray(at, at + KEY_BYTES),
    signature: bytes.subarray(at + KEY_BYTES, at + ENTRY_BYTES),
  };
}

function isAscending(signatures: readonly HeaderSignature[]): boolean {
  return signatures.every(({ key }, index) => {
    const before = signatures[index - 1];
    return before === undefined || compareBytes(before.key, key) < 0;
  });
}
