import { describe, expect, it } from 'vitest';
import { parseQuote } from '../../../src/tdx/quote.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  verdictOf,
  verifyInWorld,
  worldNowMs,
} from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const { validFromMs, validUntilMs } = verifyInWorld().collateral;
const at = (nowMs: number, collateralGraceMs = 0): string =>
  verdictOf(plainQuote(), plainCollateral(), { nowMs, collateralGraceMs });

describe('validity', () => {
  it('C12, K4, K5: both ends of the validity are inclusive, to the millisecond', () => {
    expect(at(validFromMs)).toBe('none');
    expect(at(validFromMs - 1)).toBe('CRL_NOT_YET_VALID');
    expect(at(validUntilMs)).toBe('none');
    expect(at(validUntilMs + 1)).toBe('CRL_EXPIRED');
    expect(
      thrownBy(() => verifyInWorld(plainQuote(), plainCollateral(), { nowMs: validUntilMs + 1 })),
    ).toMatchObject({
      field: 'root CA CRL',
      observed: new Date(validUntilMs + 1).toISOString(),
    });
  });

  it('C8, C9: certificates are valid from their notBefore', () => {
    expect(at(Date.UTC(2017, 0, 1))).toBe('CERTIFICATE_NOT_YET_VALID');
    expect(at(Date.UTC(2050, 0, 1))).toBe('CERTIFICATE_EXPIRED');
  });

  it.each([
    ['TCB_INFO', 'tcbInfo'],
    ['QE_IDENTITY', 'qeIdentity'],
  ] as const)('%s alone', (family, part) => {
    const during = (issueDate: string, nextUpdate: string): string => {
      const set = collateralWith((parts) => {
        const document = parts[part];
        return { [part]: { ...document, content: { ...document.content, issueDate, nextUpdate } } };
      });
      return verdictOf(plainQuote(), set);
    };
    expect(during('2026-11-21T12:00:01Z', '2026-12-21T00:00:00Z')).toBe(`${family}_NOT_YET_VALID`);
    expect(during('2026-11-01T00:00:00Z', '2026-11-21T11:59:59Z')).toBe(`${family}_EXPIRED`);
    expect(during('2026-11-21T12:00:00Z', '2026-11-21T12:00:00Z')).toBe('none');
  });

  it('a grace extends the validity of re-issued documents by its length, and never of a certificate', () => {
    const late = verifyInWorld(plainQuote(), plainCollateral(), {
      nowMs: validUntilMs + 5,
      collateralGraceMs: 5,
    });
    expect(late.collateral.state).toBe('grace');
    expect(at(validUntilMs + 6, 5)).toBe('CRL_EXPIRED');
    expect(at(validUntilMs + 1, Number.NaN)).toBe('CRL_EXPIRED');
    expect(at(Date.UTC(2055, 0, 1), Number.POSITIVE_INFINITY)).toBe('CERTIFICATE_EXPIRED');
  });

  it('an invalid time is misuse', () => {
    for (const nowMs of [Number.NaN, Number.POSITIVE_INFINITY, 8.65e15])
      expect(() => at(nowMs)).toThrow(RangeError);
  });

  it('half of the validity lies between its ends', () => {
    const { halfLifeAtMs } = verifyInWorld().collateral;
    expect(halfLifeAtMs).toBe(
      (pki.collateralParts({ nowMs: worldNowMs }).pckCrl.spec.thisUpdateMs + validUntilMs) / 2,
    );
  });
});

describe('trailing bytes', () => {
  it('are refused, or tolerated when asked and all zero', () => {
    const padded = (last: number) => Buffer.concat([plainQuote(), Buffer.of(0, 0, last)]);
    expect(codeOf(() => parseQuote(padded(0)))).toBe('QUOTE_TRAILING_BYTES');
    expect(parseQuote(padded(0), { trailing: 'allow-zero-padding' }).trailingByteLength).toBe(3);
    expect(codeOf(() => parseQuote(padded(1), { trailing: 'allow-zero-padding' }))).toBe(
      'QUOTE_TRAILING_BYTES',
    );
  });
});
