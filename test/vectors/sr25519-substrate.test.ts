import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/bytes/concat.ts';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { sr25519PublicKey, sr25519Sign, sr25519Verify } from '../../src/crypto/sr25519.ts';

const hex = (text: string): Uint8Array => tryFromHex(text) ?? new Uint8Array(0);

/** Substrate's well-known development accounts (`subkey inspect //Alice`): seed, public key, address. */
const accounts = [
  [
    'Alice',
    'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
    'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
    '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  ],
  [
    'Bob',
    '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
    '8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48',
    '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  ],
] as const;

describe('sr25519 as Substrate uses it', () => {
  it.each(accounts)('%s: public key and address of the seed', (_name, seed, publicKey, address) => {
    expect(toHex(sr25519PublicKey(hex(seed)))).toBe(publicKey);
    expect(encodeSs58(hex(publicKey))).toBe(address);
  });

  it('a signature is valid for its message and key only; malformed input gives false, not an error', () => {
    const [[, alice, alicePublic], [, , bobPublic]] = accounts;
    const message = utf8('message');
    const signature = sr25519Sign(hex(alice), message);
    expect(sr25519Verify(message, signature, hex(alicePublic))).toBe(true);
    expect(sr25519Verify(utf8('messagf'), signature, hex(alicePublic))).toBe(false);
    expect(sr25519Verify(message, signature, hex(bobPublic))).toBe(false);
    expect(sr25519Verify(message, signature.subarray(1), hex(alicePublic))).toBe(false);
    expect(sr25519Verify(message, signature, new Uint8Array(32).fill(0xff))).toBe(false);
  });
});
