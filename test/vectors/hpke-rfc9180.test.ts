import { describe, expect, it } from 'vitest';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openAuth, openBase, sealAuth, sealBase } from '../../src/hpke/hpke.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const bytes = (hex: string): Uint8Array => {
  const value = tryFromHex(hex);
  if (value === undefined) throw new TypeError(`not hex: ${hex}`);
  return value;
};

interface Mode {
  readonly skEm: string;
  readonly enc?: string;
  readonly pkRm: string;
  readonly skRm: string;
  readonly skSm?: string;
  readonly pkSm?: string;
  readonly encryptions: readonly { readonly seq: number; readonly aad: string; readonly ct: string }[];
}

/** RFC 9180 appendix A.2.1 and A.2.3, sequence number 0 (single-shot messages have no other). */
const published: { readonly info: string; readonly pt: string; readonly base: Mode; readonly auth: Mode } = {
  info: '4f6465206f6e2061204772656369616e2055726e',
  pt: '4265617574792069732074727574682c20747275746820626561757479',
  base: {
    skEm: 'f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600',
    enc: '1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a',
    pkRm: '4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a',
    skRm: '8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb',
    encryptions: [
      {
        seq: 0,
        aad: '436f756e742d30',
        ct: '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
      },
    ],
  },
  auth: {
    skEm: 'c94619e1af28971c8fa7957192b7e62a71ca2dcdde0a7cc4a8a9e741d600ab13',
    pkRm: '1a478716d63cb2e16786ee93004486dc151e988b34b475043d3e0175bdb01c44',
    skRm: '3ca22a6d1cda1bb9480949ec5329d3bf0b080ca4c45879c95eddb55c70b80b82',
    skSm: '2def0cb58ffcf83d1062dd085c8aceca7f4c0c3fd05912d847b61f3e54121f05',
    pkSm: 'f0f4f9e96c54aeed3f323de8534fffd7e0577e4ce269896716bcb95643c8712b',
    encryptions: [
      {
        seq: 0,
        aad: '436f756e742d30',
        ct: 'ab1a13c9d4f01a87ec3440dbd756e2677bd2ecf9df0ce7ed73869b98e00c09be111cb9fdf077347aeb88e61bdf',
      },
    ],
  },
};

function firstMessage(mode: Mode): { aad: Uint8Array; ct: string } {
  const first = mode.encryptions.find((encryption) => encryption.seq === 0);
  if (first === undefined) throw new TypeError('the vectors have no sequence number 0');
  return { aad: bytes(first.aad), ct: first.ct };
}

describe('RFC 9180 appendix A.2', () => {
  it('A.2.1 base mode seals to the published ciphertext and opens it', () => {
    const { base } = published;
    const { aad, ct } = firstMessage(base);
    const context = { info: bytes(published.info), aad };
    const recipientKeyPair = x25519KeyPairFromSecret(bytes(base.skRm));
    expect(toHex(recipientKeyPair.publicKey)).toBe(base.pkRm);
    const sealed = sealBase({
      ...context,
      recipientPublicKey: bytes(base.pkRm),
      plaintext: bytes(published.pt),
      ephemeral: x25519KeyPairFromSecret(bytes(base.skEm)),
    });
    expect(toHex(sealed.enc)).toBe(base.enc);
    expect(toHex(sealed.ciphertext)).toBe(ct);
    expect(openBase({ ...context, ...sealed, recipientKeyPair })).toEqual(bytes(published.pt));
  });

  it('A.2.3 auth mode seals to the published ciphertext and opens it', () => {
    const { auth } = published;
    const { aad, ct } = firstMessage(auth);
    const context = { info: bytes(published.info), aad };
    const senderKeyPair = x25519KeyPairFromSecret(bytes(auth.skSm ?? ''));
    expect(toHex(senderKeyPair.publicKey)).toBe(auth.pkSm);
    const sealed = sealAuth({
      ...context,
      recipientPublicKey: bytes(auth.pkRm),
      senderKeyPair,
      plaintext: bytes(published.pt),
      ephemeral: x25519KeyPairFromSecret(bytes(auth.skEm)),
    });
    expect(toHex(sealed.ciphertext)).toBe(ct);
    const opened = openAuth({
      ...context,
      ...sealed,
      recipientKeyPair: x25519KeyPairFromSecret(bytes(auth.skRm)),
      senderPublicKey: senderKeyPair.publicKey,
    });
    expect(opened).toEqual(bytes(published.pt));
  });

  it.skipIf(!haveVectors)('the values above equal the shared vector file', () => {
    const file = vectorJson<typeof published>('hpke/rfc9180-appendix-a2.json');
    expect(file.info).toBe(published.info);
    expect(file.pt).toBe(published.pt);
    for (const mode of ['base', 'auth'] as const) {
      const { encryptions, ...keys } = published[mode];
      expect(file[mode]).toMatchObject(keys);
      expect(file[mode].encryptions).toContainEqual(encryptions[0]);
    }
  });
});
