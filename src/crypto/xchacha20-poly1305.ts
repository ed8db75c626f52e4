import { chacha20Poly1305Open, chacha20Poly1305Seal } from './chacha20-poly1305.ts';
import { hchacha20 } from './hchacha20.ts';

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
  const subkey = subkeyOf(key, nonce);
  const sealed = chacha20Poly1305Seal(subkey, innerNonce(nonce), associatedData, plaintext);
  subkey.fill(0);
  return sealed;
}

/** Opens what {@link xchacha20Poly1305Seal} made; `undefined` when anything does not match. */
export function xchacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  associatedData: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (nonce.length !== XCHACHA_NONCE_BYTES) return undefined;
  const subkey = subkeyOf(key, nonce);
  const plaintext = chacha20Poly1305Open(subkey, innerNonce(nonce), associatedData, sealed);
  subkey.fill(0);
  return plaintext;
}

function subkeyOf(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (nonce.length !== XCHACHA_NONCE_BYTES)
    throw new RangeError(`an XChaCha20 nonce must be ${XCHACHA_NONCE_BYTES} bytes, got ${nonce.length}`);
  const subkey = new Uint8Array(32);
  hchacha20(key, nonce.subarray(0, 16), subkey);
  return subkey;
}

/** Four zero bytes, then the last eight of the nonce (section 2.3). */
function innerNonce(nonce: Uint8Array): Uint8Array {
  const inner = new Uint8Array(12);
  inner.set(nonce.subarray(16), 4);
  return inner;
}
