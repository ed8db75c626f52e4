import {
  ML_KEM_CIPHERTEXT_BYTES,
  ML_KEM_PUBLIC_KEY_BYTES,
  ML_KEM_SEED_BYTES,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemKeyPair,
} from './ml-kem-768.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { sha3With256, shake256 } from './sha3.ts';
import { x25519KeyPairFromSecret } from './x25519.ts';

// X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 in one key encapsulation. Who breaks only one of the two
// learns nothing.

const X25519_BYTES = 32;
/** Bytes of the secret: the seed of both key pairs. */
export const X_WING_SEED_BYTES = 32;
/** Bytes of a public key: ML-KEM-768, then X25519. */
export const X_WING_PUBLIC_KEY_BYTES = ML_KEM_PUBLIC_KEY_BYTES + X25519_BYTES;
/** Bytes of an encapsulated key: ML-KEM-768, then X25519. */
export const X_WING_CIPHERTEXT_BYTES = ML_KEM_CIPHERTEXT_BYTES + X25519_BYTES;
const ENCAPSULATION_SEED_BYTES = 64;
/** The six bytes of the draft's label, `\.//^\`. */
const LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);

/** A key encapsulation. The caller wipes the shared secret. */
export interface XWingEncapsulation {
  /** 1120 bytes. */
  readonly ciphertext: Uint8Array;
  /** 32 bytes. */
  readonly sharedSecret: Uint8Array;
}

/**
 * The public key of a seed.
 * @returns 1216 bytes.
 * @throws RangeError unless the seed has 32 bytes.
 */
export function xWingPublicKey(seed: Uint8Array): Uint8Array {
  const pairs = expand(seed);
  pairs.mlKem.secretKey.fill(0);
  return pairs.publicKey;
}

/** Whether bytes of any length are a public key that can be encapsulated to. */
export const isXWingPublicKey = (bytes: Uint8Array): boolean =>
  bytes.length === X_WING_PUBLIC_KEY_BYTES && xWingEncapsulate(bytes) !== undefined;

/**
 * Encapsulates to a public key.
 * @param random gives 64 bytes; only test vectors give others than random ones.
 * @returns `undefined` when the key is malformed, or its X25519 half has small order.
 * @throws RangeError unless the public key has 1216 bytes.
 */
export function xWingEncapsulate(
  publicKey: Uint8Array,
  random: RandomSource = systemRandom,
): XWingEncapsulation | undefined {
  requireLength(publicKey, X_WING_PUBLIC_KEY_BYTES, 'X-Wing public key');
  const seed = random(ENCAPSULATION_SEED_BYTES);
  try {
    const forMlKem = mlKemEncapsulate(
      publicKey.subarray(0, ML_KEM_PUBLIC_KEY_BYTES),
      seed.subarray(0, ENCAPSULATION_SEED_BYTES / 2),
    );
    if (forMlKem === undefined) return undefined;
    const ephemeral = x25519KeyPairFromSecret(seed.subarray(ENCAPSULATION_SEED_BYTES / 2));
    const recipient = publicKey.subarray(ML_KEM_PUBLIC_KEY_BYTES);
    const dh = ephemeral.privateKey.diffieHellman(recipient);
    if (dh === undefined) {
      forMlKem.sharedSecret.fill(0);
      return undefined;
    }
    const ciphertext = new Uint8Array(X_WING_CIPHERTEXT_BYTES);
    ciphertext.set(forMlKem.ciphertext);
    ciphertext.set(ephemeral.publicKey, ML_KEM_CIPHERTEXT_BYTES);
    return { ciphertext, sharedSecret: combine(forMlKem.sharedSecret, dh, ephemeral.publicKey, recipient) };
  } finally {
    seed.fill(0);
  }
}

/**
 * Decapsulates with a seed.
 * @returns 32 bytes, which the caller wipes; for a ciphertext of another key they are random. `undefined` when the
 *   X25519 half has small order.
 * @throws RangeError unless the ciphertext has 1120 bytes and the seed 32.
 */
export function xWingDecapsulate(ciphertext: Uint8Array, seed: Uint8Array): Uint8Array | undefined {
  requireLength(ciphertext, X_WING_CIPHERTEXT_BYTES, 'X-Wing ciphertext');
  const { mlKem, x25519 } = expand(seed);
  const ephemeral = ciphertext.subarray(ML_KEM_CIPHERTEXT_BYTES);
  const dh = x25519.privateKey.diffieHellman(ephemeral);
  const secret = mlKemDecapsulate(ciphertext.subarray(0, ML_KEM_CIPHERTEXT_BYTES), mlKem.secretKey);
  mlKem.secretKey.fill(0);
  if (dh !== undefined) return combine(secret, dh, ephemeral, x25519.publicKey);
  secret.fill(0);
  return undefined;
}

/** The combiner of the draft; wipes both secrets. */
function combine(
  mlKemSecret: Uint8Array,
  dh: Uint8Array,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
): Uint8Array {
  const secret = sha3With256(mlKemSecret, dh, ephemeral, recipient, LABEL);
  mlKemSecret.fill(0);
  dh.fill(0);
  return secret;
}

/** Both key pairs of a seed (expandDecapsulationKey of the draft). */
function expand(seed: Uint8Array) {
  requireLength(seed, X_WING_SEED_BYTES, 'X-Wing seed');
  const expanded = shake256(seed, ML_KEM_SEED_BYTES + X25519_BYTES);
  const mlKem = mlKemKeyPair(expanded.subarray(0, ML_KEM_SEED_BYTES));
  const x25519 = x25519KeyPairFromSecret(expanded.subarray(ML_KEM_SEED_BYTES));
  expanded.fill(0);
  const publicKey = new Uint8Array(X_WING_PUBLIC_KEY_BYTES);
  publicKey.set(mlKem.publicKey);
  publicKey.set(x25519.publicKey, ML_KEM_PUBLIC_KEY_BYTES);
  return { mlKem, x25519, publicKey };
}

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new RangeError(`${what} must be ${length} bytes, got ${bytes.length}`);
}
