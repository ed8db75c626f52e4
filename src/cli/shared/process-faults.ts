/**
 * A fault that no `await` sees: an unhandled rejection, an exception in a listener or a timer, or an output that cannot
 * be written (its reader has ended, or its disk is full).
 */
export type ProcessFault = 'rejection' | 'exception' | 'output';

/**
 * The policy of a server process. Its clients' keys are in its memory only, so neither an unhandled rejection nor an
 * output that cannot be written ends it: both are reported to `onFault`, and it goes on. After an exception in a listener
 * the state of the process is not known: the promise resolves, for an orderly end.
 * @param onFault must not throw, and must not write to an output that failed.
 */
export function watchProcess(onFault: (fault: ProcessFault, error: unknown) => void): Promise<void> {
  process.on('unhandledRejection', (reason) => onFault('rejection', reason));
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error) => onFault('output', error));
  return new Promise((resolve) => {
    process.on('uncaughtException', (error: unknown) => {
      onFault('exception', error);
      resolve();
    });
  });
}
