/** The error of {@link orAborted} when the signal aborted first. */
export class AbortedError extends Error {
  override readonly name = 'AbortedError';

  constructor() {
    super('stopped');
  }
}

/**
 * Waits for work that takes no signal of its own, such as a quote that a machine never makes, but no longer than until
 * the signal aborts: an orderly end must not wait for work that hangs.
 * @throws AbortedError when the signal aborts first; what comes of the work afterwards goes to `late`.
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (result: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const stop = (): void => {
      isOver = true;
      reject(new AbortedError());
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    work.then(
      (result) => {
        signal.removeEventListener('abort', stop);
        if (isOver) late(result);
        else resolve(result);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', stop);
        reject(error);
      },
    );
  });
}
