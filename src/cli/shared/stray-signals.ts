/**
 * Signals that end a Node process by default, or open its debugger (SIGUSR1), and that no one sends in order to end a
 * server: a closed terminal and log rotation (SIGHUP), timers and limits of the parent process, a closed pipe.
 */
export const straySignals = [
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGPIPE',
  'SIGALRM',
  'SIGVTALRM',
  'SIGPROF',
  'SIGIO',
  'SIGPWR',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGSTKFLT',
] as const satisfies readonly NodeJS.Signals[];

/**
 * Keeps {@link straySignals} from ending this process: a server that dies takes the keys of its clients with it.
 * @param onSignal is told of each one; it must not throw.
 */
export function surviveStraySignals(onSignal: (signal: NodeJS.Signals) => void): void {
  for (const signal of straySignals) process.on(signal, onSignal);
}
