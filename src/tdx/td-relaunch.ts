import type { PlatformStatus, TcbStatus } from './tcb-status.ts';

/** Statuses of a TCB that is out of date by what the TD was launched with. */
const outOfDate: ReadonlySet<PlatformStatus> = new Set(['OutOfDate', 'OutOfDateConfigurationNeeded']);

/** Statuses of a loaded TCB under which a relaunch makes the TD current. */
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
 * Intel's relaunch rule (TD preserving endorsements, May 2026, step 4.1.2.5.1.20.2): a TD that was launched under a TCB
 * that is out of date, on a platform that runs a current TCB now, has to be launched again. In all other cases the
 * status of the launch counts.
 * @param atLaunch status of `teeTcbSvn`, with the levels of TDX module and quoting enclave in it.
 * @param now status of `teeTcbSvn2`, likewise.
 */
export function relaunchStatus(atLaunch: PlatformStatus, now: PlatformStatus): TcbStatus {
  if (!outOfDate.has(atLaunch) || !current.has(now)) return atLaunch;
  return configurationNeeded.has(atLaunch) || configurationNeeded.has(now)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised';
}
