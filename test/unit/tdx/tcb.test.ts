import { describe, expect, it } from 'vitest';
import type { TdBody } from '../../../mock-tdx/quote/td-body.ts';
import { convergeTcbStatus, platformStatuses, tcbStatuses } from '../../../src/tdx/tcb-status.ts';
import { relaunchStatus } from '../../../src/tdx/td-relaunch.ts';
import { recoveryOf } from '../../support/tcb-recovery.ts';
import {
  collateralWith,
  plainQuote,
  qeIdentityWith,
  quoteWith,
  tcbInfoWith,
  verdictOf,
  verifyInWorld,
} from '../../support/tdx-world.ts';
import { thrownBy } from '../../support/thrown.ts';

const svns = (...first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);
const newest = [8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
const lowered = (by: number): readonly number[] => newest.map((svn, index) => (index < 2 ? svn - by : svn));
const tdx15 = (body: Partial<TdBody>, facts = {}): Uint8Array => plainQuote({ version: 5, body, facts });

/** Platform levels of one status each, for the newest SGX SVNs with TDX components 5 0 8 and all below. */
const levelsOf = (tcbStatus: string, advisoryIDs?: readonly string[]) =>
  tcbInfoWith(({ tcbLevels }) => ({
    tcbLevels: tcbLevels
      .slice(0, 1)
      .map((level) => ({ ...level, tcbStatus, ...(advisoryIDs && { advisoryIDs }) })),
  }));

describe('1e TCB levels', () => {
  it('4: the first reached level counts, by SGX components, PCE and TDX components', () => {
    const at = (facts: object, teeTcbSvn: Uint8Array) =>
      verifyInWorld(plainQuote({ facts, body: { teeTcbSvn } }));
    expect(at({}, svns(5, 1, 8)).tcbStatus).toBe('UpToDate');
    expect(at({}, svns(5, 1, 7))).toMatchObject({
      tcbStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-01103', 'INTEL-SA-01111'],
    });
    expect(at({ componentSvns: lowered(1) }, svns(5, 1, 8)).tcbStatus).toBe('SWHardeningNeeded');
    expect(at({ componentSvns: lowered(2) }, svns(5, 1, 8)).tcbStatus).toBe('OutOfDateConfigurationNeeded');
    expect(at({ componentSvns: lowered(2), pceSvn: 5 }, svns(5, 1, 8)).tcbStatus).toBe('Revoked');
  });

  it('4: TDX components count from index 2 when the module has a version, otherwise from index 0', () => {
    const collateral = tcbInfoWith(({ tdxModuleIdentities }) => ({
      tdxModuleIdentities: tdxModuleIdentities.map((identity) => ({
        ...identity,
        tcbLevels: identity.tcbLevels.slice(0, 1).map((level) => ({ ...level, tcb: { isvsvn: 0 } })),
      })),
    }));
    expect(verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(0, 1, 8) } }), collateral).tcbStatus).toBe(
      'UpToDate',
    );
    expect(verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(4, 0, 8) } }), collateral).tcbStatus).toBe(
      'Revoked',
    );
    const versionless = verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 0, 8) } }));
    expect(versionless.tcbStatus).toBe('UpToDate');
    expect(versionless.levels.tdxModule).toBeUndefined();
  });

  it('4, 5: a TCB below every level is not supported, and the error names the nearest level', () => {
    const platform = thrownBy(() => verifyInWorld(plainQuote({ facts: { pceSvn: 4 } })));
    expect(platform).toMatchObject({
      code: 'TCB_NOT_SUPPORTED',
      field: 'platform TCB',
      expected: 'PCE at least 5',
    });
    const components = thrownBy(() => verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 1, 4) } })));
    expect(components).toMatchObject({
      observed: expect.stringContaining('TDX component 3 (TDX Late Microcode Update) is 4, 1 below the 5'),
    });
    const nearestIsNewest = tcbInfoWith(({ tcbLevels: [first, second] }) => ({
      tcbLevels: [
        first,
        {
          ...second,
          tcb: {
            ...second?.tcb,
            pcesvn: 14,
            sgxtcbcomponents: Array.from(svns(7, 9, 9), (svn) => ({ svn })),
          },
        },
      ],
    }));
    expect(
      thrownBy(() => verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 1, 6) } }), nearestIsNewest)),
    ).toMatchObject({
      expected: 'TDX component 3 (TDX Late Microcode Update) at least 8',
    });
    const module = thrownBy(() => verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(1, 1, 8) } })));
    expect(module).toMatchObject({ code: 'TCB_NOT_SUPPORTED', field: 'TDX module TDX_01' });
    const qe = quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn: 1 } }));
    expect(thrownBy(() => verifyInWorld(qe))).toMatchObject({
      code: 'TCB_NOT_SUPPORTED',
      field: 'quoting enclave',
    });
  });

  it('1, 2: the TDX module must be listed in the TCB info', () => {
    const refused: readonly Partial<TdBody>[] = [
      { teeTcbSvn: svns(5, 2, 8) },
      { mrSignerSeam: new Uint8Array(48).fill(1) },
      { seamAttributes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1) },
    ];
    for (const body of refused) expect(verdictOf(plainQuote({ body }))).toBe('TDX_MODULE_MISMATCH');
    const withAttributes = tcbInfoWith(({ tdxModuleIdentities }) => ({
      tdxModuleIdentities: tdxModuleIdentities.map((identity) => ({
        ...identity,
        attributes: `${'0'.repeat(14)}01`,
        id: identity.id.toLowerCase(),
      })),
    }));
    const seamAttributes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
    expect(verdictOf(plainQuote({ body: { seamAttributes } }), withAttributes)).toBe('TDX_MODULE_MISMATCH');
    expect(verdictOf(plainQuote(), withAttributes)).toBe('TDX_MODULE_MISMATCH');
    const none = collateralWith(({ tcbInfo }) => {
      const { tdxModuleIdentities: _, ...content } = tcbInfo.content;
      return { tcbInfo: { ...tcbInfo, content: content as never } };
    });
    expect(verdictOf(plainQuote(), none)).toBe('TDX_MODULE_MISMATCH');
    expect(verdictOf(plainQuote({ body: { teeTcbSvn: svns(5, 0, 8) } }), none)).toBe('none');
    expect(thrownBy(() => verifyInWorld(plainQuote(), none))).toMatchObject({ expected: 'none' });
    expect(thrownBy(() => verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 2, 8) } })))).toMatchObject({
      expected: 'TDX_03, TDX_01',
      observed: 'TDX_02',
    });
  });

  it('5, 8: the level, the advisories and the shortfall of the module count', () => {
    const verified = verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(4, 1, 8) } }));
    expect(verified).toMatchObject({
      tcbStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-01192'],
      tcbDateMs: Date.UTC(2024, 2, 13),
    });
    expect(verified.shortfalls).toEqual([
      {
        part: 'TDX module',
        required: 5,
        observed: 4,
        shortBy: 1,
        level: { status: 'UpToDate', tcbDateMs: Date.UTC(2025, 4, 14) },
      },
    ]);
    expect(verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(3, 1, 8) } })).tcbStatus).toBe('Revoked');
  });

  it('6, 8: the level and the advisories of the quoting enclave count', () => {
    const withQe = (isvSvn: number) => quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn } }));
    expect(verifyInWorld(withQe(5))).toMatchObject({
      tcbStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-01245'],
    });
    expect(verifyInWorld(withQe(5)).shortfalls.map(({ part, shortBy }) => [part, shortBy])).toEqual([
      ['quoting enclave', 1],
    ]);
    expect(verifyInWorld(withQe(3)).tcbStatus).toBe('Revoked');
    expect(verifyInWorld(withQe(5), levelsOf('ConfigurationNeeded')).tcbStatus).toBe(
      'OutOfDateConfigurationNeeded',
    );
  });

  it('8: advisories are a sorted union without repetitions', () => {
    const quote = plainQuote({ body: { teeTcbSvn: svns(4, 1, 8) } });
    const collateral = levelsOf('ConfigurationNeeded', ['INTEL-SA-09', 'INTEL-SA-01192', 'INTEL-SA-00001']);
    expect(verifyInWorld(quote, collateral).advisoryIds).toEqual([
      'INTEL-SA-00001',
      'INTEL-SA-01192',
      'INTEL-SA-09',
    ]);
  });

  it('a shortfall has the name of its component, where Intel gives one', () => {
    const unnamed = tcbInfoWith(({ tcbLevels }) => ({
      tcbLevels: tcbLevels.map((level) => ({
        ...level,
        tcb: { ...level.tcb, tdxtcbcomponents: level.tcb.tdxtcbcomponents.map(({ svn }) => ({ svn })) },
      })),
    }));
    const partsOf = (set = collateralWith(() => ({}))) =>
      verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } }), set).shortfalls.map(
        ({ part }) => part,
      );
    expect(partsOf()).toEqual(['TDX component 3 (TDX Late Microcode Update)']);
    expect(partsOf(unnamed)).toEqual(['TDX component 3']);
  });

  it('shortfalls count from the highest level when none is up to date', () => {
    const { shortfalls } = verifyInWorld(plainQuote(), levelsOf('Revoked'));
    expect(shortfalls).toEqual([]);
  });

  it('6: statuses converge as specified, for every status', () => {
    const outOfDate = Object.fromEntries(
      tcbStatuses.map((status) => [status, convergeTcbStatus(status, 'OutOfDate')]),
    );
    expect(outOfDate).toEqual({
      UpToDate: 'OutOfDate',
      SWHardeningNeeded: 'OutOfDate',
      ConfigurationNeeded: 'OutOfDateConfigurationNeeded',
      ConfigurationAndSWHardeningNeeded: 'OutOfDateConfigurationNeeded',
      OutOfDate: 'OutOfDate',
      OutOfDateConfigurationNeeded: 'OutOfDateConfigurationNeeded',
      Revoked: 'Revoked',
      TDRelaunchAdvised: 'TDRelaunchAdvised',
      TDRelaunchAdvisedConfigurationNeeded: 'TDRelaunchAdvisedConfigurationNeeded',
    });
    for (const status of tcbStatuses) {
      expect(convergeTcbStatus(status, 'Revoked')).toBe('Revoked');
      expect(convergeTcbStatus(status, 'UpToDate')).toBe(status);
    }
  });
});

describe('1e 7 TD relaunch, and the TCB that is loaded now', () => {
  const old = svns(4, 1, 8);
  const statusOf = (teeTcbSvn2: Uint8Array, collateral = levelsOf('UpToDate'), teeTcbSvn = old) =>
    verifyInWorld(tdx15({ teeTcbSvn, teeTcbSvn2 }), collateral).tcbStatus;

  it('a relaunch is advised when the TCB of the launch is out of date and the loaded one is not', () => {
    expect(statusOf(svns(5, 1, 8))).toBe('TDRelaunchAdvised');
    expect(statusOf(svns(3, 3, 8))).toBe('TDRelaunchAdvised');
    expect(statusOf(svns(5, 0, 8))).toBe('TDRelaunchAdvised');
    expect(statusOf(svns(5, 1, 8), levelsOf('SWHardeningNeeded'))).toBe('TDRelaunchAdvised');
    expect(statusOf(svns(5, 1, 8), levelsOf('ConfigurationNeeded'))).toBe(
      'TDRelaunchAdvisedConfigurationNeeded',
    );
    expect(statusOf(svns(5, 1, 8), levelsOf('ConfigurationAndSWHardeningNeeded'))).toBe(
      'TDRelaunchAdvisedConfigurationNeeded',
    );
  });

  it('configuration is needed when either TCB needs it', () => {
    const advised = platformStatuses.flatMap((atLaunch) =>
      platformStatuses.map((now) => [atLaunch, now, relaunchStatus(atLaunch, now)] as const),
    );
    expect(advised.filter(([atLaunch, , status]) => status !== atLaunch)).toEqual([
      ['OutOfDate', 'UpToDate', 'TDRelaunchAdvised'],
      ['OutOfDate', 'SWHardeningNeeded', 'TDRelaunchAdvised'],
      ['OutOfDate', 'ConfigurationNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
      ['OutOfDate', 'ConfigurationAndSWHardeningNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
      ['OutOfDateConfigurationNeeded', 'UpToDate', 'TDRelaunchAdvisedConfigurationNeeded'],
      ['OutOfDateConfigurationNeeded', 'SWHardeningNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
      ['OutOfDateConfigurationNeeded', 'ConfigurationNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
      [
        'OutOfDateConfigurationNeeded',
        'ConfigurationAndSWHardeningNeeded',
        'TDRelaunchAdvisedConfigurationNeeded',
      ],
    ]);
  });

  it('a relaunch is also advised when only microcode was old at launch, and for modules of version 0', () => {
    expect(verifyInWorld(tdx15({ teeTcbSvn: svns(5, 1, 7), teeTcbSvn2: svns(5, 1, 8) })).tcbStatus).toBe(
      'TDRelaunchAdvised',
    );
    expect(verifyInWorld(tdx15({ teeTcbSvn: svns(5, 0, 7), teeTcbSvn2: svns(5, 0, 8) })).tcbStatus).toBe(
      'TDRelaunchAdvised',
    );
  });

  it('a relaunch is not advised in other cases', () => {
    expect(statusOf(svns(4, 1, 8))).toBe('OutOfDate');
    const microcodeOld = tdx15({ teeTcbSvn: old, teeTcbSvn2: svns(5, 1, 7) });
    expect(verifyInWorld(microcodeOld).tcbStatus).toBe('OutOfDate');
    expect(statusOf(svns(5, 1, 8), levelsOf('OutOfDate'))).toBe('OutOfDate');
    expect(statusOf(svns(5, 1, 8), levelsOf('OutOfDateConfigurationNeeded'))).toBe(
      'OutOfDateConfigurationNeeded',
    );
    expect(statusOf(svns(5, 1, 8), levelsOf('Revoked'))).toBe('Revoked');
    const layout10 = plainQuote({ version: 5, layout: '1.0', body: { teeTcbSvn: old } });
    expect(verifyInWorld(layout10)).toMatchObject({ tcbStatus: 'OutOfDate', currentTcb: undefined });
    const oldQe = qeIdentityWith(({ tcbLevels }) => ({
      tcbLevels: tcbLevels.map((level) => ({ ...level, tcb: { isvsvn: level.tcb.isvsvn + 2 } })),
    }));
    expect(verifyInWorld(tdx15({ teeTcbSvn: old, teeTcbSvn2: svns(5, 1, 8) }), oldQe).tcbStatus).toBe(
      'OutOfDate',
    );
  });

  it('a relaunch is not advised when the newest module level is itself out of date', () => {
    const newestIsOld = tcbInfoWith(({ tdxModuleIdentities }) => ({
      tdxModuleIdentities: tdxModuleIdentities.map((identity) => ({
        ...identity,
        tcbLevels: identity.tcbLevels.map((level) => ({ ...level, tcbStatus: 'OutOfDate' })),
      })),
    }));
    expect(statusOf(svns(5, 1, 8), newestIsOld)).toBe('OutOfDate');
  });

  it('an unsupported loaded TCB is refused, also with an up-to-date launch TCB', () => {
    const refusal = (teeTcbSvn2: Uint8Array) =>
      thrownBy(() => verifyInWorld(tdx15({ teeTcbSvn: svns(5, 1, 8), teeTcbSvn2 })));
    expect(refusal(svns(5, 9, 8))).toMatchObject({
      code: 'TDX_MODULE_MISMATCH',
      field: 'teeTcbSvn2[1] (TDX module version)',
    });
    expect(refusal(svns(1, 1, 8))).toMatchObject({
      code: 'TCB_NOT_SUPPORTED',
      field: 'TDX module TDX_01 with teeTcbSvn2',
    });
    expect(refusal(svns(5, 1, 4))).toMatchObject({
      code: 'TCB_NOT_SUPPORTED',
      field: 'platform TCB with teeTcbSvn2',
    });
  });

  it('the verdict on the loaded TCB is complete, also when it is worse than that of the launch', () => {
    const worse = verifyInWorld(tdx15({ teeTcbSvn: svns(5, 1, 8), teeTcbSvn2: svns(4, 1, 8) }));
    // Intel's rule: the status of the launch.
    expect(worse).toMatchObject({ tcbStatus: 'UpToDate', shortfalls: [], advisoryIds: [] });
    expect(worse.currentTcb).toMatchObject({
      tcbStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-01192'],
      shortfalls: [{ part: 'TDX module', required: 5, observed: 4 }],
    });
  });

  it('a module level of an unknown status refuses only the modules that reach it', () => {
    const unknownAt = (isvsvn: number) =>
      tcbInfoWith(({ tdxModuleIdentities }) => ({
        tdxModuleIdentities: tdxModuleIdentities.map((identity) => ({
          ...identity,
          tcbLevels: identity.tcbLevels.map((level) =>
            level.tcb.isvsvn === isvsvn ? { ...level, tcbStatus: 'Retired' } : level,
          ),
        })),
      }));
    expect(verifyInWorld(plainQuote(), unknownAt(4)).tcbStatus).toBe('UpToDate');
    expect(thrownBy(() => verifyInWorld(plainQuote(), unknownAt(5)))).toMatchObject({
      code: 'TCB_INFO_INVALID',
      observed: 'Retired',
    });
    // Named in what is missed, too.
    const below = verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(4, 1, 8) } }), unknownAt(5));
    expect(below.shortfalls).toMatchObject([{ part: 'TDX module', level: { status: 'Retired' } }]);
  });

  it('the date since which a quote is out of date is that of the oldest newer level', () => {
    const sinceOf = (teeTcbSvn: Uint8Array) =>
      verifyInWorld(plainQuote({ body: { teeTcbSvn } })).outOfDateSinceMs;
    expect(sinceOf(svns(5, 1, 8))).toBeUndefined();
    expect(sinceOf(svns(5, 1, 7))).toBe(Date.UTC(2025, 4, 14));
    expect(sinceOf(svns(2, 1, 8))).toBe(Date.UTC(2024, 2, 13));
    // A level of the same day is not a later one.
    const sameDay = tcbInfoWith((info) => recoveryOf(info, Date.UTC(2025, 4, 14)));
    expect(verifyInWorld(plainQuote(), sameDay)).toMatchObject({
      tcbStatus: 'OutOfDate',
      outOfDateSinceMs: undefined,
    });
    // The platform misses the level of 2024-11, the module that of 2025-05: the older date counts.
    const lower = plainQuote({ facts: { componentSvns: lowered(1) }, body: { teeTcbSvn: svns(4, 1, 7) } });
    expect(verifyInWorld(lower).outOfDateSinceMs).toBe(Date.UTC(2024, 10, 13));
  });
});

describe('levels by a document of another verdict', () => {
  const old = verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } }));
  const newMachine = (collateral?: Parameters<typeof verifyInWorld>[1]) =>
    verifyInWorld(plainQuote({ body: { teeTcbSvn: svns(5, 1, 8) } }), collateral);

  it('are those of this machine, not of the other one', () => {
    expect(newMachine().levels.platform.status).toBe('UpToDate');
    expect(old.levelsBy('tcbInfo', newMachine())?.platform.status).toBe('OutOfDate');
    expect(newMachine().levelsBy('tcbInfo', old)?.platform.status).toBe('UpToDate');
    const needed = newMachine(levelsOf('SWHardeningNeeded'));
    expect(newMachine().levelsBy('tcbInfo', needed)?.platform.status).toBe('SWHardeningNeeded');
    expect(newMachine().levelsBy('qeIdentity', needed)?.platform.status).toBe('UpToDate');
  });

  it('are none where the document has none for it', () => {
    expect(old.levelsBy('tcbInfo', newMachine(levelsOf('UpToDate')))).toBeUndefined();
  });

  it('need a verdict', () => {
    expect(() => old.levelsBy('tcbInfo', {} as typeof old)).toThrow(TypeError);
  });
});
