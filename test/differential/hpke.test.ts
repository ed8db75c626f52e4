import type { webcrypto } from 'node:crypto';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openAuth, openBase, sealAuth, sealBase } from '../../src/hpke/hpke.ts';

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});

/** The library wants plain ArrayBuffers of exactly the content. */
const buffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

const importKey = (raw: Uint8Array, isPublic: boolean): Promise<webcrypto.CryptoKey> =>
  suite.kem.importKey('raw', buffer(raw), isPublic);

async function libraryPair(secret: Uint8Array): Promise<webcrypto.CryptoKeyPair> {
  return {
    privateKey: await importKey(secret, false),
    publicKey: await importKey(x25519KeyPairFromSecret(secret).publicKey, true),
  };
}

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message = fc.record({
  recipient: bytes32,
  sender: bytes32,
  info: fc.uint8Array({ maxLength: 100 }),
  aad: fc.uint8Array({ maxLength: 100 }),
  plaintext: fc.uint8Array({ maxLength: 300 }),
});

describe('HPKE against @hpke/core', () => {
  it('each side opens a message that the other sealed in base mode', async () => {
    await fc.assert(
      fc.asyncProperty(message, async ({ recipient, info, aad, plaintext }) => {
        const ours = x25519KeyPairFromSecret(recipient);
        const theirs = await libraryPair(recipient);
        const sealed = sealBase({ recipientPublicKey: ours.publicKey, info, aad, plaintext });
        const openedByLibrary = await suite.open(
          { recipientKey: theirs, enc: buffer(sealed.enc), info: buffer(info) },
          buffer(sealed.ciphertext),
          buffer(aad),
        );
        expect(new Uint8Array(openedByLibrary)).toEqual(plaintext);
        const sealedByLibrary = await suite.seal(
          { recipientPublicKey: theirs.publicKey, info: buffer(info) },
          buffer(plaintext),
          buffer(aad),
        );
        const opened = openBase({
          recipientKeyPair: ours,
          enc: new Uint8Array(sealedByLibrary.enc),
          ciphertext: new Uint8Array(sealedByLibrary.ct),
          info,
          aad,
        });
        expect(opened).toEqual(plaintext);
      }),
      { numRuns: 40 },
    );
  });

  it('each side opens a message that the other sealed in auth mode', async () => {
    await fc.assert(
      fc.asyncProperty(message, async ({ recipient, sender, info, aad, plaintext }) => {
        const [us, from] = [x25519KeyPairFromSecret(recipient), x25519KeyPairFromSecret(sender)];
        const [them, theirSender] = [await libraryPair(recipient), await libraryPair(sender)];
        const sealed = sealAuth({
          recipientPublicKey: us.publicKey,
          senderKeyPair: from,
          info,
          aad,
          plaintext,
        });
        const openedByLibrary = await suite.open(
          {
            recipientKey: them,
            enc: buffer(sealed.enc),
            info: buffer(info),
            senderPublicKey: theirSender.publicKey,
          },
          buffer(sealed.ciphertext),
          buffer(aad),
        );
        expect(new Uint8Array(openedByLibrary)).toEqual(plaintext);
        const sealedByLibrary = await suite.seal(
          { recipientPublicKey: them.publicKey, info: buffer(info), senderKey: theirSender },
          buffer(plaintext),
          buffer(aad),
        );
        const opened = openAuth({
          recipientKeyPair: us,
          senderPublicKey: from.publicKey,
          enc: new Uint8Array(sealedByLibrary.enc),
          ciphertext: new Uint8Array(sealedByLibrary.ct),
          info,
          aad,
        });
        expect(opened).toEqual(plaintext);
      }),
      { numRuns: 40 },
    );
  });
});
