import { describe, expect, it } from 'vitest';
import type { QuoteRequest } from '../../../mock-tdx/development-pki.ts';
import { TcbGrace, withinGrace } from '../../../src/keyserver/tcb-grace.ts';
import type { CollateralDocuments } from '../../../src/tdx/collateral.ts';
import { applyPolicy, defaultPolicy } from '../../../src/tdx/policy.ts';
import { collateralWith, plainQuote, quoteWith, verifyInWorld, worldNowMs } from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const DAY_MS = 86_400_000;
const oldMicrocode = plainQuote({
  body: { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Array<number>(13).fill(0)) },
});
const withOldEnclave = (request: Partial<QuoteRequest> = {}): Uint8Array =>
  quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn: 5 } }), request);
const oldEnclave = withOldEnclave();
/** A TDX module of version 0 has no level of its own. */
const firstModule = { body: { teeTcbSvn: Uint8Array.of(5, 0, 8, ...new Array<number>(13).fill(0)) } };

/** A collateral set with these evaluation numbers in its two documents. */
const numbered = (tcbInfoNumber: number, qeIdentityNumber: number): CollateralDocuments =>
  collateralWith(({ tcbInfo, qeIdentity }) => ({
    tcbInfo: { ...tcbInfo, content: { ...tcbInfo.content, tcbEvaluationDataNumber: tcbInfoNumber } },
    qeIdentity: {
      ...qeIdentity,
      content: { ...qeIdentity.content, tcbEvaluationDataNumber: qeIdentityNumber },
    },
  }));

/** Whether a quote is within the grace of 30 days under a set that comes 40 days after one with the evaluations 20 and 20. */
function isWithin(quote: Uint8Array, collateral: CollateralDocuments): boolean {
  const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
  grace.observe({ tcbInfo: 20, qeIdentity: 20 }, worldNowMs - 40 * DAY_MS);
  const verified = verifyInWorld(quote, collateral);
  grace.observe(verified.collateral.evaluationNumbers, worldNowMs);
  const refusal = thrownBy(() => applyPolicy(verified, defaultPolicy, worldNowMs));
  return withinGrace(refusal, verified, defaultPolicy, grace, worldNowMs);
}

describe('the grace counts from the evaluation of the document that made a machine out of date', () => {
  it.each([
    ['by the TCB info', oldMicrocode, 20, 20, false],
    ['by a new TCB info', oldMicrocode, 21, 20, true],
    ['by the TCB info, beside a new QE identity', oldMicrocode, 20, 21, false],
    ['by the QE identity', oldEnclave, 20, 20, false],
    ['by a new QE identity', oldEnclave, 20, 21, true],
    ['by the QE identity, under the first TDX module', withOldEnclave(firstModule), 21, 20, false],
    ['by a new QE identity, under the first TDX module', withOldEnclave(firstModule), 20, 21, true],
    ['by the QE identity, beside a new TCB info', oldEnclave, 21, 20, false],
  ] as const)('%s', (_, quote, tcbInfoNumber, qeIdentityNumber, expected) => {
    expect(isWithin(quote, numbered(tcbInfoNumber, qeIdentityNumber))).toBe(expected);
  });
});

describe('a TD within its grace keeps it when a newer TDX module is loaded', () => {
  const svns = (...first: readonly number[]) => Uint8Array.of(...first, ...new Array<number>(13).fill(0));
  const launchedOld = (loaded: Uint8Array) =>
    plainQuote({ version: 5, body: { teeTcbSvn: svns(4, 1, 8), teeTcbSvn2: loaded } });
  const relaunch = launchedOld(svns(5, 1, 8));
  /** The newest platform level has this status. */
  const newestLevel = (tcbStatus: string, evaluation: number): CollateralDocuments =>
    collateralWith(({ tcbInfo, qeIdentity }) => ({
      tcbInfo: {
        ...tcbInfo,
        content: {
          ...tcbInfo.content,
          tcbEvaluationDataNumber: evaluation,
          tcbLevels: tcbInfo.content.tcbLevels.slice(0, 1).map((level) => ({ ...level, tcbStatus })),
        },
      },
      qeIdentity: { ...qeIdentity, content: { ...qeIdentity.content, tcbEvaluationDataNumber: 20 } },
    }));

  it.each([
    ['OutOfDate', launchedOld(svns(4, 1, 8)), numbered(21, 20), numbered(20, 20)],
    ['TDRelaunchAdvised', relaunch, numbered(21, 20), numbered(20, 20)],
    [
      'OutOfDateConfigurationNeeded',
      launchedOld(svns(4, 1, 8)),
      newestLevel('OutOfDateConfigurationNeeded', 21),
      newestLevel('OutOfDateConfigurationNeeded', 20),
    ],
    [
      'TDRelaunchAdvisedConfigurationNeeded',
      relaunch,
      newestLevel('ConfigurationNeeded', 21),
      newestLevel('ConfigurationNeeded', 20),
    ],
  ] as const)('%s', (status, quote, recent, old) => {
    expect(verifyInWorld(quote, recent).tcbStatus).toBe(status);
    expect(isWithin(quote, recent)).toBe(true);
    expect(isWithin(quote, old)).toBe(false);
  });

  it('but not when the policy refuses it for anything else', () => {
    const verified = verifyInWorld(relaunch, numbered(21, 20));
    const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
    grace.observe(verified.collateral.evaluationNumbers, worldNowMs);
    const policy = { ...defaultPolicy, minimumTcbEvaluationDataNumber: 20 };
    const refusal = thrownBy(() => applyPolicy(verified, policy, worldNowMs));
    expect(withinGrace(refusal, verified, policy, grace, worldNowMs)).toBe(true);
    const denied = { ...policy, deniedAdvisoryIds: verified.advisoryIds };
    expect(verified.advisoryIds.length).toBeGreaterThan(0);
    expect(codeOf(() => withinGrace(refusal, verified, denied, grace, worldNowMs))).toBe('ADVISORY_REFUSED');
  });
});
