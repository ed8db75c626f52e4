import type { PlatformStatus, TcbStatus } from './tcb-status.ts';

/** Statuses that say that the TCB was out of date at the launch. */
const outOfDate: ReadonlySet<PlatformStatus> = new Set(['OutOfDate', 'OutOfDateConfigurationNeeded']);

/** Statuses of the loaded TCB with which a new launch makes the TD current. */
const current: ReadonlySet<PlatformStatus> = new Set([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
]);

const configurationNeeded: ReadonlySet<PlatformStatus> = new Set([
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDateConfigurationNeeded',
]);

/**
 * Intel's relaunch rule (TD preserving endorsements, May 2026, step 4.1.2.5.1.20.2): when the TCB at the launch is out of
 * date and the loaded TCB is current, the TD has to be launched again. In all other cases the status of the launch
 * counts.
 * @param atLaunch status of `teeTcbSvn`, with the levels of TDX module and quoting enclave in it.
 * @param now status of `teeTcbSvn2`, likewise.
 */
export function relaunchStatus(atLaunch: PlatformStatus, now: PlatformStatus): TcbStatus {
  if (!outOfDate.has(atLaunch) || !current.has(now)) return atLaunch;
  return configurationNeeded.has(atLaunch) || configurationNeeded.has(now)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised';
}
