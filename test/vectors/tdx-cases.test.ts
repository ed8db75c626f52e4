import { describe, expect, it } from 'vitest';
import { QuoteStream } from '../../src/cli/quote/stream.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { applyPolicy, defaultPolicy, parsePolicy } from '../../src/tdx/policy.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import {
  casePolicy,
  collateralIds,
  genuineCollateral,
  genuineQuote,
  novemberCases,
  novemberPolicy,
  quoteBytes,
  quoteIds,
  tdxCases,
} from '../support/tdx-vectors.ts';
import { codeOf, thrownBy } from '../support/thrown.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const verifier = haveVectors ? new QuoteVerifier() : undefined;
const requireVerifier = (): QuoteVerifier => verifier ?? new QuoteVerifier();

describe.skipIf(!haveVectors)('genuine quotes', () => {
  const cases = haveVectors ? tdxCases() : [];

  it.each(cases)(
    '$quote with $collateral gets the same verdict as from Intel',
    ({ quote, collateral, now, expected }) => {
      const nowMs = Date.parse(now);
      let tcbStatus: string | undefined;
      try {
        const verified = requireVerifier().verify(genuineQuote(quote), {
          collateral: genuineCollateral(collateral),
          nowMs,
        });
        tcbStatus = verified.tcbStatus;
        applyPolicy(verified, parsePolicy(casePolicy), nowMs);
        const { advisoryIds } = verified;
        expect({ outcome: 'accept', tcbStatus, advisoryIds }).toEqual(expected);
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        expect(expected.outcome).toBe('reject');
        if (expected.outcome === 'reject')
          expect([error.code, tcbStatus]).toEqual([expected.reason, expected.tcbStatus]);
      }
    },
  );

  it.each(haveVectors ? novemberCases() : [])(
    '$quote with $collateral gets the verdict of Intel’s library of July 2026',
    ({ quote, collateral, now, expected }) => {
      const nowMs = Date.parse(now);
      const options = { collateral: genuineCollateral(collateral), nowMs };
      const verified = requireVerifier().verify(genuineQuote(quote), options);
      applyPolicy(verified, parsePolicy(novemberPolicy), nowMs);
      expect({ outcome: 'accept', tcbStatus: verified.tcbStatus }).toEqual(expected);
    },
  );

  it('TCB info and QE identity with different evaluation numbers (August 2026): the lower number counts', () => {
    const nowMs = Date.parse('2026-08-28T05:21:24Z');
    const collateral = genuineCollateral('K_b0c06f_2026_08_e20q19');
    const verified = requireVerifier().verify(genuineQuote('b9e238b2bd96'), { collateral, nowMs });
    expect(verified.tcbEvaluationDataNumber).toBe(19);
    expect(verified.collateral.evaluationNumbers).toEqual({ tcbInfo: 20, qeIdentity: 19 });
    const demanding = { collateral, nowMs, minimumTcbEvaluationDataNumber: 20 };
    expect(codeOf(() => requireVerifier().verify(genuineQuote('b9e238b2bd96'), demanding))).toBe(
      'TCB_EVALUATION_TOO_OLD',
    );
  });

  it('a migratable TD is refused by name under the default policy, with any TCB status', () => {
    const nowMs = Date.parse('2026-06-27T22:27:15Z');
    const collateral = genuineCollateral('M_00806f_2026_06_e21');
    const verified = requireVerifier().verify(genuineQuote('67adfc4acd82'), { collateral, nowMs });
    const { allowMigratable: _, ...otherwiseAllowed } = novemberPolicy;
    for (const policy of [{}, otherwiseAllowed]) {
      expect(thrownBy(() => applyPolicy(verified, parsePolicy(policy), nowMs))).toMatchObject({
        code: 'TD_ATTRIBUTES_REFUSED',
        observed: expect.stringContaining('MIGRATABLE'),
      });
    }
  });

  it('the JSON lines command gives every case the same verdict', () => {
    const stream = new QuoteStream({
      verifier: requireVerifier(),
      policy: defaultPolicy,
      collateral: undefined,
      nowMs: () => 0,
      acceptsRootFromInput: false,
    });
    for (const [index, { quote, collateral, now, expected }] of cases.entries()) {
      const line = {
        id: index,
        quote: Buffer.from(quoteBytes(quote)).toString(index % 2 === 0 ? 'base64' : 'hex'),
        collateral: vectorJson<unknown>(`tdx/collateral/${collateral}.json`),
        now,
        policy: casePolicy,
      };
      const answer = stream.answer({ tooLong: false, bytes: Buffer.from(JSON.stringify(line)) });
      const wanted =
        expected.outcome === 'accept'
          ? { ok: true, tcbStatus: expected.tcbStatus, advisoryIds: expected.advisoryIds }
          : { ok: false, code: expected.reason };
      expect(answer, `${quote} ${collateral}`).toMatchObject({ id: index, ...wanted });
      if (expected.outcome === 'reject') expect(answer['tcbStatus']).toBe(expected.tcbStatus);
    }
  });

  it('every quote parses, and its chain leads to Intel’s root', () => {
    const nowMs = Date.UTC(2026, 5, 1);
    for (const id of quoteIds()) {
      const quote = genuineQuote(id);
      const verified = requireVerifier().verifyChainOnly(quote, { nowMs });
      expect(verified.isIntelRooted, id).toBe(true);
      expect(verified.platform.ppid).toHaveLength(16);
      // Nothing is read twice or skipped: the parts add up to the whole.
      const signatureData = 4 + 64 + 64 + 6 + 384 + 64 + 2 + quote.qe.authenticationData.length + 6;
      const parsed = quote.signedBytes.length + signatureData + quote.certificateChain.length;
      expect(parsed + quote.trailingByteLength, id).toBe(quoteBytes(id).length);
    }
  });

  it('every collateral set without a quote is valid at its time', () => {
    const timeOf = new Map(tdxCases().map(({ collateral, now }) => [collateral, Date.parse(now)]));
    for (const id of collateralIds()) {
      const nowMs = timeOf.get(id);
      if (nowMs === undefined) continue;
      const summary = requireVerifier().checkCollateral(genuineCollateral(id), { nowMs });
      expect(summary.state, id).toBe('fresh');
      expect(summary.ca).toBe('platform');
      expect(summary.validUntilMs).toBeGreaterThan(nowMs);
      expect(summary.halfLifeAtMs).toBeLessThan(summary.validUntilMs);
    }
    expect(timeOf.size).toBe(collateralIds().length);
  });

  it('every quote is refused with every set of another platform', () => {
    const known = new Set(cases.map(({ quote, collateral }) => `${quote} ${collateral}`));
    const timeOf = new Map(cases.map(({ collateral, now }) => [collateral, Date.parse(now)]));
    const codes = new Map<string, number>();
    for (const quote of quoteIds()) {
      for (const [collateral, nowMs] of timeOf) {
        if (known.has(`${quote} ${collateral}`)) continue;
        const options = { collateral: genuineCollateral(collateral), nowMs };
        const code = codeOf(() => requireVerifier().verify(genuineQuote(quote), options));
        expect(['FMSPC_MISMATCH', 'CERTIFICATE_NOT_YET_VALID'], `${quote} ${collateral}`).toContain(code);
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    }
    expect([...codes.values()].reduce((sum, count) => sum + count, 0)).toBe(
      quoteIds().length * timeOf.size - known.size,
    );
    expect(codes.get('FMSPC_MISMATCH')).toBeGreaterThan(30);
  });

  it('bytes after a quote are refused; on request, zero bytes are tolerated', () => {
    const bytes = quoteBytes('f1c850330112');
    const zeros = Buffer.concat([bytes, Buffer.alloc(70)]);
    const junk = Buffer.concat([bytes, Buffer.alloc(69), Buffer.of(1)]);
    expect(codeOf(() => parseQuote(zeros))).toBe('QUOTE_TRAILING_BYTES');
    expect(codeOf(() => parseQuote(junk, { trailing: 'allow-zero-padding' }))).toBe('QUOTE_TRAILING_BYTES');
    expect(parseQuote(zeros, { trailing: 'allow-zero-padding' }).trailingByteLength).toBe(70);
  });
});
