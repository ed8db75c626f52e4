import { describe, expect, it } from 'vitest';
import type { TcbInfo } from '../../../mock-tdx/collateral/tcb-info.ts';
import { describeWarning, foreseeRefusal, STANDARD_DELAY_MS } from '../../../src/tdx/early-warning.ts';
import { parsePolicy } from '../../../src/tdx/policy.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { recoveryOf } from '../../support/tcb-recovery.ts';
import {
  collateralWith,
  plainCollateral,
  plainQuote,
  qeIdentityWith,
  tcbInfoWith,
  trustRoot,
  worldNowMs,
} from '../../support/tdx-world.ts';
import { codeOf } from '../../support/thrown.ts';

const DAY_MS = 86_400_000;
const svns = (...first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);
const early = tcbInfoWith(recoveryOf);
const recoveryMs = Date.UTC(2026, 7, 12);

const foresee = (quote: Uint8Array, policy: object = {}, changes: object = {}) =>
  foreseeRefusal({
    verifier: new QuoteVerifier({ trustRoot }),
    quote: parseQuote(quote),
    early,
    standard: plainCollateral(),
    policy: parsePolicy(policy),
    nowMs: worldNowMs,
    ...changes,
  });

describe('early warning of a TCB recovery', () => {
  it('reports the future refusal, its date, and the component and level with a shortfall', () => {
    const warning = foresee(plainQuote());
    expect(warning).toMatchObject({
      code: 'TCB_STATUS_REFUSED',
      tcbStatus: 'OutOfDate',
      refusedFromMs: recoveryMs + STANDARD_DELAY_MS,
      evaluationNumbers: { tcbInfo: 21, qeIdentity: 20 },
      shortfalls: [
        {
          part: 'TDX component 3 (TDX Late Microcode Update)',
          required: 9,
          observed: 8,
          level: { status: 'UpToDate', tcbDateMs: recoveryMs },
        },
      ],
    });
    expect(warning && describeWarning(warning)).toMatch(
      /^refused from about 2027-08-12: TCB_STATUS_REFUSED: .*TDX component 3/,
    );
  });

  it('is absent for a machine with the fixes, and under a policy that accepts the status', () => {
    expect(foresee(plainQuote({ body: { teeTcbSvn: svns(5, 1, 9) } }))).toBeUndefined();
    expect(foresee(plainQuote(), { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'] })).toBeUndefined();
    expect(foresee(plainQuote(), {}, { early: plainCollateral() })).toBeUndefined();
  });

  it('a quote that is refused today is refused from now on', () => {
    expect(foresee(plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } }))?.refusedFromMs).toBe(worldNowMs);
    // Also by a recovery that became the standard one sooner than after a year.
    expect(foresee(plainQuote(), {}, { standard: early })?.refusedFromMs).toBe(worldNowMs);
  });

  it('a date in the past is now', () => {
    const since = Date.UTC(2024, 4, 1);
    const old = tcbInfoWith((info) => ({ ...recoveryOf(info, since), tcbEvaluationDataNumber: 21 }));
    const levels = (info: TcbInfo) =>
      info.tcbLevels.map((level) => ({ ...level, tcbDate: '2024-01-01T00:00:00Z' }));
    const early = tcbInfoWith((info) => recoveryOf({ ...info, tcbLevels: levels(info) }, since));
    expect(foresee(plainQuote(), {}, { early })?.refusedFromMs).toBe(worldNowMs);
    // The recovery is older than the level that is reached: nothing tells when it will count.
    expect(foresee(plainQuote(), {}, { early: old })?.refusedFromMs).toBeUndefined();
  });

  it('a grace of the policy delays the refusal, and does not hide it', () => {
    const levelMs = Date.UTC(2025, 4, 14);
    const late = foresee(plainQuote(), { tcbGraceDays: 1000 });
    expect(late?.refusedFromMs).toBe(levelMs + 1000 * DAY_MS);
    const soon = foresee(plainQuote(), { tcbGraceDays: 700 });
    expect(soon?.refusedFromMs).toBe(recoveryMs + STANDARD_DELAY_MS);
  });

  it('a grace delays neither a refused advisory nor a status that is not out of date', () => {
    const second = (change: object) =>
      tcbInfoWith((info) => {
        const [first, old, ...rest] = recoveryOf(info).tcbLevels;
        return { ...recoveryOf(info), tcbLevels: [first, { ...old, ...change }, ...rest] };
      });
    const refusedFrom = recoveryMs + STANDARD_DELAY_MS;
    const tcbGraceDays = 1000;
    const denied = {
      tcbGraceDays,
      acceptedTcbStatuses: ['UpToDate', 'OutOfDate'],
      deniedAdvisoryIds: ['INTEL-SA-1'],
    };
    expect(foresee(plainQuote(), denied, { early: second({ advisoryIDs: ['INTEL-SA-1'] }) })).toMatchObject({
      code: 'ADVISORY_REFUSED',
      tcbStatus: 'OutOfDate',
      refusedFromMs: refusedFrom,
    });
    const hardening = second({ tcbStatus: 'SWHardeningNeeded' });
    expect(foresee(plainQuote(), { tcbGraceDays }, { early: hardening })).toMatchObject({
      code: 'TCB_STATUS_REFUSED',
      tcbStatus: 'SWHardeningNeeded',
      refusedFromMs: refusedFrom,
    });
  });

  it('covers a quoting enclave, a removed module level and an advisory', () => {
    const olderQe = qeIdentityWith(({ tcbLevels: [first, ...rest] }) => ({
      tcbLevels: [
        { ...first, tcb: { isvsvn: 8 }, tcbDate: '2026-08-12T00:00:00Z' },
        { ...first, tcbStatus: 'OutOfDate' },
        ...rest,
      ],
    }));
    expect(foresee(plainQuote(), {}, { early: olderQe })).toMatchObject({
      shortfalls: [{ part: 'quoting enclave', required: 8, observed: 6 }],
      refusedFromMs: recoveryMs + STANDARD_DELAY_MS,
    });
    const gone = tcbInfoWith(({ tdxModuleIdentities }) => ({
      tdxModuleIdentities: tdxModuleIdentities.filter(({ id }) => id !== 'TDX_01'),
    }));
    const unknown = foresee(plainQuote(), {}, { early: gone });
    expect(unknown).toMatchObject({ code: 'TDX_MODULE_MISMATCH', tcbStatus: undefined, shortfalls: [] });
    expect(unknown && describeWarning(unknown)).toContain('once this TCB evaluation is the standard one');
    const advisory = tcbInfoWith(({ tcbLevels: [first, ...rest] }) => ({
      tcbLevels: [{ ...first, advisoryIDs: ['INTEL-SA-1'] }, ...rest],
    }));
    const denied = foresee(plainQuote(), { deniedAdvisoryIds: ['INTEL-SA-1'] }, { early: advisory });
    expect(denied).toMatchObject({ code: 'ADVISORY_REFUSED', refusedFromMs: undefined });
  });

  it('judges the loaded TCB too', () => {
    const quote = plainQuote({
      version: 5,
      body: { teeTcbSvn: svns(5, 1, 9), teeTcbSvn2: svns(5, 1, 8) },
    });
    expect(foresee(quote)).toMatchObject({
      code: 'TCB_STATUS_REFUSED',
      tcbStatus: 'UpToDate',
      refusedFromMs: recoveryMs + STANDARD_DELAY_MS,
      shortfalls: [{ part: 'TDX component 3 (TDX Late Microcode Update)' }],
    });
  });

  it('bad collateral and a bad quote give errors and not warnings', () => {
    const expired = collateralWith(({ pckCrl }) => ({
      pckCrl: { ...pckCrl, spec: { ...pckCrl.spec, nextUpdateMs: worldNowMs - 1000 } },
    }));
    expect(codeOf(() => foresee(plainQuote(), {}, { early: expired }))).toBe('CRL_EXPIRED');
    expect(codeOf(() => foresee(plainQuote(), {}, { early: expired, collateralGraceMs: 2000 }))).toBe('none');
    const debug = plainQuote({ body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } });
    expect(codeOf(() => foresee(debug))).toBe('TD_DEBUG');
  });
});
