import { byteAt } from '../bytes/byte-at.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { SgxExtension } from './sgx-extension.ts';
import type { ComponentTcbLevel, PlatformTcbLevel, TcbInfo, TdxModuleIdentity } from './tcb-info.ts';
import {
  describeShortfalls,
  type PlatformTcb,
  platformShortfalls,
  reachesSgx,
  reachesTdx,
  shortfall,
  type TcbShortfall,
} from './tcb-shortfall.ts';
import { convergeTcbStatus, type TcbStatus } from './tcb-status.ts';
import { adviseRelaunch } from './td-relaunch.ts';
import type { TdReport } from './td-report.ts';
import { TEE_TCB_SVN_MODULE_SVN } from './tdx-module.ts';

/** What the verdict on a TCB is made of. */
export interface TcbInput {
  readonly body: TdReport;
  readonly sgx: SgxExtension;
  readonly qeIsvSvn: number;
  readonly tcbInfo: TcbInfo;
  /** As `requireTdxModule` found it. */
  readonly tdxModule: TdxModuleIdentity | undefined;
  readonly qeIdentity: QeIdentity;
}

/** Intel's verdict on platform, TDX module and quoting enclave together. */
export interface TcbVerdict {
  readonly tcbStatus: TcbStatus;
  /** Of platform level, module level and QE level; sorted, each once. */
  readonly advisoryIds: readonly string[];
  /** The oldest date of the three levels below. */
  readonly tcbDateMs: number;
  readonly levels: MatchedLevels;
  /** What is below the newest good level; empty when everything is up to date. */
  readonly shortfalls: readonly TcbShortfall[];
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
 * Evaluates TCB levels by Intel's rule (QVL, TcbLevelCheck.cpp): the first level whose SGX components and PCE are
 * reached, the first whose TDX components are reached too, the TDX module's own level, relaunch, and the QE's level.
 * @throws EvidenceError TCB_NOT_SUPPORTED naming what is short of the nearest level; TDX_MODULE_MISMATCH.
 */
export function evaluateTcb({ body, sgx, qeIsvSvn, tcbInfo, tdxModule, qeIdentity }: TcbInput): TcbVerdict {
  const firstTdxComponent = tdxModule === undefined ? 0 : 2;
  const platformTcb: PlatformTcb = { sgx, teeTcbSvn: body.teeTcbSvn, firstTdxComponent };
  const { sgxLevel, level } = matchPlatformLevel(platformTcb, tcbInfo);
  const moduleSvn = byteAt(body.teeTcbSvn, TEE_TCB_SVN_MODULE_SVN);
  const moduleLevel =
    tdxModule && matchComponentLevel(`TDX module ${tdxModule.id}`, tdxModule.tcbLevels, moduleSvn);
  const qeLevel = matchComponentLevel('quoting enclave', qeIdentity.tcbLevels, qeIsvSvn);

  const moduleStatus = moduleLevel?.status ?? 'UpToDate';
  const withModule = convergeTcbStatus(level.status, moduleStatus);
  const withRelaunch = adviseRelaunch(withModule, {
    teeTcbSvn2: body.teeTcbSvn2,
    tcbInfo,
    sgxStatus: sgxLevel.status,
    moduleStatus,
    qeStatus: qeLevel.status,
  });
  const tcbStatus = convergeTcbStatus(withRelaunch, qeLevel.status);
  const matched = moduleLevel === undefined ? [level, qeLevel] : [level, moduleLevel, qeLevel];
  return {
    tcbStatus,
    advisoryIds: unionOf(matched),
    tcbDateMs: Math.min(...matched.map(({ tcbDateMs }) => tcbDateMs)),
    levels: { platform: level, tdxModule: moduleLevel, quotingEnclave: qeLevel },
    shortfalls:
      tcbStatus === 'UpToDate'
        ? []
        : [
            ...platformShortfalls(platformTcb, newestGoodLevel(tcbInfo)),
            ...componentShortfalls('TDX module', tdxModule?.tcbLevels ?? [], moduleSvn),
            ...componentShortfalls('quoting enclave', qeIdentity.tcbLevels, qeIsvSvn),
          ],
  };
}

const noAdvisories: readonly string[] = Object.freeze([]);

/** Most platforms have none, so that case costs nothing. */
function unionOf(levels: readonly MatchedLevel[]): readonly string[] {
  if (levels.every(({ advisoryIds }) => advisoryIds.length === 0)) return noAdvisories;
  return [...new Set(levels.flatMap(({ advisoryIds }) => advisoryIds))].sort();
}

function matchPlatformLevel(platform: PlatformTcb, tcbInfo: TcbInfo) {
  let sgxLevel: PlatformTcbLevel | undefined;
  for (const level of tcbInfo.tcbLevels) {
    if (!reachesSgx(platform, level)) continue;
    sgxLevel ??= level;
    if (reachesTdx(platform, level)) return { sgxLevel, level };
  }
  // The level with the fewest parts missing tells the operator most.
  const nearest = tcbInfo.tcbLevels
    .map((level) => platformShortfalls(platform, level))
    .reduce((best, shortfalls) => (shortfalls.length <= best.length ? shortfalls : best));
  return refuseTcb('platform TCB', nearest);
}

/** The first level, highest SVN first, that this SVN reaches. */
function matchComponentLevel(
  part: string,
  levels: readonly ComponentTcbLevel[],
  svn: number,
): ComponentTcbLevel {
  const reached = levels.find((level) => svn >= level.isvSvn);
  return reached ?? refuseTcb(part, componentShortfalls(part, levels.slice(-1), svn));
}

const componentShortfalls = (
  part: string,
  levels: readonly ComponentTcbLevel[],
  svn: number,
): readonly TcbShortfall[] =>
  levels
    .slice(0, 1)
    .map((level) => shortfall(part, level.isvSvn, svn, level))
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
