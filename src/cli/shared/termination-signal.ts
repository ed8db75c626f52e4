/** SIGQUIT too: by default it would write all memory, and so the keys, into a core file. */
const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** Resolves at the first SIGTERM, SIGINT or SIGQUIT; a second one, of any kind, ends the process at once. */
export function terminationSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      for (const signal of signals) process.off(signal, stop);
      resolve();
    };
    for (const signal of signals) process.on(signal, stop);
  });
}
