import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';

/** Bytes of the random nonce. */
export const XCHACHA_NONCE_BYTES = 24;
/** Bytes of the Poly1305 tag behind the ciphertext. */
export const XCHACHA_TAG_BYTES = 16;

/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): 32-byte key, 24-byte nonce; ciphertext ‖ 16-byte tag. */
export function xchacha20Poly1305Seal(
  key: Uint8Array,
  nonce: Uint8Array,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return xchacha20poly1305(key, nonce, associatedData).encrypt(plaintext);
}

/** Opens what {@link xchacha20Poly1305Seal} made; `undefined` when anything does not match. */
export function xchacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  associatedData: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < XCHACHA_TAG_BYTES) return undefined;
  try {
    return xchacha20poly1305(key, nonce, associatedData).decrypt(sealed);
  } catch {
    return undefined;
  }
}
