import { ml_kem768 as mlKem } from '@noble/post-quantum/ml-kem.js';

// FIPS 203. Node 20 has no ML-KEM of its own. The library audits itself and does not claim constant time:
// docs/secret-handling.md.

/** Bytes of an encapsulation key. */
export const ML_KEM_PUBLIC_KEY_BYTES = 1184;
/** Bytes of a ciphertext. */
export const ML_KEM_CIPHERTEXT_BYTES = 1088;
/** Bytes from which a key pair is made (d ‖ z). */
export const ML_KEM_SEED_BYTES = 64;

/** An ML-KEM-768 key pair. The caller wipes the secret half. */
export interface MlKemKeyPair {
  /** 2400 bytes. */
  readonly secretKey: Uint8Array;
  /** 1184 bytes. */
  readonly publicKey: Uint8Array;
}

/** ML-KEM.KeyGen_internal (FIPS 203 section 6.1). @param seed 64 bytes, d ‖ z. */
export const mlKemKeyPair = (seed: Uint8Array): MlKemKeyPair => mlKem.keygen(seed);

/**
 * ML-KEM.Encaps_internal (FIPS 203 section 6.2).
 * @param message 32 random bytes.
 * @returns `undefined` when the key is not the encoding of one (section 7.2).
 */
export function mlKemEncapsulate(
  publicKey: Uint8Array,
  message: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } | undefined {
  try {
    const { cipherText: ciphertext, sharedSecret } = mlKem.encapsulate(publicKey, message);
    return { ciphertext, sharedSecret };
  } catch {
    return undefined;
  }
}

/** ML-KEM.Decaps (FIPS 203 section 7.3); a ciphertext of another key gives a random secret. 32 bytes. */
export const mlKemDecapsulate = (ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array =>
  mlKem.decapsulate(ciphertext, secretKey);
