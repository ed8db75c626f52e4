import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

const KEY_BYTES = 32;
const toBase64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const fromBase64Url = (text: string | undefined): Uint8Array =>
  new Uint8Array(Buffer.from(text ?? '', 'base64url'));

/** An X25519 key pair (RFC 7748). The private half stays inside OpenSSL. */
export interface X25519KeyPair {
  readonly privateKey: X25519PrivateKey;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** An X25519 private key held by OpenSSL; printing it shows nothing. */
export class X25519PrivateKey {
  readonly #key: KeyObject;
  readonly #exportable: boolean;
  constructor(key: KeyObject, exportable = true) {
    this.#key = key;
    this.#exportable = exportable;
  }

  /**
   * The X25519 function (RFC 7748 section 5).
   * @returns 32 bytes, or `undefined` when the peer's point has small order and the result is all zero
   *   (RFC 7748 section 6.1), which the caller must treat as an attack.
   */
  diffieHellman(peerPublicKey: Uint8Array | X25519PeerKey): Uint8Array | undefined {
    const peer = peerPublicKey instanceof X25519PeerKey ? peerPublicKey : new X25519PeerKey(peerPublicKey);
    const shared = tryDiffieHellman(this.#key, peer);
    return shared === undefined || isZero(shared) ? undefined : shared;
  }

  /**
   * The 32 secret bytes, for a node that stores its identity in its own sealed store.
   * @throws TypeError for an ephemeral key.
   */
  exportSecret(): Uint8Array {
    if (!this.#exportable) throw new TypeError('an ephemeral X25519 key cannot be exported');
    return fromBase64Url(this.#key.export({ format: 'jwk' }).d);
  }
}

/** Reads every byte, independent of the values. */
const isZero = (bytes: Uint8Array): boolean => bytes.reduce((seen, byte) => seen | byte, 0) === 0;

function tryDiffieHellman(privateKey: KeyObject, peer: X25519PeerKey): Uint8Array | undefined {
  try {
    return plainBytes(diffieHellman({ privateKey, publicKey: peer.key }));
  } catch {
    // OpenSSL refuses small-order points by an error instead of returning zeros.
    return undefined;
  }
}

function requireKeyBytes(bytes: Uint8Array, what: string): void {
  if (bytes.length !== KEY_BYTES)
    throw new RangeError(`${what} must be ${KEY_BYTES} bytes, got ${bytes.length}`);
}

/** A peer's public key imported into OpenSSL, for more than one agreement with it: importing costs 6 µs. */
export class X25519PeerKey {
  readonly key: KeyObject;

  /**
   * @param publicKey 32 bytes.
   * @throws RangeError on another length.
   */
  constructor(publicKey: Uint8Array) {
    requireKeyBytes(publicKey, 'X25519 public key');
    // As a JWK: SPKI DER takes 65 µs.
    const x = toBase64Url(publicKey);
    this.key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', x } });
  }
}

/**
 * Makes a key pair. The public half is asked for at generation: exporting a KeyObject that
 * `generateKeyPairSync` returned as JWK deadlocks Node 20 when garbage collection runs inside the export
 * (the finished job's destructor waits for the mutex that the export holds on the same thread).
 */
export function generateX25519KeyPair(): X25519KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { format: 'jwk' },
    privateKeyEncoding: { format: 'jwk' },
    // The declared types know only 'pem' and 'der'; 'jwk' is documented for generateKeyPairSync since Node 16.
  } as never) as unknown as { publicKey: { x: string }; privateKey: { x: string; d: string } };
  return {
    privateKey: importJwk(privateKey.d, privateKey.x),
    publicKey: fromBase64Url(publicKey.x),
  };
}

/**
 * Makes a key pair for one message or one request. The private half cannot be exported and never leaves OpenSSL, so it
 * is not imported as in {@link generateX25519KeyPair}, which takes twice as long.
 */
export function generateEphemeralX25519KeyPair(): X25519KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { format: 'jwk' },
    // The declared types do not know 'jwk', as above; without an encoding the private half is a KeyObject.
  } as never) as unknown as { publicKey: { x: string }; privateKey: KeyObject };
  return { privateKey: new X25519PrivateKey(privateKey, false), publicKey: fromBase64Url(publicKey.x) };
}

function importJwk(d: string, x: string): X25519PrivateKey {
  return new X25519PrivateKey(createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', d, x } }));
}

/** PKCS #8 prefix of an X25519 private key (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);

/**
 * Imports 32 secret bytes and computes the public key.
 * @throws RangeError on another length.
 */
export function x25519KeyPairFromSecret(secret: Uint8Array): X25519KeyPair {
  requireKeyBytes(secret, 'X25519 private key');
  // A JWK needs the public half, which only OpenSSL's own derivation from PKCS #8 gives; paid once per start.
  const der = Buffer.concat([PKCS8_PREFIX, secret]);
  const privateKey = createPrivateKey({ format: 'der', type: 'pkcs8', key: der });
  der.fill(0);
  const publicKey = fromBase64Url(createPublicKey(privateKey).export({ format: 'jwk' }).x);
  return { privateKey: new X25519PrivateKey(privateKey), publicKey };
}

/** u-coordinates of the points of small order on Curve25519 and its twist, and their non-canonical forms; little-endian. */
const smallOrderPoints: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

/** Whether a public key has small order, so that every Diffie-Hellman result with it is zero (RFC 7748 section 6.1). */
export function hasSmallOrder(publicKey: Uint8Array): boolean {
  requireKeyBytes(publicKey, 'X25519 public key');
  const masked = Buffer.from(publicKey);
  // X25519 ignores the highest bit (RFC 7748 section 5).
  masked[31] = (masked[31] ?? 0) & 0x7f;
  return smallOrderPoints.has(masked.toString('hex'));
}
