import { describe, expect, it } from 'vitest';
import { TcbGrace, withinGrace } from '../../../src/keyserver/tcb-grace.ts';
import type { CollateralDocuments } from '../../../src/tdx/collateral.ts';
import { applyPolicy, defaultPolicy } from '../../../src/tdx/policy.ts';
import { collateralWith, plainQuote, quoteWith, verifyInWorld, worldNowMs } from '../../support/tdx-world.ts';
import { thrownBy } from '../../support/thrown.ts';

const DAY_MS = 86_400_000;
const oldMicrocode = plainQuote({
  body: { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Array<number>(13).fill(0)) },
});
const oldEnclave = quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn: 5 } }));

/** A collateral set with these evaluation numbers in its two documents. */
const numbered = (tcbInfoNumber: number, qeIdentityNumber: number): CollateralDocuments =>
  collateralWith(({ tcbInfo, qeIdentity }) => ({
    tcbInfo: { ...tcbInfo, content: { ...tcbInfo.content, tcbEvaluationDataNumber: tcbInfoNumber } },
    qeIdentity: {
      ...qeIdentity,
      content: { ...qeIdentity.content, tcbEvaluationDataNumber: qeIdentityNumber },
    },
  }));

/** Whether a quote is within the grace of 30 days under a set that comes 40 days after one of 20 and 20. */
function isWithin(quote: Uint8Array, tcbInfoNumber: number, qeIdentityNumber: number): boolean {
  const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
  grace.observe({ tcbInfo: 20, qeIdentity: 20 }, worldNowMs - 40 * DAY_MS);
  const verified = verifyInWorld(quote, numbered(tcbInfoNumber, qeIdentityNumber));
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
    ['by the QE identity, beside a new TCB info', oldEnclave, 21, 20, false],
  ] as const)('%s', (_, quote, tcbInfoNumber, qeIdentityNumber, expected) => {
    expect(isWithin(quote, tcbInfoNumber, qeIdentityNumber)).toBe(expected);
  });
});
