import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { encodeTdBody, tdBody } from '../../../mock-tdx/quote/td-body.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { insecureTrustRoot, parseQuote, QuoteVerifier, verifyQuote } from '../../../src/tdx/verify-quote.ts';

const seedOf = (byte: number) => new Uint8Array(32).fill(byte);
const reportData = new Uint8Array(64).fill(0xab);
const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 10, 21, 23, 59, 59);

describe('a development PKI', () => {
  it('has the same bytes for the same seed, and other bytes for another seed', () => {
    const make = (byte: number) => {
      const pki = createDevelopmentPki({ seed: seedOf(byte) });
      return [
        pki.rootPem,
        toHex(pki.quote({ reportData })),
        JSON.stringify(pki.collateral({ nowMs: NOW_MS })),
      ];
    };
    expect(make(1)).toEqual(make(1));
    expect(make(2).some((part, index) => part === make(1)[index])).toBe(false);
  });

  it('is random without a seed', () => {
    const random = (length: number) => new Uint8Array(length).fill(7);
    expect(createDevelopmentPki({ random }).rootPem).toBe(createDevelopmentPki({ seed: seedOf(7) }).rootPem);
    expect(createDevelopmentPki().rootPem).not.toBe(createDevelopmentPki().rootPem);
  });

  const pki = createDevelopmentPki({ seed: seedOf(3) });
  const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) });

  it.each([
    [4, undefined, 'platform'],
    [5, '1.0', 'platform'],
    [5, '1.5', 'platform'],
    [4, undefined, 'processor'],
    [5, '1.5', 'processor'],
  ] as const)(
    'version %s, report %s, %s CA passes the complete verification as UpToDate',
    (version, layout, ca) => {
      const quote = pki.quote({ reportData, version, ca, ...(layout === undefined ? {} : { layout }) });
      const collateral = pki.collateral({ nowMs: NOW_MS, ca });
      const verified = verifyQuote(quote, { collateral, nowMs: NOW_MS, verifier });
      expect(verified.tcbStatus).toBe('UpToDate');
      expect(verified.isIntelRooted).toBe(false);
      expect(toHex(verified.quote.body.reportData)).toBe(toHex(reportData));
    },
  );

  it('is refused under Intel’s root', () => {
    const options = { collateral: pki.collateral({ nowMs: NOW_MS }), nowMs: NOW_MS };
    expect(() => verifyQuote(pki.quote({ reportData }), options)).toThrow(
      expect.objectContaining({ code: 'ROOT_NOT_TRUSTED' }),
    );
  });

  it('gives every platform a different PPID and serial number', () => {
    const facts = Array.from({ length: 20 }, (_, platform) => {
      const { platform: found } = verifier.verifyChainOnly(pki.quote({ reportData, platform }), {
        nowMs: NOW_MS,
      });
      return [toHex(found.ppid), found.pckSerialNumber, toHex(found.fmspc)];
    });
    expect(new Set(facts.map(([ppid]) => ppid)).size).toBe(20);
    expect(new Set(facts.map(([, serial]) => serial)).size).toBe(20);
    expect(new Set(facts.map(([, , fmspc]) => fmspc)).size).toBe(1);
  });

  it('issues collateral that is valid from a day before to 29 days after', () => {
    const collateral = pki.collateral({ nowMs: NOW_MS });
    const midnight = Date.UTC(2026, 10, 21);
    const at = (nowMs: number) => () => verifier.checkCollateral(collateral, { nowMs });
    expect(at(midnight - DAY_MS)).not.toThrow();
    expect(at(midnight + 29 * DAY_MS)).not.toThrow();
    expect(at(midnight - DAY_MS - 1000)).toThrow();
    expect(at(midnight + 29 * DAY_MS + 1000)).toThrow();
  });

  it('puts every measurement at its offset', () => {
    const distinct = Object.fromEntries(
      Object.entries(developmentMeasurements).map(([name, value], index) => [
        name,
        new Uint8Array(value.length).fill(index + 1),
      ]),
    );
    const { body } = parseQuote(pki.quote({ reportData, version: 5, body: distinct }));
    const seen = Object.fromEntries(Object.entries(body).filter(([name]) => Object.hasOwn(distinct, name)));
    expect(seen).toEqual(distinct);
  });

  it('refuses to make a malformed body', () => {
    expect(() => encodeTdBody(tdBody(new Uint8Array(63)), '1.0')).toThrow(RangeError);
  });
});
