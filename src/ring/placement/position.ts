import { byteAt } from '../../bytes/byte-at.ts';
import { utf8 } from '../../bytes/concat.ts';
import type { AccountId, BlockHash } from '../../bytes/fixed-bytes.ts';
import { sha256 } from '../../crypto/sha2.ts';

/** Bytes of a position, of a record id and of a distance. */
export const POSITION_BYTES = 32;

const RING_LABEL = utf8('latchkey/v1/ring');

/**
 * Position of a member: SHA-256("latchkey/v1/ring" ‖ account ‖ block hash), 32 bytes. The block is finalized after the
 * account is registered, so that an account cannot be searched that comes to lie next to a chosen record.
 */
export const ringPosition = (account: AccountId, anchor: BlockHash): Uint8Array =>
  sha256(RING_LABEL, account, anchor);

/** XOR of two positions or ids, 32 bytes; a big-endian number, smaller is nearer. */
export function distanceOf(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== POSITION_BYTES || b.length !== POSITION_BYTES) {
    throw new RangeError(`positions must be ${POSITION_BYTES} bytes, got ${a.length} and ${b.length}`);
  }
  return Uint8Array.from(a, (byte, index) => byte ^ byteAt(b, index));
}

/** Negative when `a` is nearer to the id than `b`, positive when it is farther, zero when they are one position. */
export function compareDistance(id: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < POSITION_BYTES; index++) {
    const [toA, toB] = [byteAt(id, index) ^ byteAt(a, index), byteAt(id, index) ^ byteAt(b, index)];
    if (toA !== toB) return toA - toB;
  }
  return 0;
}

/** Bit of a position or id, 0 being the highest bit of the first byte. */
export const bitAt = (bytes: Uint8Array, bit: number): 0 | 1 =>
  ((byteAt(bytes, bit >> 3) >> (7 - (bit & 7))) & 1) === 1 ? 1 : 0;
