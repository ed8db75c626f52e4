import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { AccountId, KeyId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { u64BigEndian } from '../../../src/bytes/integers.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { deriveKey } from '../../../src/crypto/hkdf.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { xchacha20Poly1305Seal } from '../../../src/crypto/xchacha20-poly1305.ts';
import {
  openLineageSecret,
  openSlot,
  SEALED_LINEAGE_BYTES,
  SLOT_LABEL,
  type SlotBinding,
  sealedSlotBytes,
  sealLineageSecret,
  sealSlot,
} from '../../../src/keyslots/slot-seal.ts';
import { identity } from '../../support/keyslot-fixtures.ts';

const binding: SlotBinding = {
  ...identity,
  generation: 7,
  t: 3,
  n: 5,
  index: 2,
  server: AccountId.of(new Uint8Array(32).fill(1)),
  keyId: KeyId.of(new Uint8Array(16).fill(2)),
};
const share = new Uint8Array(33).fill(9);
const serverKey = new SecretBytes(new Uint8Array(32).fill(3));
const sealed = sealSlot(serverKey, binding, share, systemRandom);

describe('a sealed slot', () => {
  it('opens with the server key and all bound values', () => {
    expect(openSlot(serverKey, binding, sealed)).toEqual(share);
    expect(sealed.length).toBe(sealedSlotBytes(3));
  });

  it('has the documented bytes (docs/keyslot-format.md)', () => {
    const counting: (length: number) => Uint8Array = (length) => Uint8Array.from({ length }, (_, at) => at);
    expect(toHex(sealSlot(serverKey, binding, share, counting))).toMatchInlineSnapshot(
      `"000102030405060708090a0b0c0d0e0f1011121314151617b34681b356f324475d84dbf76ed0c459b1036f726888f3fbd27a5ad1848911dc7ee52b6064a4f2cf106d34b588c7a64ef1"`,
    );
  });

  it.each<[string, Partial<SlotBinding>]>([
    ['another store', { storeId: new Uint8Array(16) }],
    ['another account', { account: AccountId.of(new Uint8Array(32)) }],
    ['another generation', { generation: 8 }],
    ['another t', { t: 2 }],
    ['another n', { n: 4 }],
    ['another place', { index: 1 }],
    ['another server', { server: AccountId.of(new Uint8Array(32)) }],
    ['another key id', { keyId: KeyId.of(new Uint8Array(16)) }],
  ])('does not open for %s', (_name, change) => {
    expect(openSlot(serverKey, { ...binding, ...change }, sealed)).toBeUndefined();
  });

  it('does not open with another key, or when a byte is changed or missing', () => {
    expect(openSlot(new SecretBytes(new Uint8Array(32)), binding, sealed)).toBeUndefined();
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 0x80 : byte));
      expect(openSlot(serverKey, binding, damaged)).toBeUndefined();
      expect(openSlot(serverKey, binding, sealed.subarray(0, at))).toBeUndefined();
    }
  });

  it('with content of another length does not open, although its server sealed it', () => {
    const { storeId, account, generation, t, n, index, server, keyId } = binding;
    const bound = concatBytes(
      storeId,
      account,
      u64BigEndian(generation),
      Uint8Array.of(t, n, index),
      server,
      keyId,
    );
    const key = deriveKey(serverKey.reveal(), SLOT_LABEL);
    const nonce = systemRandom(24);
    const resealed = (content: Uint8Array) =>
      concatBytes(nonce, xchacha20Poly1305Seal(key, nonce, bound, content));
    expect(openSlot(serverKey, binding, resealed(share))).toEqual(share);
    expect(openSlot(serverKey, binding, resealed(new Uint8Array(34)))).toBeUndefined();
  });

  it('with t = 1 holds the store key itself, and refuses content of another length', () => {
    const alone = { ...binding, t: 1 };
    const wrapped = sealSlot(serverKey, alone, new Uint8Array(32).fill(4), systemRandom);
    expect(openSlot(serverKey, alone, wrapped)).toEqual(new Uint8Array(32).fill(4));
    expect(openSlot(serverKey, binding, wrapped)).toBeUndefined();
    expect(() => sealSlot(serverKey, alone, share, systemRandom)).toThrow(RangeError);
    expect(() => sealSlot(serverKey, binding, new Uint8Array(32), systemRandom)).toThrow(RangeError);
  });
});

describe('a sealed lineage secret', () => {
  const storeKey = new SecretBytes(new Uint8Array(32).fill(5));
  const secret = new SecretBytes(new Uint8Array(32).fill(6));
  const sealedSecret = sealLineageSecret(storeKey, binding, secret, systemRandom);

  it('opens under its store key, and for its store and generation only', () => {
    expect(sealedSecret).toHaveLength(SEALED_LINEAGE_BYTES);
    expect(openLineageSecret(storeKey, binding, sealedSecret)?.reveal()).toEqual(secret.reveal());
    expect(openLineageSecret(secret, binding, sealedSecret)).toBeUndefined();
    expect(openLineageSecret(storeKey, { ...binding, generation: 8 }, sealedSecret)).toBeUndefined();
    expect(
      openLineageSecret(storeKey, { ...binding, storeId: new Uint8Array(16) }, sealedSecret),
    ).toBeUndefined();
  });

  it('of another length does not open, also when its tag is right', () => {
    const long = sealLineageSecret(storeKey, binding, new SecretBytes(new Uint8Array(33)), systemRandom);
    expect(openLineageSecret(storeKey, binding, long)).toBeUndefined();
  });

  it.each([0, 10, SEALED_LINEAGE_BYTES - 1])('of %i bytes does not open', (length) => {
    expect(openLineageSecret(storeKey, binding, sealedSecret.subarray(0, length))).toBeUndefined();
  });
});
