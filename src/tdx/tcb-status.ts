/** TCB statuses with Intel's names. */
export type TcbStatus =
  | 'UpToDate'
  | 'SWHardeningNeeded'
  | 'ConfigurationNeeded'
  | 'ConfigurationAndSWHardeningNeeded'
  | 'OutOfDate'
  | 'OutOfDateConfigurationNeeded'
  | 'TDRelaunchAdvised'
  | 'TDRelaunchAdvisedConfigurationNeeded'
  | 'Revoked';

/** Statuses that TCB info may give to a platform level. */
export const platformStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const satisfies readonly TcbStatus[];
export type PlatformStatus = (typeof platformStatuses)[number];

/** Statuses of a TDX module or a quoting enclave. */
export const componentStatuses = ['UpToDate', 'OutOfDate', 'Revoked'] as const satisfies readonly TcbStatus[];
export type ComponentStatus = (typeof componentStatuses)[number];

/** Every status. */
export const tcbStatuses = [
  ...platformStatuses,
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const satisfies readonly TcbStatus[];

/**
 * Statuses of a TCB that was out of date at the launch: what a grace is for. Where a relaunch is advised, the TCB that is
 * loaded now is current: a machine that loads a newer TDX module must not lose the grace that its TDs have.
 */
export const outOfDateStatuses = [
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const satisfies readonly TcbStatus[];

/** Lets the status of a TDX module or quoting enclave count for the whole, by Intel's rule (QVL, `converge…`). */
export function convergeTcbStatus<Status extends TcbStatus>(
  status: Status,
  component: ComponentStatus,
): Status | PlatformStatus {
  if (component === 'Revoked') return 'Revoked';
  if (component === 'UpToDate') return status;
  switch (status) {
    case 'UpToDate':
    case 'SWHardeningNeeded':
      return 'OutOfDate';
    case 'ConfigurationNeeded':
    case 'ConfigurationAndSWHardeningNeeded':
      return 'OutOfDateConfigurationNeeded';
    default:
      return status;
  }
}
