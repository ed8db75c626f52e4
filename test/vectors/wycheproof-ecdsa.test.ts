import { describe, expect, it } from 'vitest';
import { tryFromHex } from '../../src/bytes/hex.ts';
import { P256PublicKey } from '../../src/crypto/p256.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

interface File {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKey: { readonly uncompressed: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: 'valid' | 'invalid' | 'acceptable';
    }[];
  }[];
}

const hex = (text: string): Uint8Array => {
  const bytes = tryFromHex(text);
  if (bytes === undefined) throw new Error(`not hex: ${text}`);
  return bytes;
};

describe.skipIf(!haveVectors)('Wycheproof ECDSA P-256 SHA-256 (P1363)', () => {
  it('every signature gets the verdict of the vectors', () => {
    const file = vectorJson<File>('wycheproof/ecdsa_secp256r1_sha256_p1363_test.json');
    const seen = { valid: 0, invalid: 0, acceptable: 0 };
    for (const group of file.testGroups) {
      const key = P256PublicKey.fromRaw(hex(group.publicKey.uncompressed).subarray(1));
      for (const { tcId, msg, sig, result } of group.tests) {
        seen[result] += 1;
        if (result !== 'acceptable') {
          expect(key?.verify(hex(msg), hex(sig)), `tcId ${tcId}`).toBe(result === 'valid');
        }
      }
    }
    expect(seen.valid + seen.invalid + seen.acceptable).toBe(file.numberOfTests);
    expect(seen.valid).toBeGreaterThan(50);
    expect(seen.invalid).toBeGreaterThan(50);
  });
});
