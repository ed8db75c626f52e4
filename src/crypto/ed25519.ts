import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

const KEY_BYTES = 32;
/** PKCS #8 prefix of an Ed25519 private key (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);
const toBase64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/**
 * A key that signs by Ed25519 (RFC 8032). Its signatures are deterministic: a node that replays its journal after a
 * crash makes the same signatures again. sr25519 does not do this, because each signature has a random part.
 */
export class Ed25519Signer {
  readonly #key: KeyObject;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;

  /** Imports a 32-byte seed. @throws RangeError on another length. */
  constructor(seed: Uint8Array) {
    if (seed.length !== KEY_BYTES)
      throw new RangeError(`Ed25519 seed must be ${KEY_BYTES} bytes, got ${seed.length}`);
    const der = Buffer.concat([PKCS8_PREFIX, seed]);
    this.#key = createPrivateKey({ format: 'der', type: 'pkcs8', key: der });
    der.fill(0);
    const publicJwk = createPublicKey(this.#key).export({ format: 'jwk' });
    this.publicKey = new Uint8Array(Buffer.from(publicJwk.x ?? '', 'base64url'));
  }

  /** Signature of 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#key));
  }
}

/** Checks an Ed25519 signature; false for anything malformed. */
export function ed25519Verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== KEY_BYTES) return false;
  try {
    const key = createPublicKey({
      format: 'jwk',
      key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey) },
    });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}
