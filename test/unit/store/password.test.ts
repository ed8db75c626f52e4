import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import {
  MAX_PASSWORD_BYTES,
  PASSWORD_HEADER_BYTES,
  passwordFromFile,
  unwrapStoreKey,
  wrapStoreKey,
} from '../../../src/store/keys/password.ts';

const password = (text: string): SecretBytes => passwordFromFile(utf8(text));
const storeKey = new SecretBytes(systemRandom(32));

describe('V10 password unlock', () => {
  it('V10 wraps with scrypt and a new salt, and unwraps', async () => {
    const one = await wrapStoreKey(storeKey, password('correct horse'));
    const two = await wrapStoreKey(storeKey, password('correct horse'));
    expect(one.length).toBe(PASSWORD_HEADER_BYTES);
    expect([...one.subarray(4, 8)]).toEqual([1, 15, 8, 1]);
    expect(one.subarray(8, 40)).not.toEqual(two.subarray(8, 40));
    expect((await unwrapStoreKey(one, password('correct horse'))).equals(storeKey)).toBe(true);
  });

  it('V10 a wrong password is refused', async () => {
    const header = await wrapStoreKey(storeKey, password('correct horse'));
    for (const wrong of ['correct hors', 'correct horse ', 'Correct horse', 'correct horse\n\n'])
      await expect(unwrapStoreKey(header, password(wrong))).rejects.toMatchObject({
        code: 'STORE_PASSWORD_WRONG',
      });
  });

  it('V10 one final newline is ignored', async () => {
    const header = await wrapStoreKey(storeKey, password('correct horse'));
    for (const same of ['correct horse\n', 'correct horse\r\n'])
      expect((await unwrapStoreKey(header, password(same))).equals(storeKey)).toBe(true);
  });

  it('V10 a changed byte anywhere in the header is refused', async () => {
    const header = await wrapStoreKey(storeKey, password('p'));
    for (let at = 0; at < header.length; at += at < 8 ? 1 : 17) {
      const altered = header.slice();
      altered[at] = (altered[at] ?? 0) ^ 1;
      await expect(unwrapStoreKey(altered, password('p'))).rejects.toMatchObject({
        code: at < 8 ? 'STORE_PASSWORD_HEADER' : 'STORE_PASSWORD_WRONG',
      });
    }
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['truncated', new Uint8Array(100)],
    ['too long', new Uint8Array(102)],
    ['not one', new Uint8Array(101)],
  ])('a header that is %s is refused', async (_name, bytes) => {
    await expect(unwrapStoreKey(bytes, password('p'))).rejects.toMatchObject({
      code: 'STORE_PASSWORD_HEADER',
    });
  });

  it('a too high cost, a newer version and a weaker cost are refused before any computation', async () => {
    const header = await wrapStoreKey(storeKey, password('p'));
    for (const [at, value] of [
      [4, 2],
      [5, 21],
      [5, 14],
      [6, 255],
      [7, 16],
    ] as const) {
      const altered = header.slice();
      altered[at] = value;
      await expect(unwrapStoreKey(altered, password('p'))).rejects.toMatchObject({
        code: 'STORE_PASSWORD_HEADER',
      });
    }
    await expect(
      wrapStoreKey(storeKey, password('p'), { cost: { logN: 14, r: 8, p: 1 } }),
    ).rejects.toBeInstanceOf(RangeError);
  });

  it.each([
    ['nothing', ''],
    ['only a newline', '\n'],
    ['too much', 'x'.repeat(MAX_PASSWORD_BYTES + 1)],
  ])('a password file with %s is refused', (_name, text) => {
    expect(() => password(text)).toThrowError(expect.objectContaining({ code: 'STORE_PASSWORD_INVALID' }));
  });

  it('the longest password, also with a newline, and bytes that are not UTF-8 are accepted', async () => {
    expect(passwordFromFile(utf8(`${'x'.repeat(MAX_PASSWORD_BYTES)}\n`)).length).toBe(MAX_PASSWORD_BYTES);
    const odd = passwordFromFile(Uint8Array.of(0xff, 0xfe, 0x00));
    const header = await wrapStoreKey(storeKey, odd);
    expect((await unwrapStoreKey(header, odd)).equals(storeKey)).toBe(true);
  });

  it('the header holds neither the store key nor the password', async () => {
    const header = Buffer.from(await wrapStoreKey(storeKey, password('correct horse')));
    expect(header.includes(Buffer.from(storeKey.reveal()))).toBe(false);
    expect(header.includes('correct horse')).toBe(false);
  });
});
