import { describe, expect, it } from 'vitest';
import { Ed25519Signer, ed25519Verify } from '../../../src/crypto/ed25519.ts';
import { Ed25519ChainKey } from '../../../src/crypto/ed25519-zip215.ts';
import { deriveKey } from '../../../src/crypto/hkdf.ts';
import { combineShares, splitSecret } from '../../../src/crypto/shamir.ts';
import { x25519KeyPairFromSecret } from '../../../src/crypto/x25519.ts';
import { XChaCha20Key } from '../../../src/crypto/xchacha20-key.ts';
import { openAuth, openBase, sealAuth, sealBase } from '../../../src/hpke/hpke.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';

const content = Uint8Array.from({ length: 32 }, (_, at) => at + 1);
const message = Uint8Array.of(1, 2, 3);
const nonce = new Uint8Array(24);

const sealedBy = (key: XChaCha20Key): Uint8Array => {
  const sealed = new Uint8Array(message.length + 40);
  key.sealInto(sealed, 0, nonce, message, message);
  return sealed;
};

describe.each(kindsOfBytes)('a $kind', ({ make }) => {
  /** Runs something with bytes, and checks that it left them alone. */
  const unchanged = <T>(use: (bytes: Uint8Array) => T): T => {
    const bytes = make(content);
    const result = use(bytes);
    expect([...bytes]).toEqual([...content]);
    return result;
  };

  it('as a key of XChaCha20 is copied: wiping or changing one does not affect the other', () => {
    const expected = sealedBy(new XChaCha20Key(content));
    unchanged((bytes) => new XChaCha20Key(bytes).wipe());
    const bytes = make(content);
    const key = new XChaCha20Key(bytes);
    bytes.fill(0);
    expect(sealedBy(key)).toEqual(expected);
  });

  it('as a public key of a chain is copied', () => {
    const signer = new Ed25519Signer(content);
    const publicKey = make(signer.publicKey);
    const key = new Ed25519ChainKey(publicKey);
    publicKey.fill(0);
    expect(key.verify(message, signer.sign(message))).toBe(true);
  });

  it('as a seed or a private key is not changed', () => {
    const signature = unchanged((seed) => new Ed25519Signer(seed)).sign(make(message));
    expect(ed25519Verify(message, make(signature), make(new Ed25519Signer(content).publicKey))).toBe(true);
    const pair = unchanged(x25519KeyPairFromSecret);
    expect(pair.publicKey).toEqual(x25519KeyPairFromSecret(content).publicKey);
    expect(unchanged((secret) => deriveKey(secret, 'label'))).toEqual(deriveKey(content, 'label'));
  });

  it('is shared and combined, and not changed', () => {
    const shares = unchanged((secret) => splitSecret(secret, 2, 3));
    expect(combineShares(shares.slice(1).map(make), 2)).toEqual(content);
  });

  it('is sealed and opened by HPKE, and not changed', () => {
    const recipientKeyPair = x25519KeyPairFromSecret(content);
    const senderKeyPair = x25519KeyPairFromSecret(content.toReversed());
    const context = { info: make(message), aad: make(message) };
    const recipientPublicKey = make(recipientKeyPair.publicKey);
    const base = unchanged((plaintext) => sealBase({ ...context, recipientPublicKey, plaintext }));
    const received = { enc: make(base.enc), ciphertext: make(base.ciphertext) };
    expect(openBase({ ...context, ...received, recipientKeyPair })).toEqual(content);
    expect([...received.ciphertext]).toEqual([...base.ciphertext]);
    const auth = unchanged((plaintext) =>
      sealAuth({ ...context, recipientPublicKey, senderKeyPair, plaintext }),
    );
    const opened = openAuth({
      ...context,
      enc: make(auth.enc),
      ciphertext: make(auth.ciphertext),
      recipientKeyPair,
      senderPublicKey: make(senderKeyPair.publicKey),
    });
    expect(opened).toEqual(content);
    expect(Object.getPrototypeOf(opened)).toBe(Uint8Array.prototype);
  });
});

describe('bytes that cannot be read', () => {
  it('give a TypeError that names the argument', () => {
    expect(() => new XChaCha20Key(detachedBytes())).toThrow(/^key /);
    expect(() => new Ed25519ChainKey(detachedBytes())).toThrow(/^publicKey /);
    expect(() => new XChaCha20Key(detachedBytes())).toThrow(TypeError);
    expect(() => new Ed25519ChainKey(detachedBytes())).toThrow(TypeError);
  });
});
