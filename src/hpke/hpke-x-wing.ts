import type { RandomSource } from '../crypto/random.ts';
import { X_WING_CIPHERTEXT_BYTES, xWingDecapsulate, xWingEncapsulate } from '../crypto/x-wing.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type HpkeContext, type HpkeMessage, KeySchedule, MODE_BASE, suiteOf } from './key-schedule.ts';

/** X-Wing in the registry of KEMs; its shared secret is used as it is. */
const KEM_ID = 0x647a;
const TAG_BYTES = 16;
const schedule = new KeySchedule(suiteOf(KEM_ID), MODE_BASE);

/** How much longer a sealed message is than its content: encapsulated key and tag. */
export const X_WING_SEALED_EXTRA_BYTES = X_WING_CIPHERTEXT_BYTES + TAG_BYTES;

/** Input of {@link sealToXWing}. */
export interface SealToXWingInput extends HpkeContext {
  /** 1216 bytes. */
  readonly recipientPublicKey: Uint8Array;
  readonly plaintext: Uint8Array;
}

/**
 * Seals in base mode (RFC 9180 section 6.1) to an X-Wing key: the message does not prove its sender.
 * @throws EvidenceError HPKE_PUBLIC_KEY_INVALID when the recipient's key is malformed, or its X25519 half has small order.
 * @throws RangeError when the key does not have 1216 bytes.
 */
export function sealToXWing(input: SealToXWingInput, random?: RandomSource): HpkeMessage {
  const made = xWingEncapsulate(input.recipientPublicKey, random);
  if (made === undefined) {
    throw new EvidenceError('HPKE_PUBLIC_KEY_INVALID', 'the public key to seal to is no X-Wing key', {
      expected: 'an ML-KEM-768 key (FIPS 203 section 7.2) and an X25519 key that is not of small order',
      observed: 'another value',
    });
  }
  return { enc: made.ciphertext, ciphertext: schedule.seal(made.sharedSecret, input, input.plaintext) };
}

/** Input of {@link openWithXWing}. */
export interface OpenWithXWingInput extends HpkeContext, HpkeMessage {
  /** 32 bytes; only read here. */
  readonly seed: Uint8Array;
}

/**
 * Opens a message with the seed of the recipient's X-Wing key; `undefined` when anything does not match.
 * @throws RangeError when `enc` does not have 1120 bytes, or the seed 32.
 */
export function openWithXWing(input: OpenWithXWingInput): Uint8Array | undefined {
  const sharedSecret = xWingDecapsulate(input.enc, input.seed);
  return sharedSecret === undefined ? undefined : schedule.open(sharedSecret, input, input.ciphertext);
}
