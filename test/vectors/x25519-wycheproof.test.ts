import { describe, expect, it } from 'vitest';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

interface File {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly tests: readonly {
      readonly tcId: number;
      readonly flags: readonly string[];
      readonly public: string;
      readonly private: string;
      readonly shared: string;
    }[];
  }[];
}

const hex = (text: string): Uint8Array => tryFromHex(text) ?? new Uint8Array(0);

describe.skipIf(!haveVectors)('Wycheproof X25519', () => {
  it('every shared secret is correct, and every shared secret of zeros is refused', () => {
    const file = vectorJson<File>('wycheproof/x25519_test.json');
    let seen = 0;
    let refused = 0;
    for (const test of file.testGroups.flatMap((group) => group.tests)) {
      const shared = x25519KeyPairFromSecret(hex(test.private)).privateKey.diffieHellman(hex(test.public));
      const isZero = test.flags.includes('ZeroSharedSecret');
      const expected = isZero ? undefined : test.shared;
      expect(shared === undefined ? undefined : toHex(shared), `tcId ${test.tcId}`).toBe(expected);
      seen += 1;
      if (isZero) refused += 1;
    }
    expect(seen).toBe(file.numberOfTests);
    expect(refused).toBeGreaterThan(0);
  });
});
