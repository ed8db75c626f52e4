/**
 * What goes wrong outside of everything that awaits: a rejection that nobody took, an exception out of a listener or a
 * timer, and an output whose reader has gone or whose disk is full.
 */
export type ProcessFault = 'rejection' | 'exception' | 'output';

/**
 * The policy of a process that serves for long. Its memory is all that its clients' keys are in, so neither a rejection
 * that nobody took nor a log that nobody reads any more ends it: both are told to `onFault`, and it goes on. After an
 * exception out of a listener nobody knows what was left half done: the promise resolves, for an orderly end.
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
