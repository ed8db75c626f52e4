import type * as NodeCrypto from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../../../src/crypto/chacha20-poly1305.ts';
import { deriveKey, hkdfExpand } from '../../../src/crypto/hkdf.ts';
import type * as MlKem from '../../../src/crypto/ml-kem-768.ts';
import { sha3With256, shake256 } from '../../../src/crypto/sha3.ts';
import { xWingDecapsulate, xWingEncapsulate, xWingPublicKey } from '../../../src/crypto/x-wing.ts';
import { generateX25519KeyPair } from '../../../src/crypto/x25519.ts';

/** Every buffer with a secret that node:crypto returned. */
const made = vi.hoisted((): Buffer[] => []);

vi.mock('node:crypto', async (importOriginal) => {
  const real = await importOriginal<typeof NodeCrypto>();
  const kept = (bytes: Buffer): Buffer => {
    made.push(bytes);
    return bytes;
  };
  return {
    ...real,
    createHmac: (...args: Parameters<typeof real.createHmac>) => {
      const mac = real.createHmac(...args);
      const digest = mac.digest.bind(mac);
      return Object.assign(mac, { digest: () => kept(digest()) });
    },
    createHash: (...args: Parameters<typeof real.createHash>) => {
      const hash = real.createHash(...args);
      const digest = hash.digest.bind(hash);
      return Object.assign(hash, { digest: () => kept(digest()) });
    },
    diffieHellman: (...args: Parameters<typeof real.diffieHellman>) => kept(real.diffieHellman(...args)),
    createDecipheriv: (...args: Parameters<typeof real.createDecipheriv>) => {
      const decipher = real.createDecipheriv(...args);
      const update = decipher.update.bind(decipher);
      return Object.assign(decipher, { update: (bytes: Buffer) => kept(update(bytes)) });
    },
  };
});

/** Every shared secret that ML-KEM gave. */
const mlKemSecrets = vi.hoisted((): Uint8Array[] => []);

vi.mock('../../../src/crypto/ml-kem-768.ts', async (importOriginal) => {
  const real = await importOriginal<typeof MlKem>();
  const kept = (bytes: Uint8Array): Uint8Array => {
    mlKemSecrets.push(bytes);
    return bytes;
  };
  return {
    ...real,
    mlKemEncapsulate: (...args: Parameters<typeof real.mlKemEncapsulate>) => {
      const encapsulated = real.mlKemEncapsulate(...args);
      if (encapsulated !== undefined) kept(encapsulated.sharedSecret);
      return encapsulated;
    },
    mlKemDecapsulate: (...args: Parameters<typeof real.mlKemDecapsulate>) =>
      kept(real.mlKemDecapsulate(...args)),
  };
});

const secret = new Uint8Array(32).fill(5);

describe('no copy is left when a caller wipes its result', () => {
  afterEach(() => {
    made.length = 0;
  });

  /** Wipes the result and counts the buffers that are not all zero. */
  const left = (result: Uint8Array | undefined): readonly [buffers: number, notWiped: number] => {
    expect(result?.some((byte) => byte !== 0)).toBe(true);
    result?.fill(0);
    return [made.length, made.filter((bytes) => bytes.some((byte) => byte !== 0)).length];
  };

  it('deriveKey, including its pseudo-random key', () => {
    expect(left(deriveKey(secret, 'label'))).toEqual([2, 0]);
  });

  it('hkdfExpand over several blocks', () => {
    expect(left(hkdfExpand(secret, secret, 80))).toEqual([3, 0]);
  });

  it('X25519', () => {
    const { privateKey } = generateX25519KeyPair();
    expect(left(privateKey.diffieHellman(generateX25519KeyPair().publicKey))).toEqual([1, 0]);
  });

  it('SHA-3, which makes the shared secret of X-Wing, and SHAKE, which expands its seed', () => {
    expect(left(sha3With256(secret, secret))).toEqual([1, 0]);
    made.length = 0;
    expect(left(shake256(secret, 96))).toEqual([1, 0]);
  });

  it('X-Wing with an X25519 half of small order: the ML-KEM half is wiped too', () => {
    const publicKey = xWingPublicKey(secret);
    made.length = 0;
    expect(
      xWingEncapsulate(new Uint8Array([...publicKey.subarray(0, -32), ...new Uint8Array(32)])),
    ).toBeUndefined();
    const ciphertext = xWingEncapsulate(publicKey)?.ciphertext ?? expect.fail();
    expect(mlKemSecrets).toHaveLength(2);
    expect(
      xWingDecapsulate(new Uint8Array([...ciphertext.subarray(0, -32), ...new Uint8Array(32)]), secret),
    ).toBeUndefined();
    expect(mlKemSecrets).toHaveLength(3);
    expect(mlKemSecrets.filter((bytes) => bytes.some((byte) => byte !== 0))).toEqual([]);
  });

  it('opened ChaCha20-Poly1305', () => {
    const nonce = new Uint8Array(12);
    const sealed = chacha20Poly1305Seal(secret, nonce, secret, secret);
    expect(left(chacha20Poly1305Open(secret, nonce, secret, sealed))).toEqual([1, 0]);
  });
});
