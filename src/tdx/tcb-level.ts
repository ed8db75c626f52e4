import { byteAt } from '../bytes/byte-at.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { SgxExtension } from './sgx-extension.ts';
import type { ComponentTcbLevel, PlatformTcbLevel, TcbInfo } from './tcb-info.ts';
import {
  describeShortfalls,
  type PlatformTcb,
  platformShortfalls,
  reachesSgx,
  reachesTdx,
  shortfall,
  type TcbShortfall,
} from './tcb-shortfall.ts';
import {
  type ComponentStatus,
  componentStatuses,
  convergeTcbStatus,
  type PlatformStatus,
  type TcbStatus,
} from './tcb-status.ts';
import { relaunchStatus } from './td-relaunch.ts';
import type { TdReport } from './td-report.ts';
import { findModuleIdentity, TEE_TCB_SVN_MODULE_SVN, TEE_TCB_SVN_MODULE_VERSION } from './tdx-module.ts';

/** The input of a TCB evaluation. */
export interface TcbInput {
  readonly body: TdReport;
  readonly sgx: SgxExtension;
  readonly qeIsvSvn: number;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
}

/** Intel's verdict on platform, TDX module and quoting enclave together, for one value of TEE_TCB_SVN. */
export interface TcbEvaluation {
  readonly tcbStatus: PlatformStatus;
  /** Of platform level, module level and QE level; sorted, each once. */
  readonly advisoryIds: readonly string[];
  /** The oldest date of the three levels below. */
  readonly tcbDateMs: number;
  readonly levels: MatchedLevels;
  /** What is below the newest good level; empty when everything is up to date. */
  readonly shortfalls: readonly TcbShortfall[];
  /** The date of the oldest level that is newer than the reached one; `undefined` when there is no newer level. */
  readonly outOfDateSinceMs: number | undefined;
}

/** The verdict on a quote: on the TCB at the launch of the TD. Its status may advise to launch the TD again. */
export interface TcbVerdict extends Omit<TcbEvaluation, 'tcbStatus'> {
  readonly tcbStatus: TcbStatus;
  /** The verdict on the TCB that is loaded now (`teeTcbSvn2`); TD report 1.0 does not state it. */
  readonly currentTcb: TcbEvaluation | undefined;
}

/** The level that each part reached. */
export interface MatchedLevels {
  readonly platform: MatchedLevel;
  /** Absent for TDX modules of version 0, which the platform level covers. */
  readonly tdxModule: MatchedLevel | undefined;
  readonly quotingEnclave: MatchedLevel;
}

/** A level that was reached. */
export interface MatchedLevel {
  readonly status: TcbStatus;
  readonly tcbDateMs: number;
  readonly advisoryIds: readonly string[];
}

/**
 * Evaluates the TCB by Intel's rule (QVL of July 2026, TcbLevelCheck.cpp and EvaluateTcb.cpp): `teeTcbSvn` and, where
 * the TD report has it, `teeTcbSvn2`, each completely; then the relaunch rule.
 * @throws EvidenceError TCB_NOT_SUPPORTED naming what is short of the nearest level; TDX_MODULE_MISMATCH for a module
 *   version that the TCB info does not know; TCB_INFO_INVALID when a level with an unknown status is reached.
 */
export function evaluateTcb(input: TcbInput): TcbVerdict {
  const { teeTcbSvn, teeTcbSvn2 } = input.body;
  const atLaunch = evaluateTcbSvn(input, teeTcbSvn, 'teeTcbSvn');
  if (teeTcbSvn2 === undefined) return { ...atLaunch, currentTcb: undefined };
  const currentTcb = evaluateTcbSvn(input, teeTcbSvn2, 'teeTcbSvn2');
  return { ...atLaunch, tcbStatus: relaunchStatus(atLaunch.tcbStatus, currentTcb.tcbStatus), currentTcb };
}

/** One evaluation: the platform's level, the TDX module's own level, the QE's level (steps 4.1.2.5.2.1 to .7). */
function evaluateTcbSvn(
  { sgx, qeIsvSvn, tcbInfo, qeIdentity }: TcbInput,
  teeTcbSvn: Uint8Array,
  field: 'teeTcbSvn' | 'teeTcbSvn2',
): TcbEvaluation {
  const version = byteAt(teeTcbSvn, TEE_TCB_SVN_MODULE_VERSION);
  const tdxModule = version > 0 ? findModuleIdentity(tcbInfo, version, field) : undefined;
  const platform: PlatformTcb = { sgx, teeTcbSvn, firstTdxComponent: tdxModule === undefined ? 0 : 2 };
  // Messages name the field only for the TCB that is loaded now.
  const suffix = field === 'teeTcbSvn' ? '' : ` with ${field}`;
  const platformLevel = matchPlatformLevel(platform, tcbInfo, suffix);
  const moduleSvn = byteAt(teeTcbSvn, TEE_TCB_SVN_MODULE_SVN);
  const moduleLevel =
    tdxModule && matchComponentLevel(`TDX module ${tdxModule.id}${suffix}`, tdxModule.tcbLevels, moduleSvn);
  const qeLevel = matchComponentLevel('quoting enclave', qeIdentity.tcbLevels, qeIsvSvn);

  const withModule = convergeTcbStatus(platformLevel.status, moduleLevel?.status ?? 'UpToDate');
  const tcbStatus = convergeTcbStatus(withModule, qeLevel.status);
  const matched =
    moduleLevel === undefined ? [platformLevel, qeLevel] : [platformLevel, moduleLevel, qeLevel];
  const evaluation = {
    tcbStatus,
    advisoryIds: unionOf(matched),
    tcbDateMs: Math.min(...matched.map(({ tcbDateMs }) => tcbDateMs)),
    levels: { platform: platformLevel, tdxModule: moduleLevel, quotingEnclave: qeLevel },
  };
  if (tcbStatus === 'UpToDate') return { ...evaluation, shortfalls: [], outOfDateSinceMs: undefined };
  return {
    ...evaluation,
    shortfalls: [
      ...platformShortfalls(platform, newestGoodLevel(tcbInfo)),
      ...componentShortfalls('TDX module', tdxModule?.tcbLevels ?? [], moduleSvn),
      ...componentShortfalls('quoting enclave', qeIdentity.tcbLevels, qeIsvSvn),
    ],
    outOfDateSinceMs: earliest([
      firstNewerLevelMs(tcbInfo.tcbLevels, platformLevel),
      moduleLevel && firstNewerLevelMs(tdxModule.tcbLevels, moduleLevel),
      firstNewerLevelMs(qeIdentity.tcbLevels, qeLevel),
    ]),
  };
}

/** The earliest date of those levels above the reached one that have a later date than it. */
const firstNewerLevelMs = <Level extends { readonly tcbDateMs: number }>(
  levels: readonly Level[],
  reached: Level,
): number | undefined =>
  earliest(
    levels
      .slice(0, levels.indexOf(reached))
      .map(({ tcbDateMs }) => tcbDateMs)
      .filter((dateMs) => dateMs > reached.tcbDateMs),
  );

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const unionOf = (levels: readonly MatchedLevel[]): readonly string[] =>
  [...new Set(levels.flatMap(({ advisoryIds }) => advisoryIds))].sort();

/** The first level, highest first, at which SGX components, PCE and TDX components are all reached. */
function matchPlatformLevel(platform: PlatformTcb, tcbInfo: TcbInfo, suffix: string): PlatformTcbLevel {
  for (const level of tcbInfo.tcbLevels) {
    if (reachesSgx(platform, level) && reachesTdx(platform, level)) return level;
  }
  // The level with the fewest parts missing tells the operator most.
  const nearest = tcbInfo.tcbLevels
    .map((level) => platformShortfalls(platform, level))
    .reduce((best, shortfalls) => (shortfalls.length <= best.length ? shortfalls : best));
  return refuseTcb(`platform TCB${suffix}`, nearest);
}

/** The first level, highest SVN first, that this SVN reaches. */
function matchComponentLevel(
  part: string,
  levels: readonly ComponentTcbLevel[],
  svn: number,
): ComponentTcbLevel & { readonly status: ComponentStatus } {
  const reached = levels.find((level) => svn >= level.isvSvn);
  if (reached === undefined) return refuseTcb(part, componentShortfalls(part, levels.slice(-1), svn));
  if (hasKnownStatus(reached)) return reached;
  const message = `${part} reaches a level with the status ${reached.statusName}, which is not known here`;
  throw new EvidenceError('TCB_INFO_INVALID', message, {
    field: `tcbStatus of the level of ${part}`,
    expected: componentStatuses.join(' or '),
    observed: reached.statusName,
    hint: 'Intel has introduced a new status: update this software',
  });
}

const hasKnownStatus = (
  level: ComponentTcbLevel,
): level is ComponentTcbLevel & { readonly status: ComponentStatus } => level.status !== undefined;

const componentShortfalls = (
  part: string,
  levels: readonly ComponentTcbLevel[],
  svn: number,
): readonly TcbShortfall[] =>
  levels
    .slice(0, 1)
    .map(({ isvSvn, statusName, tcbDateMs }) =>
      shortfall(part, isvSvn, svn, { status: statusName, tcbDateMs }),
    )
    .filter((entry) => entry !== undefined);

const newestGoodLevel = ({ tcbLevels }: TcbInfo): PlatformTcbLevel =>
  tcbLevels.find(({ status }) => status === 'UpToDate') ?? tcbLevels[0];

function refuseTcb(field: string, nearest: readonly TcbShortfall[]): never {
  const observed = describeShortfalls(nearest);
  throw new EvidenceError(
    'TCB_NOT_SUPPORTED',
    `${field} is below every level that Intel lists: ${observed}`,
    {
      field,
      expected: nearest.map(({ part, required }) => `${part} at least ${required}`).join('; '),
      observed,
      hint: 'update the firmware, microcode or TDX module of this platform, and have its PCK certificate re-issued',
    },
  );
}
