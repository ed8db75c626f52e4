import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { tryFromBase64 } from '../../../src/bytes/base64.ts';
import { tryFromHex } from '../../../src/bytes/hex.ts';

/** The memory that Node shares between small Buffers, which nothing wipes. */
const pool = (): Buffer => Buffer.from(Buffer.from('any small buffer').buffer);

describe.each([
  ['hex', tryFromHex, 'hex'],
  ['base64', tryFromBase64, 'base64'],
] as const)('a secret in %s', (_, decode, encoding) => {
  it('is decoded into its own memory, so that wiping the result wipes the secret', () => {
    const secret = randomBytes(32);
    const text = secret.toString(encoding);
    const before = pool().buffer;
    const decoded = decode(text);
    expect(decoded).toEqual(new Uint8Array(secret));
    expect(pool().includes(secret)).toBe(false);
    expect(Buffer.from(before).includes(secret)).toBe(false);
    // The search finds what is there.
    const pooled = Buffer.from(text, encoding);
    expect(Buffer.from(pooled.buffer).includes(secret)).toBe(true);
  });
});

describe('canonical base64', () => {
  it.each(['', 'AA==', 'AAA=', 'AAAA', '+/+/'])('reads %j', (text) => {
    expect(tryFromBase64(text)).toEqual(new Uint8Array(Buffer.from(text, 'base64')));
  });

  it.each(['A', 'AA', 'AA=', 'AAA', 'AB==', 'AA==A', ' AAA=', 'AAAA\n', 'AA-_', '====', 'AA==AA=='])(
    'refuses %j',
    (text) => {
      expect(tryFromBase64(text)).toBeUndefined();
    },
  );
});
