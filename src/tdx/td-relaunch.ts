import { byteAt } from '../bytes/byte-at.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { ComponentStatus, PlatformStatus, TcbStatus } from './tcb-status.ts';
import { findModuleIdentity, TEE_TCB_SVN_MODULE_SVN, TEE_TCB_SVN_MODULE_VERSION } from './tdx-module.ts';

/** What decides whether relaunching the TD would make it up to date. */
export interface RelaunchInput {
  /** 16 bytes: the TCB that is loaded now; only TD report 1.5 has it. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  readonly tcbInfo: TcbInfo;
  readonly sgxStatus: PlatformStatus;
  readonly moduleStatus: ComponentStatus;
  readonly qeStatus: ComponentStatus;
}

const MICROCODE_COMPONENT = 2;
const platformIsCurrent: ReadonlySet<PlatformStatus> = new Set([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
]);

/**
 * A TD that was launched under an old TDX module, on a platform that has loaded the newest since, is out of date
 * only until it is launched again (QVL, TDRelaunchCheck.cpp).
 * @throws EvidenceError TDX_MODULE_MISMATCH when the loaded module is unknown.
 */
export function adviseRelaunch(status: PlatformStatus, input: RelaunchInput): TcbStatus {
  const { teeTcbSvn2, tcbInfo, sgxStatus, moduleStatus, qeStatus } = input;
  if (teeTcbSvn2 === undefined || qeStatus !== 'UpToDate' || moduleStatus !== 'OutOfDate') return status;
  if (!platformIsCurrent.has(sgxStatus)) return status;
  if (status !== 'OutOfDate' && status !== 'OutOfDateConfigurationNeeded') return status;
  if (!hasNewestModuleLoaded(teeTcbSvn2, tcbInfo)) return status;
  const needsConfiguration =
    status === 'OutOfDateConfigurationNeeded' ||
    sgxStatus === 'ConfigurationNeeded' ||
    sgxStatus === 'ConfigurationAndSWHardeningNeeded';
  return needsConfiguration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised';
}

function hasNewestModuleLoaded(teeTcbSvn2: Uint8Array, tcbInfo: TcbInfo): boolean {
  const newest = tcbInfo.tcbLevels[0].tdxComponents;
  const version = byteAt(teeTcbSvn2, TEE_TCB_SVN_MODULE_VERSION);
  const newestModuleSvn =
    version === 0
      ? byteAt(newest, TEE_TCB_SVN_MODULE_SVN)
      : findModuleIdentity(tcbInfo, version).tcbLevels[0].isvSvn;
  return (
    byteAt(teeTcbSvn2, TEE_TCB_SVN_MODULE_SVN) >= newestModuleSvn &&
    byteAt(teeTcbSvn2, MICROCODE_COMPONENT) >= byteAt(newest, MICROCODE_COMPONENT)
  );
}
