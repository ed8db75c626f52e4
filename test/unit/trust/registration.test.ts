import { describe, expect, it } from 'vitest';
import { AccountId, Nonce, ReportData, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  judgeRegistration,
  registrationContext,
  registrationReportData,
} from '../../../src/trust/registration.ts';

const counting = (from: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, index) => from + index);
const account = AccountId.of(counting(0));
const x25519 = X25519PublicKey.of(counting(0x20));
const nonce = Nonce.of(new Uint8Array(32).fill(9));

describe('registration report data', () => {
  it('matches the published vector of the recovery context', () => {
    const reportData = registrationReportData(
      account,
      x25519,
      registrationContext.encryptionKeyRecovery,
      nonce,
    );
    expect(toHex(reportData)).toBe(
      `c6656a289b7b85bdbe37b4c0a431f804e92e36e163040f34526de55b45ddfe68${'09'.repeat(32)}`,
    );
  });

  it.each([0, 1, 2] as const)('a quote registered under context %i binds account and key', (context) => {
    expect(judgeRegistration(registrationReportData(account, x25519, context, nonce), account, x25519)).toBe(
      context,
    );
  });

  it('a recovery quote is not accepted as a registration', () => {
    const reportData = registrationReportData(account, x25519, 3, nonce);
    expect(() => judgeRegistration(reportData, account, x25519)).toThrow(
      expect.objectContaining({ code: 'REGISTRATION_MISMATCH' }),
    );
  });

  it('another account, another key or other report data do not match', () => {
    const reportData = registrationReportData(account, x25519, 0, nonce);
    const refused = expect.objectContaining({ code: 'REGISTRATION_MISMATCH', family: 'evidence' });
    const others = [
      () => judgeRegistration(reportData, AccountId.of(counting(1)), x25519),
      () => judgeRegistration(reportData, account, X25519PublicKey.of(counting(1))),
      () => judgeRegistration(ReportData.of(new Uint8Array(64)), account, x25519),
    ];
    for (const judge of others) expect(judge).toThrow(refused);
  });
});
