import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { sr25519Sign, sr25519Verify } from '../../../src/crypto/sr25519.ts';
import { rememberSignatures } from '../../../src/secrets/remember-signatures.ts';
import { ALICE, BOB, seedOf } from '../../support/secret-records.ts';

const message = utf8('a record');
const signature = sr25519Sign(seedOf(1).reveal(), message);

function counting(capacity?: number) {
  let verified = 0;
  const isSigned = rememberSignatures((...signed) => {
    verified += 1;
    return sr25519Verify(...signed);
  }, capacity);
  return { isSigned, verified: () => verified };
}

describe('remembered signatures', () => {
  it('are verified once', () => {
    const { isSigned, verified } = counting();
    expect([1, 2, 3].map(() => isSigned(message, signature, ALICE))).toEqual([true, true, true]);
    expect(verified()).toBe(1);
  });

  it('are those of one message and one account', () => {
    const { isSigned } = counting();
    expect(isSigned(message, signature, ALICE)).toBe(true);
    expect(isSigned(utf8('another'), signature, ALICE)).toBe(false);
    expect(isSigned(message, signature, BOB)).toBe(false);
    for (let at = 0; at < signature.length; at++) {
      const forged = Uint8Array.from(signature);
      forged[at] = (forged[at] ?? 0) ^ 1;
      expect(isSigned(message, forged, ALICE)).toBe(false);
    }
  });

  it('have no other reading: a part of one field is no part of the next one', () => {
    const isSigned = rememberSignatures(() => true);
    expect(isSigned(message, signature, ALICE)).toBe(true);
    const longer = concatBytes(signature, ALICE.subarray(0, 1));
    expect(isSigned(message, longer, ALICE.subarray(1))).toBe(false);
    expect(isSigned(concatBytes(ALICE, message), signature.subarray(0, 32), signature.subarray(32))).toBe(
      false,
    );
  });

  it('that are forged are refused each time, and push out none that is genuine', () => {
    const { isSigned, verified } = counting(1);
    isSigned(message, signature, ALICE);
    for (let turn = 0; turn < 3; turn++) expect(isSigned(message, signature, BOB)).toBe(false);
    expect(verified()).toBe(4);
    expect(isSigned(message, signature, ALICE)).toBe(true);
    expect(verified()).toBe(4);
  });

  it('are bounded', () => {
    const { isSigned, verified } = counting(1);
    const other = utf8('another');
    const signatures = [signature, sr25519Sign(seedOf(1).reveal(), other)];
    for (const turn of [0, 1, 0])
      expect(isSigned([message, other][turn] ?? message, signatures[turn] ?? signature, ALICE)).toBe(true);
    expect(verified()).toBe(3);
  });
});
