import { describe, expect, it } from 'vitest';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { requireCurrent } from '../../../src/tdx/validity.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  trustRoot,
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
    const last = verifyInWorld(plainQuote(), plainCollateral(), {
      nowMs: validUntilMs,
      collateralGraceMs: 5,
    });
    expect(last.collateral.state).toBe('fresh');
    expect(at(validUntilMs + 6, 5)).toBe('CRL_EXPIRED');
    expect(at(validUntilMs + 1, Number.NaN)).toBe('CRL_EXPIRED');
    expect(at(Date.UTC(2055, 0, 1), Number.POSITIVE_INFINITY)).toBe('CERTIFICATE_EXPIRED');
  });

  it('an invalid time is misuse', () => {
    for (const nowMs of [Number.NaN, Number.POSITIVE_INFINITY, 8.65e15])
      expect(() => at(nowMs)).toThrow(new RangeError(`nowMs must be a time, got ${nowMs}`));
  });

  it('the last time of all is a time', () => {
    expect(at(8.64e15)).toBe('CERTIFICATE_EXPIRED');
  });

  it('a refusal says on which side of the window now is', () => {
    const messageAt = (nowMs: number) =>
      thrownBy(() => verifyInWorld(plainQuote(), plainCollateral(), { nowMs }));
    expect(messageAt(validFromMs - 1)).toMatchObject({
      message: expect.stringContaining('is not yet valid'),
    });
    expect(messageAt(validUntilMs + 1)).toMatchObject({
      message: expect.stringContaining('is no longer valid'),
    });
  });

  it('a window that ends before it begins is never current', () => {
    const window = {
      document: 'test',
      notBeforeMs: 10,
      notAfterMs: 5,
      tooEarly: 'CERTIFICATE_NOT_YET_VALID',
      tooLate: 'CERTIFICATE_EXPIRED',
      hasGrace: false,
    } as const;
    const codes = [5, 7, 9, 10, 11].map((nowMs) => codeOf(() => requireCurrent([window], nowMs)));
    const [early, late] = [window.tooEarly, window.tooLate];
    expect(codes).toEqual([early, early, early, late, late]);
  });

  it('a set without a quote is checked against the time too, with its grace', () => {
    const check = (nowMs: number, collateralGraceMs?: number) =>
      codeOf(() =>
        new QuoteVerifier({ trustRoot }).checkCollateral(plainCollateral(), {
          nowMs,
          ...(collateralGraceMs === undefined ? {} : { collateralGraceMs }),
        }),
      );
    expect(check(validFromMs - 1)).toBe('CRL_NOT_YET_VALID');
    expect(check(validUntilMs)).toBe('none');
    expect(check(validUntilMs + 1)).toBe('CRL_EXPIRED');
    expect(check(validUntilMs + 5, 5)).toBe('none');
    expect(check(validUntilMs + 6, 5)).toBe('CRL_EXPIRED');
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
    const expectedOf = (trailing: 'refuse' | 'allow-zero-padding') =>
      thrownBy(() => parseQuote(padded(1), { trailing }));
    expect(expectedOf('refuse')).toMatchObject({ expected: 'nothing after the quote' });
    expect(expectedOf('allow-zero-padding')).toMatchObject({
      expected: 'at most zero bytes after the quote',
    });
    expect(codeOf(() => parseQuote(padded(1), { trailing: 'allow-zero-padding' }))).toBe(
      'QUOTE_TRAILING_BYTES',
    );
  });

  it('count for the largest size, which a quote may have', () => {
    const filled = (byteLength: number) => {
      const bytes = new Uint8Array(byteLength);
      bytes.set(plainQuote());
      return codeOf(() => parseQuote(bytes, { trailing: 'allow-zero-padding' }));
    };
    expect([filled(16_384), filled(16_385)]).toEqual(['none', 'QUOTE_TOO_LARGE']);
  });
});
