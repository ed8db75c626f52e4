import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as portableBytes from '../../packages/tdx/portable/native-bytes.ts';
import * as portableP256 from '../../packages/tdx/portable/p256.ts';
import * as portableSha2 from '../../packages/tdx/portable/sha2.ts';
import * as nativeBytes from '../../src/bytes/native-bytes.ts';
import * as nativeP256 from '../../src/crypto/p256.ts';
import * as nativeSha2 from '../../src/crypto/sha2.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const bytes = fc.uint8Array({ maxLength: 200 });

describe('the portable modules of @latchkey/tdx', () => {
  it.each([
    ['native-bytes', portableBytes, nativeBytes],
    ['sha2', portableSha2, nativeSha2],
    ['p256', portableP256, nativeP256],
  ])('%s exports what the one for Node.js exports', (_, portable, native) => {
    expect(Object.keys(portable).sort()).toEqual(Object.keys(native).sort());
  });

  it('encode and decode as Node.js does', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const hex = nativeBytes.encodeHex(a);
        const base64 = nativeBytes.encodeBase64(a);
        expect(portableBytes.encodeHex(a)).toBe(hex);
        expect(portableBytes.decodeHex(hex)).toEqual(a);
        expect(portableBytes.decodeHex(hex.toUpperCase())).toEqual(a);
        expect(portableBytes.encodeBase64(a)).toBe(base64);
        expect(portableBytes.decodeBase64(base64)).toEqual(a);
        expect(portableBytes.latin1(a)).toBe(nativeBytes.latin1(a));
        expect(portableBytes.compareBytes(a, b)).toBe(nativeBytes.compareBytes(a, b));
        expect(portableBytes.compareBytes(a, new Uint8Array(a))).toBe(0);
      }),
    );
  });

  it('refuse the same base64 as not canonical', () => {
    const canonical = (encoding: typeof portableBytes | typeof nativeBytes, text: string): boolean =>
      encoding.encodeBase64(encoding.decodeBase64(text)) === text;
    const character = fc.constantFrom(...'ABYZabz059+/=-_ \n');
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
        expect(canonical(portableBytes, text)).toBe(canonical(nativeBytes, text));
      }),
      { numRuns: 2000 },
    );
  });

  it('hash as Node.js does', () => {
    fc.assert(
      fc.property(bytes, bytes, fc.string({ unit: 'binary' }), (a, b, text) => {
        expect(portableSha2.sha256(a, b)).toEqual(nativeSha2.sha256(a, b));
        expect(portableSha2.sha384(a, b)).toEqual(nativeSha2.sha384(a, b));
        expect(portableSha2.sha512(a, b)).toEqual(nativeSha2.sha512(a, b));
        expect(portableSha2.sha256Hex(a)).toBe(nativeSha2.sha256Hex(a));
        expect(portableSha2.sha256HexOfText(text)).toBe(nativeSha2.sha256HexOfText(text));
      }),
    );
  });

  it('take the same points for keys', () => {
    const onCurve = Uint8Array.from(
      Buffer.from(
        '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
        'hex',
      ),
    );
    const moved = Uint8Array.from(onCurve, (byte, at) => (at === 63 ? byte ^ 1 : byte));
    for (const point of [onCurve, moved, new Uint8Array(64), new Uint8Array(64).fill(255)]) {
      const isKey = portableP256.P256PublicKey.fromRaw(point) !== undefined;
      expect(isKey).toBe(nativeP256.P256PublicKey.fromRaw(point) !== undefined);
    }
    expect(() => portableP256.P256PublicKey.fromRaw(new Uint8Array(65))).toThrow(RangeError);
  });

  describe.skipIf(!haveVectors)('and Wycheproof (ecdsa_secp256r1_sha256_p1363)', () => {
    interface Group {
      readonly publicKey: { readonly uncompressed: string };
      readonly tests: readonly { readonly msg: string; readonly sig: string; readonly result: string }[];
    }
    const path = 'wycheproof/ecdsa_secp256r1_sha256_p1363_test.json';
    const groups = haveVectors ? vectorJson<{ readonly testGroups: readonly Group[] }>(path).testGroups : [];

    it('gives the verdict of each test', () => {
      const wrong: string[] = [];
      let count = 0;
      for (const { publicKey, tests } of groups) {
        const raw = Uint8Array.from(Buffer.from(publicKey.uncompressed.slice(2), 'hex'));
        const key = portableP256.P256PublicKey.fromRaw(raw);
        for (const { msg, sig, result } of tests) {
          count += 1;
          const isGood = key?.verify(Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex')) ?? false;
          if (isGood !== (result === 'valid')) wrong.push(`${msg} ${sig}`);
        }
      }
      expect(wrong).toEqual([]);
      expect(count).toBeGreaterThan(200);
    });
  });
});
