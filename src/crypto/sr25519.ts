import { getPublicKey, secretFromSeed, sign, verify } from '@scure/sr25519';

/** Public key (the account id), 32 bytes, of a 32-byte seed (Substrate's mini secret key). */
export const sr25519PublicKey = (seed: Uint8Array): Uint8Array => withSecretKey(seed, getPublicKey);

/** Schnorrkel signature, 64 bytes, in Substrate's signing context. */
export const sr25519Sign = (seed: Uint8Array, message: Uint8Array): Uint8Array =>
  withSecretKey(seed, (secretKey) => sign(secretKey, message));

/** Expands the seed, and wipes what was made of it. The arithmetic is on big integers: see docs/secret-handling.md. */
function withSecretKey(seed: Uint8Array, use: (secretKey: Uint8Array) => Uint8Array): Uint8Array {
  const secretKey = secretFromSeed(seed);
  try {
    return use(secretKey);
  } finally {
    secretKey.fill(0);
  }
}

/** Checks a signature of {@link sr25519Sign}; false for anything malformed. */
export function sr25519Verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return verify(message, signature, publicKey);
  } catch {
    return false;
  }
}
