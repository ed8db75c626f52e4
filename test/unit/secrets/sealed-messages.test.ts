import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { generateX25519KeyPair } from '../../../src/crypto/x25519.ts';
import { sealBase } from '../../../src/hpke/hpke.ts';
import { openRequest } from '../../../src/secrets/sealed-messages.ts';
import { BOB } from '../../support/secret-records.ts';
import { codeOf } from '../../support/thrown.ts';

const x25519 = generateX25519KeyPair();
/** User, node, time, random bytes, signature. */
const HEAD_BYTES = 32 + 32 + 8 + 16 + 64;

const opened = (plaintext: Uint8Array): string => {
  const info = concatBytes(utf8('latchkey/v1/secrets/list'), Uint8Array.of(0), BOB);
  const message = sealBase({ recipientPublicKey: x25519.publicKey, info, aad: new Uint8Array(0), plaintext });
  return codeOf(() => openRequest('list', message, { account: BOB, x25519 }));
};

describe('a sealed request that anybody can make', () => {
  it('needs room for its head and a key for the answer', () => {
    const key = new Uint8Array(32).fill(9);
    const whole = concatBytes(new Uint8Array(HEAD_BYTES), key);
    expect(opened(whole)).toBe('none');
    for (const length of [0, 31, 64, HEAD_BYTES, HEAD_BYTES + 31])
      expect(opened(whole.subarray(0, length))).toBe('SECRET_SEALING_WRONG');
  });

  it('names no key of small order for the answer', () => {
    for (const first of [0, 1]) {
      const key = new Uint8Array(32).fill(first, 0, 1);
      expect(opened(concatBytes(new Uint8Array(HEAD_BYTES), key))).toBe('HPKE_PUBLIC_KEY_INVALID');
    }
  });
});
