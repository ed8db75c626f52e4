import { concatBytes, utf8 } from '../../bytes/concat.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../../crypto/chacha20-poly1305.ts';
import { hkdfExpand, hkdfExtract } from '../../crypto/hkdf.ts';
import { type X25519KeyPair, type X25519PrivateKey, x25519KeyPairFromSecret } from '../../crypto/x25519.ts';

const PUBLIC_KEY_BYTES = 32;
const LABEL = 'latchkey/v1/dkg-sealed-part';
/** The key of a part is used once, so its nonce may be fixed. */
const NONCE = new Uint8Array(12);

/**
 * Seals a dealer's parts to the players: X25519 with one ephemeral key for the whole dealing, HKDF-SHA-256 over both
 * public keys and the dealing's digest, ChaCha20-Poly1305. The ephemeral key follows from the dealer's seed, so that a
 * restarted dealer sends the same bytes; equal keys always carry equal plaintexts.
 */
export class PartSealer {
  readonly #ephemeral: X25519KeyPair;
  readonly #context: Uint8Array;

  /** `ephemeralSecret`: 32 bytes that follow from the seed; `context`: the dealing's digest. */
  constructor(ephemeralSecret: Uint8Array, context: Uint8Array) {
    this.#ephemeral = x25519KeyPairFromSecret(ephemeralSecret);
    this.#context = context;
  }

  /** `ephemeral public key (32) ‖ ciphertext ‖ tag (16)`. @throws RangeError for a key of small order. */
  seal(encryptionKey: Uint8Array, part: SecretBytes): Uint8Array {
    const { privateKey, publicKey } = this.#ephemeral;
    const key = partKey(privateKey, encryptionKey, concatBytes(publicKey, encryptionKey, this.#context));
    if (key === undefined) throw new RangeError('a player has an encryption key of small order');
    return concatBytes(publicKey, chacha20Poly1305Seal(key, NONCE, this.#context, part.reveal()));
  }
}

/** Opens a part that {@link PartSealer} sealed to us; `undefined` when it does not open. */
export function openPart(
  keyPair: X25519KeyPair,
  context: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < PUBLIC_KEY_BYTES) return undefined;
  const ephemeral = sealed.subarray(0, PUBLIC_KEY_BYTES);
  const binding = concatBytes(ephemeral, keyPair.publicKey, context);
  const key = partKey(keyPair.privateKey, ephemeral, binding);
  return key && chacha20Poly1305Open(key, NONCE, context, sealed.subarray(PUBLIC_KEY_BYTES));
}

function partKey(secret: X25519PrivateKey, peer: Uint8Array, binding: Uint8Array): Uint8Array | undefined {
  const shared = secret.diffieHellman(peer);
  return shared && hkdfExpand(hkdfExtract(utf8(LABEL), shared), binding, 32);
}
