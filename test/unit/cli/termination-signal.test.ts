import { expect, it } from 'vitest';
import { terminationSignal } from '../../../src/cli/shared/termination-signal.ts';

const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

it.each(signals)('after %s a second signal of any kind has no listener', async (first) => {
  const listening = () => signals.reduce((sum, signal) => sum + process.listenerCount(signal), 0);
  const before = listening();
  const told = terminationSignal();
  expect(listening()).toBe(before + signals.length);
  process.emit(first);
  await told;
  expect(listening()).toBe(before);
});
