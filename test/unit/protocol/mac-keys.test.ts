import { expect, it, vi } from 'vitest';
import { AccountId, Mac, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type * as Hkdf from '../../../src/crypto/hkdf.ts';
import { requestMac, responseMac } from '../../../src/protocol/mac.ts';

/** Every key that was derived, and what it was then. */
const derived = vi.hoisted((): { readonly key: Uint8Array; readonly was: Uint8Array }[] => []);

vi.mock('../../../src/crypto/hkdf.ts', async (importOriginal) => {
  const real = await importOriginal<typeof Hkdf>();
  return {
    ...real,
    deriveKey: (...args: Parameters<typeof real.deriveKey>) => {
      const key = real.deriveKey(...args);
      derived.push({ key, was: key.slice() });
      return key;
    },
  };
});

it('the keys of a MAC are wiped after it is made', () => {
  const key = new SecretBytes(new Uint8Array(32).fill(5));
  const account = AccountId.of(new Uint8Array(32).fill(1));
  const slotId = SlotId.of(new Uint8Array(16).fill(2));
  const envelope = { server: account, account, name: slotId, timestampMs: 1, random: new Uint8Array(16) };
  const content = Uint8Array.of(1);
  const request = requestMac(key, 'forget', envelope, content);
  const response = responseMac(key, 'forget', request, content);
  expect([request.length, response.length]).toEqual([Mac.byteLength, Mac.byteLength]);
  expect(derived.map(({ was }) => was.some((byte) => byte !== 0))).toEqual([true, true]);
  expect(derived.flatMap((made) => [...made.key]).filter((byte) => byte !== 0)).toEqual([]);
});
