import { expect, it } from 'vitest';
import { terminationSignal } from '../../../src/cli/shared/termination-signal.ts';

it.each(['SIGTERM', 'SIGINT'] as const)(
  'after %s a second signal of either kind meets no listener',
  async (first) => {
    const listening = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
    const before = listening();
    const told = terminationSignal();
    expect(listening()).toBe(before + 2);
    process.emit(first);
    await told;
    expect(listening()).toBe(before);
  },
);
