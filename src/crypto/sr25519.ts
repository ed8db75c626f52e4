import { getPublicKey, secretFromSeed, sign, verify } from '@scure/sr25519';

/** Public key (the account id), 32 bytes, of a 32-byte seed (Substrate's mini secret key). */
export const sr25519PublicKey = (seed: Uint8Array): Uint8Array => getPublicKey(secretFromSeed(seed));

/** Schnorrkel signature, 64 bytes, in Substrate's signing context. */
export const sr25519Sign = (seed: Uint8Array, message: Uint8Array): Uint8Array =>
  sign(secretFromSeed(seed), message);

/** Checks a signature of {@link sr25519Sign}; false for anything malformed. */
export function sr25519Verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return verify(message, signature, publicKey);
  } catch {
    return false;
  }
}
