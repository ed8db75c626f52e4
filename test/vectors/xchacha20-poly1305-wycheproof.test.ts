import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../src/bytes/concat.ts';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { xchacha20Poly1305Open, xchacha20Poly1305Seal } from '../../src/crypto/xchacha20-poly1305.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

interface Test {
  readonly tcId: number;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: 'valid' | 'invalid';
}

interface File {
  readonly numberOfTests: number;
  readonly testGroups: readonly { readonly ivSize: number; readonly tests: readonly Test[] }[];
}

const hex = (text: string): Uint8Array => tryFromHex(text) ?? new Uint8Array(0);

function check({ tcId, key, iv, aad, msg, ct, tag, result }: Test, ivSize: number): void {
  const [k, nonce, ad, message] = [hex(key), hex(iv), hex(aad), hex(msg)];
  const sealed = concatBytes(hex(ct), hex(tag));
  const opened = xchacha20Poly1305Open(k, nonce, ad, sealed);
  expect(opened === undefined ? undefined : toHex(opened), `tcId ${tcId} opens`).toBe(
    result === 'valid' ? msg : undefined,
  );
  if (result === 'valid') {
    expect(toHex(xchacha20Poly1305Seal(k, nonce, ad, message)), `tcId ${tcId} seals`).toBe(toHex(sealed));
  } else if (ivSize !== 192) {
    expect(() => xchacha20Poly1305Seal(k, nonce, ad, message), `tcId ${tcId} nonce`).toThrow();
  }
}

describe.skipIf(!haveVectors)('Wycheproof XChaCha20-Poly1305', () => {
  it('every valid case seals and opens to the same bytes, every invalid case is refused', () => {
    const file = vectorJson<File>('wycheproof/xchacha20_poly1305_test.json');
    let seen = 0;
    for (const { ivSize, tests } of file.testGroups) {
      for (const test of tests) check(test, ivSize);
      seen += tests.length;
    }
    expect(seen).toBe(file.numberOfTests);
  });
});
