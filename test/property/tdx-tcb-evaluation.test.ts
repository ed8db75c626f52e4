import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import { parseQeIdentity } from '../../src/tdx/qe-identity.ts';
import { parseTcbInfo } from '../../src/tdx/tcb-info.ts';
import { evaluateTcb, type TcbInput, type TcbVerdict } from '../../src/tdx/tcb-level.ts';
import { type PlatformStatus, platformStatuses, type TcbStatus } from '../../src/tdx/tcb-status.ts';
import { pki, worldNowMs } from '../support/tdx-world.ts';

/** A new one for each run, printed with every failure; set LATCHKEY_SEED to repeat a run. */
const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 0x7fff_ffff);
const runs = { seed, numRuns: 300, verbose: true } as const;

const { tcbInfo: tcbInfoPart, qeIdentity: qeIdentityPart } = pki.collateralParts({ nowMs: worldNowMs });
const svns16 = (first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);

const small = fc.integer({ min: 0, max: 3 });
const statuses = fc.constantFrom(...platformStatuses);
const componentStatus = fc.constantFrom('UpToDate', 'OutOfDate', 'Revoked');
const levelKey = fc.tuple(small, small, small, small);
const platformLevels = fc.uniqueArray(fc.tuple(levelKey, statuses), {
  minLength: 1,
  maxLength: 6,
  selector: ([key]) => key.join(),
});
const componentLevels = fc.uniqueArray(fc.tuple(small, componentStatus), {
  minLength: 1,
  maxLength: 3,
  selector: ([svn]) => svn,
});
const teeTcbSvn = fc.tuple(small, fc.integer({ min: 0, max: 2 }), small);

/** Everything that a verdict depends on, small enough for levels and machines to meet. */
const scenario = fc.record({
  levels: platformLevels,
  modules: fc.uniqueArray(fc.tuple(fc.constantFrom(1, 2), componentLevels), {
    minLength: 1,
    maxLength: 2,
    selector: ([version]) => version,
  }),
  qeLevels: componentLevels,
  qeIsvSvn: small,
  sgx: small,
  pceSvn: small,
  atLaunch: teeTcbSvn,
  loaded: fc.option(teeTcbSvn, { nil: undefined }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

const componentsOf = (svns: Uint8Array) => Array.from(svns, (svn) => ({ svn }));

function inputOf({ levels, modules, qeLevels, qeIsvSvn, sgx, pceSvn, atLaunch, loaded }: Scenario): TcbInput {
  const [module] = tcbInfoPart.content.tdxModuleIdentities;
  const componentLevelsOf = (list: readonly (readonly [number, string])[]) =>
    list.map(([isvsvn, tcbStatus]) => ({ tcb: { isvsvn }, tcbDate: '2025-05-14T00:00:00Z', tcbStatus }));
  const tcbInfo = parseTcbInfo(
    JSON.stringify({
      ...tcbInfoPart.content,
      tdxModuleIdentities: modules.map(([version, list]) => ({
        ...module,
        id: `TDX_0${version}`,
        tcbLevels: componentLevelsOf(list),
      })),
      tcbLevels: levels.map(([[sgx0, pcesvn, tdx0, tdx2], tcbStatus]) => ({
        tcb: {
          sgxtcbcomponents: componentsOf(svns16([sgx0])),
          pcesvn,
          tdxtcbcomponents: componentsOf(svns16([tdx0, 0, tdx2])),
        },
        tcbDate: '2025-05-14T00:00:00Z',
        tcbStatus,
      })),
    }),
  );
  const qeIdentity = parseQeIdentity(
    JSON.stringify({ ...qeIdentityPart.content, tcbLevels: componentLevelsOf(qeLevels) }),
  );
  return {
    // The evaluation reads these two fields of the body, and these two of the extension.
    body: {
      teeTcbSvn: svns16(atLaunch),
      teeTcbSvn2: loaded === undefined ? undefined : svns16(loaded),
    } as TcbInput['body'],
    sgx: { tcbComponents: svns16([sgx]), pceSvn } as TcbInput['sgx'],
    qeIsvSvn,
    tcbInfo,
    qeIdentity,
  };
}

/** The verdict, or `undefined` when the TCB is refused. */
function evaluated(input: TcbInput): TcbVerdict | undefined {
  try {
    return evaluateTcb(input);
  } catch (error) {
    if (error instanceof EvidenceError && /^(TCB_NOT_SUPPORTED|TDX_MODULE_MISMATCH)$/.test(error.code)) {
      return undefined;
    }
    throw error;
  }
}

const lowerTo = (svn: number, by: number): number => Math.max(0, svn - by);

describe(`TCB evaluation, seed ${seed}`, () => {
  it('the order in which levels are listed has no influence', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const turned = {
          ...given,
          levels: given.levels.toReversed(),
          qeLevels: given.qeLevels.toReversed(),
          modules: given.modules
            .map(([version, list]) => [version, list.toReversed()] as const)
            .toReversed() as Scenario['modules'],
        };
        expect(evaluated(inputOf(turned))).toEqual(evaluated(inputOf(given)));
      }),
      runs,
    );
  });

  it('a higher SVN is supported where a lower SVN is; only another module version can change that', () => {
    fc.assert(
      fc.property(scenario, small, (given, by) => {
        const lower = evaluated(
          inputOf({
            ...given,
            sgx: lowerTo(given.sgx, by),
            pceSvn: lowerTo(given.pceSvn, by),
            qeIsvSvn: lowerTo(given.qeIsvSvn, by),
            atLaunch: [lowerTo(given.atLaunch[0], by), given.atLaunch[1], lowerTo(given.atLaunch[2], by)],
          }),
        );
        if (lower !== undefined) expect(evaluated(inputOf(given))).toBeDefined();
      }),
      runs,
    );
  });

  it('a higher SVN never makes the status worse when higher levels have no worse status', () => {
    /** Descending levels with statuses that get worse with them, as Intel publishes them. */
    const ranked = fc
      .tuple(platformLevels, componentLevels, componentLevels)
      .map(([levels, moduleLevels, qeLevels]) => {
        const rank = (status: string) => order.indexOf(status as PlatformStatus);
        const sorted = <Level>(list: readonly Level[], compare: (a: Level, b: Level) => number) =>
          list.toSorted(compare);
        const keys = sorted(
          levels.map(([key]) => key),
          (a, b) => b[0] - a[0] || b[1] - a[1] || b[2] - a[2] || b[3] - a[3],
        );
        const platform = sorted(
          levels.map(([, status]) => status),
          (a, b) => rank(a) - rank(b),
        );
        const components = (list: Scenario['qeLevels']): Scenario['qeLevels'] => {
          const down = list.map(([svn]) => svn).toSorted((a, b) => b - a);
          const worse = list.map(([, status]) => status).toSorted((a, b) => rank(a) - rank(b));
          return down.map((svn, index) => [svn, worse[index] ?? 'Revoked']);
        };
        return {
          levels: keys.map(
            (key, index) => [key, platform[index] ?? 'Revoked'] as [typeof key, PlatformStatus],
          ),
          modules: [[1, components(moduleLevels)]] as Scenario['modules'],
          qeLevels: components(qeLevels),
        };
      });
    fc.assert(
      fc.property(scenario, ranked, small, (given, published, by) => {
        const upper = {
          ...given,
          ...published,
          atLaunch: [given.atLaunch[0], 1, given.atLaunch[2]] as [number, number, number],
          loaded: undefined,
        };
        const lower = {
          ...upper,
          sgx: lowerTo(upper.sgx, by),
          pceSvn: lowerTo(upper.pceSvn, by),
          qeIsvSvn: lowerTo(upper.qeIsvSvn, by),
          atLaunch: [lowerTo(upper.atLaunch[0], by), 1, lowerTo(upper.atLaunch[2], by)] as [
            number,
            number,
            number,
          ],
        };
        const [below, above] = [evaluated(inputOf(lower)), evaluated(inputOf(upper))];
        if (below === undefined || above === undefined) return;
        expect(severityOf(above.tcbStatus)).toBeLessThanOrEqual(severityOf(below.tcbStatus));
      }),
      runs,
    );
  });

  it('an evaluation with the loaded TCB combines the results of both SVNs by the relaunch rule', () => {
    fc.assert(
      fc.property(scenario, teeTcbSvn, (given, loaded) => {
        const launch = evaluated(inputOf({ ...given, loaded: undefined }));
        const now = evaluated(inputOf({ ...given, atLaunch: loaded, loaded: undefined }));
        const joined = evaluated(inputOf({ ...given, loaded }));
        // A part that is not supported alone makes the whole unsupported.
        expect(joined === undefined).toBe(launch === undefined || now === undefined);
        if (launch === undefined || now === undefined || joined === undefined) return;
        expect(joined.currentTcb?.tcbStatus).toBe(now.tcbStatus);
        expect(joined.levels).toEqual(launch.levels);
        expect(joined.currentTcb?.levels).toEqual(now.levels);
        const isRelaunch = joined.tcbStatus.startsWith('TDRelaunchAdvised');
        const isOld = launch.tcbStatus.startsWith('OutOfDate');
        const isNew = !now.tcbStatus.startsWith('OutOfDate') && now.tcbStatus !== 'Revoked';
        expect(isRelaunch).toBe(isOld && isNew);
        if (!isRelaunch) expect(joined.tcbStatus).toBe(launch.tcbStatus);
      }),
      runs,
    );
  });

  it('an up-to-date TCB has no shortfall and no date, and a revoked part revokes the whole', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const verdict = evaluated(inputOf(given));
        if (verdict === undefined) return;
        const { platform, tdxModule, quotingEnclave } = verdict.levels;
        const parts: readonly (TcbStatus | undefined)[] = [platform, tdxModule, quotingEnclave].map(
          (level) => level?.status,
        );
        if (verdict.tcbStatus === 'UpToDate') {
          expect(verdict).toMatchObject({ shortfalls: [], outOfDateSinceMs: undefined });
          expect(parts.filter((status) => status !== undefined && status !== 'UpToDate')).toEqual([]);
        }
        if (parts.includes('Revoked')) expect(verdict.tcbStatus).toBe('Revoked');
      }),
      runs,
    );
  });
});

/** From good to bad, by what Intel's rule does to each: hardening and configuration before age, age before revocation. */
const order: readonly PlatformStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
];
/** Two steps only: converging turns the first four into one of the two that follow. */
function severityOf(status: TcbStatus): number {
  if (status === 'Revoked') return 2;
  return status.startsWith('OutOfDate') ? 1 : 0;
}
