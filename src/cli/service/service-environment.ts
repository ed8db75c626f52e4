/** What a service manager tells a service by its environment (sd_notify(3), sd_watchdog_enabled(3)). */
export interface ServiceEnvironment {
  /** Where messages go; `undefined`: there is no listener. */
  readonly socket?: string;
  /** The process is ended when no sign of life comes for this long, in milliseconds; `undefined`: no watchdog. */
  readonly watchdogMs?: number;
}

/**
 * Takes these variables out of an environment, so that no child process inherits them.
 * @param pid of this process: a watchdog for another one is none for this one.
 */
export function takeServiceEnvironment(
  environment: Record<string, string | undefined>,
  pid: number,
): ServiceEnvironment {
  const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: usec = '', WATCHDOG_PID: owner = '' } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  const isForUs = owner === '' || owner === String(pid);
  const watchdogMs = /^\d{1,15}$/.test(usec) && isForUs ? Number(usec) / 1000 : 0;
  return { ...(socket === '' ? {} : { socket }), ...(watchdogMs > 0 ? { watchdogMs } : {}) };
}
