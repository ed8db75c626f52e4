import { describe, expect, it } from 'vitest';
import { createDevelopmentPki, type QuoteRequest } from '../../../mock-tdx/development-pki.ts';
import { TcbGrace, withinGrace } from '../../../src/keyserver/tcb-grace.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
import { applyPolicy, defaultPolicy } from '../../../src/tdx/policy.ts';
import type { VerifiedQuote } from '../../../src/tdx/verify-quote.ts';
import {
  collateralWith,
  plainQuote,
  quoteWith,
  verifyInWorld,
  worldNowMs,
  worldSeed,
} from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const DAY_MS = 86_400_000;
const svns = (...first: readonly number[]) => Uint8Array.of(...first, ...new Array<number>(13).fill(0));
const oldMicrocode = plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } });
const withOldEnclave = (request: Partial<QuoteRequest> = {}): Uint8Array =>
  quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn: 5 } }), request);
const oldEnclave = withOldEnclave();
/** A TDX module of version 0 has no level of its own. */
const firstModule = { body: { teeTcbSvn: svns(5, 0, 8) } };

type Levels = 'today' | 'before';

/** The levels of today, or those before the newest one came, when the second one was good. */
const levelsOf = <Level extends object>(levels: readonly Level[], which: Levels): readonly Level[] =>
  which === 'today' || levels.length === 1
    ? levels
    : levels.slice(1).map((level, index) => (index === 0 ? { ...level, tcbStatus: 'UpToDate' } : level));

/** A document by its evaluation number, and the levels in it. */
type Evaluation = readonly [number: number, levels: Levels];

/** A collateral set with these evaluations in its two documents. */
const setOf = (ofTcbInfo: Evaluation, ofQeIdentity: Evaluation): CollateralDocuments =>
  collateralWith(({ tcbInfo, qeIdentity }) => ({
    tcbInfo: {
      ...tcbInfo,
      content: {
        ...tcbInfo.content,
        tcbEvaluationDataNumber: ofTcbInfo[0],
        tcbLevels: levelsOf(tcbInfo.content.tcbLevels, ofTcbInfo[1]),
        tdxModuleIdentities: tcbInfo.content.tdxModuleIdentities.map((module) => ({
          ...module,
          tcbLevels: levelsOf(module.tcbLevels, ofTcbInfo[1]),
        })),
      },
    },
    qeIdentity: {
      ...qeIdentity,
      content: {
        ...qeIdentity.content,
        tcbEvaluationDataNumber: ofQeIdentity[0],
        tcbLevels: levelsOf(qeIdentity.content.tcbLevels, ofQeIdentity[1]),
      },
    },
  }));

/** A set of these numbers with the levels of today. */
const numbered = (tcbInfoNumber: number, qeIdentityNumber: number): CollateralDocuments =>
  setOf([tcbInfoNumber, 'today'], [qeIdentityNumber, 'today']);

/** The set that the process saw first: no quote of these tests is out of date by it. */
const good = setOf([20, 'before'], [20, 'before']);

const isWithinNow = (verified: VerifiedQuote, grace: TcbGrace): boolean => {
  const refusal = thrownBy(() => applyPolicy(verified, defaultPolicy, worldNowMs));
  return withinGrace(refusal, verified, defaultPolicy, grace, worldNowMs);
};

/**
 * Whether a quote is within the grace of 30 days under a set that comes 40 days after another one, by which a machine
 * that is up to date was judged.
 */
function isWithin(quote: Uint8Array, collateral: CollateralDocuments, former = good): boolean {
  const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
  grace.observe(verifyInWorld(plainQuote(), former), worldNowMs - 40 * DAY_MS);
  const verified = verifyInWorld(quote, collateral);
  grace.observe(verified, worldNowMs);
  return isWithinNow(verified, grace);
}

describe('the grace counts from the evaluation of the document that made a machine out of date', () => {
  it.each([
    ['by the TCB info', oldMicrocode, [20, 'today'], [20, 'before'], false],
    ['by a new TCB info', oldMicrocode, [21, 'today'], [20, 'before'], true],
    ['by the TCB info, beside a new QE identity', oldMicrocode, [20, 'today'], [21, 'before'], false],
    ['by the QE identity', oldEnclave, [20, 'before'], [20, 'today'], false],
    ['by a new QE identity', oldEnclave, [20, 'before'], [21, 'today'], true],
    ['by the QE identity, beside a new TCB info', oldEnclave, [21, 'before'], [20, 'today'], false],
    [
      'by the QE identity, under the first TDX module',
      withOldEnclave(firstModule),
      [21, 'before'],
      [20, 'today'],
      false,
    ],
    [
      'by a new QE identity, under the first TDX module',
      withOldEnclave(firstModule),
      [20, 'before'],
      [21, 'today'],
      true,
    ],
  ] as const)('%s', (_, quote, tcbInfo, qeIdentity, expected) => {
    expect(isWithin(quote, setOf(tcbInfo, qeIdentity))).toBe(expected);
  });
});

describe('a later evaluation begins no new grace for a machine that was out of date before', () => {
  it.each([
    ['by the TCB info', oldMicrocode, numbered(21, 20)],
    ['by the QE identity', oldEnclave, numbered(20, 21)],
    ['by both', withOldEnclave({ body: { teeTcbSvn: svns(5, 1, 7) } }), numbered(21, 21)],
    [
      'by the TDX module',
      plainQuote({ body: { teeTcbSvn: svns(4, 1, 8) } }),
      setOf([21, 'today'], [20, 'today']),
    ],
  ] as const)('%s', (_, quote, collateral) => {
    expect(isWithin(quote, collateral, numbered(20, 20))).toBe(false);
  });

  /** Knows TDX_02, which the sets before do not. */
  const withSecondModule = collateralWith(({ tcbInfo }) => {
    const { tdxModuleIdentities: known } = tcbInfo.content;
    const tdxModuleIdentities = [
      ...known,
      ...known.slice(0, 1).map((module) => ({ ...module, id: 'TDX_02' })),
    ];
    const content = { ...tcbInfo.content, tcbEvaluationDataNumber: 21, tdxModuleIdentities };
    return { tcbInfo: { ...tcbInfo, content } };
  });

  it('nor for one that states another TCB for now', () => {
    const body = { teeTcbSvn: svns(5, 1, 7), teeTcbSvn2: svns(5, 2, 8) };
    expect(isWithin(plainQuote({ version: 5, body }), withSecondModule, numbered(20, 20))).toBe(false);
  });

  it('an evaluation that does not know its TDX module says nothing about a machine', () => {
    const quote = plainQuote({ body: { teeTcbSvn: svns(5, 2, 7) } });
    expect(isWithin(quote, withSecondModule, numbered(20, 20))).toBe(true);
  });

  it('without any evaluation there is no grace', () => {
    expect(isWithinNow(verifyInWorld(oldMicrocode), new TcbGrace({ graceMs: DAY_MS }))).toBe(false);
  });

  const other = createDevelopmentPki({ seed: worldSeed, fmspc: Uint8Array.of(0xde, 0x7e, 0x10, 0, 0, 1) });
  const foreign = verifyInWorld(
    other.quote({ reportData: new Uint8Array(64) }),
    parseCollateralDocuments(other.collateral({ nowMs: worldNowMs })),
  );

  it.each([
    ['its levels say nothing', oldMicrocode, numbered(21, 20), true],
    ['its number counts', oldMicrocode, numbered(20, 20), false],
    ['its QE identity counts', oldEnclave, numbered(20, 21), false],
  ] as const)('the TCB info of other platforms: %s', (_, quote, collateral, expected) => {
    const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
    grace.observe(foreign, worldNowMs - 40 * DAY_MS);
    const verified = verifyInWorld(quote, collateral);
    grace.observe(verified, worldNowMs);
    expect(isWithinNow(verified, grace)).toBe(expected);
  });

  it('the TCB info of other platforms with the same number takes no place of the own one', () => {
    const grace = new TcbGrace({ graceMs: 30 * DAY_MS });
    grace.observe(foreign, worldNowMs - 50 * DAY_MS);
    grace.observe(verifyInWorld(plainQuote(), numbered(20, 20)), worldNowMs - 40 * DAY_MS);
    const verified = verifyInWorld(oldMicrocode, numbered(21, 20));
    grace.observe(verified, worldNowMs);
    expect(isWithinNow(verified, grace)).toBe(false);
  });
});

describe('a status that the policy accepts is not what makes a machine out of date', () => {
  it('when only the QE identity is new', () => {
    const hardening = (number: number, levels: Levels): CollateralDocuments =>
      collateralWith(({ tcbInfo, qeIdentity }) => ({
        tcbInfo: {
          ...tcbInfo,
          content: {
            ...tcbInfo.content,
            tcbEvaluationDataNumber: 20,
            tcbLevels: tcbInfo.content.tcbLevels.map((level) => ({
              ...level,
              tcbStatus: 'SWHardeningNeeded',
            })),
          },
        },
        qeIdentity: {
          ...qeIdentity,
          content: {
            ...qeIdentity.content,
            tcbEvaluationDataNumber: number,
            tcbLevels: levelsOf(qeIdentity.content.tcbLevels, levels),
          },
        },
      }));
    expect(isWithin(oldEnclave, hardening(21, 'today'), hardening(20, 'before'))).toBe(true);
  });
});

describe('a TD within its grace keeps it when a newer TDX module is loaded', () => {
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
    grace.observe(verified, worldNowMs);
    const policy = { ...defaultPolicy, minimumTcbEvaluationDataNumber: 20 };
    const refusal = thrownBy(() => applyPolicy(verified, policy, worldNowMs));
    expect(withinGrace(refusal, verified, policy, grace, worldNowMs)).toBe(true);
    const denied = { ...policy, deniedAdvisoryIds: verified.advisoryIds };
    expect(verified.advisoryIds.length).toBeGreaterThan(0);
    expect(codeOf(() => withinGrace(refusal, verified, denied, grace, worldNowMs))).toBe('ADVISORY_REFUSED');
  });
});
