import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { toHex, tryFromHex } from '../../../src/bytes/hex.ts';
import { generateX25519KeyPair } from '../../../src/crypto/x25519.ts';
import { openAuth, openBase, sealAuth, sealBase } from '../../../src/hpke/hpke.ts';

const hex = (text: string): Uint8Array => tryFromHex(text) ?? new Uint8Array(0);

/** All points of small order on Curve25519 and its twist, in every 32-byte encoding (cr.yp.to/ecdh.html). */
const smallOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((text) => {
  const point = hex(text);
  const withHighBit = Uint8Array.from(point, (byte, index) => (index === 31 ? byte | 0x80 : byte));
  return [point, withHighBit];
});

const recipient = generateX25519KeyPair();
const sender = generateX25519KeyPair();
const context = { info: utf8('info'), aad: utf8('aad') };
const plaintext = utf8('a server key of thirty-two bytes');

const sealed = sealAuth({
  ...context,
  recipientPublicKey: recipient.publicKey,
  senderKeyPair: sender,
  plaintext,
});
const opening = {
  ...context,
  ...sealed,
  recipientKeyPair: recipient,
  senderPublicKey: sender.publicKey,
};

describe('HPKE auth mode', () => {
  it('opens a message that the sender sealed to the recipient', () => {
    expect(openAuth(opening)).toEqual(plaintext);
  });

  it('two seals of the same message share neither encapsulated key nor ciphertext', () => {
    const again = sealAuth({
      ...context,
      recipientPublicKey: recipient.publicKey,
      senderKeyPair: sender,
      plaintext,
    });
    expect(toHex(again.enc)).not.toBe(toHex(sealed.enc));
    expect(toHex(again.ciphertext)).not.toBe(toHex(sealed.ciphertext));
  });

  it('opens no message with another sender, recipient, info, aad or mode', () => {
    const other = generateX25519KeyPair();
    expect(openAuth({ ...opening, senderPublicKey: other.publicKey })).toBeUndefined();
    expect(openAuth({ ...opening, recipientKeyPair: other })).toBeUndefined();
    expect(openAuth({ ...opening, info: utf8('inf') })).toBeUndefined();
    expect(openAuth({ ...opening, aad: utf8('') })).toBeUndefined();
    expect(openBase(opening)).toBeUndefined();
  });

  it('a base-mode message does not open in auth mode, because it does not prove its sender', () => {
    const anonymous = sealBase({ ...context, recipientPublicKey: recipient.publicKey, plaintext });
    expect(openBase({ ...opening, ...anonymous })).toEqual(plaintext);
    expect(openAuth({ ...opening, ...anonymous })).toBeUndefined();
  });

  it('opens no message with a flipped byte', () => {
    const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
      Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 0x01 : byte));
    for (let at = 0; at < sealed.enc.length; at++) {
      expect(openAuth({ ...opening, enc: flipped(sealed.enc, at) })).toBeUndefined();
    }
    for (let at = 0; at < sealed.ciphertext.length; at++) {
      expect(openAuth({ ...opening, ciphertext: flipped(sealed.ciphertext, at) })).toBeUndefined();
    }
  });

  it('the unused top bit of the encapsulated key is authenticated too', () => {
    const enc = Uint8Array.from(sealed.enc, (byte, index) => (index === 31 ? byte ^ 0x80 : byte));
    expect(openAuth({ ...opening, enc })).toBeUndefined();
  });

  it('opens no shortened ciphertext', () => {
    for (let length = 0; length < sealed.ciphertext.length; length++) {
      expect(openAuth({ ...opening, ciphertext: sealed.ciphertext.subarray(0, length) })).toBeUndefined();
    }
  });

  it('seals and opens an empty plaintext', () => {
    const empty = sealAuth({
      ...context,
      recipientPublicKey: recipient.publicKey,
      senderKeyPair: sender,
      plaintext: new Uint8Array(0),
    });
    expect(openAuth({ ...opening, ...empty })).toEqual(new Uint8Array(0));
  });
});

describe('HPKE and points of small order', () => {
  const refused = expect.objectContaining({ code: 'HPKE_PUBLIC_KEY_INVALID', family: 'evidence' });

  it.each(smallOrderPoints.map((point) => [toHex(point), point] as const))('%s', (_name, point) => {
    expect(() => sealBase({ ...context, recipientPublicKey: point, plaintext })).toThrow(refused);
    expect(() =>
      sealAuth({ ...context, recipientPublicKey: point, senderKeyPair: sender, plaintext }),
    ).toThrow(refused);
    expect(openBase({ ...opening, enc: point })).toBeUndefined();
    expect(openAuth({ ...opening, enc: point })).toBeUndefined();
    expect(openAuth({ ...opening, senderPublicKey: point })).toBeUndefined();
  });

  it('keys of another length are misuse', () => {
    const short = new Uint8Array(31);
    expect(() => sealBase({ ...context, recipientPublicKey: short, plaintext })).toThrow(RangeError);
    expect(() => openAuth({ ...opening, enc: short })).toThrow(RangeError);
    expect(() => openAuth({ ...opening, senderPublicKey: new Uint8Array(33) })).toThrow(RangeError);
  });
});
