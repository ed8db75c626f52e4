import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { whileHealing } from '../../../src/node/tell-clients.ts';
import { AbortedError } from '../../../src/time/or-aborted.ts';

const running = new AbortController().signal;

describe('work while the node heals', () => {
  it('is logged when it fails, as on a fenced store, and fails nothing else', async () => {
    const logged: unknown[] = [];
    const work = Promise.reject(new ProblemError('NODE_FENCED', 'a newer instance writes'));
    await whileHealing((...entry) => logged.push(entry), 'clients.not-told', work, running);
    expect(logged).toEqual([
      ['error', 'clients.not-told', { error: expect.stringContaining('a newer instance writes') }],
    ]);
  });

  it.each([
    ['of a node that stops', new AbortedError()],
    ['of a request of a node that stops', new DOMException('stopped', 'AbortError')],
  ])('is not said to have failed when it is the end %s; before the stop it is', async (_, end) => {
    const logged: unknown[] = [];
    const log = (...entry: unknown[]) => logged.push(entry);
    await whileHealing(log, 'clients.not-told', Promise.reject(end), AbortSignal.abort());
    expect(logged).toEqual([]);
    await whileHealing(log, 'clients.not-told', Promise.reject(end), running);
    expect(logged).toHaveLength(1);
    await whileHealing(log, 'clients.not-told', Promise.reject(new Error('full')), AbortSignal.abort());
    expect(logged).toHaveLength(2);
  });

  it('is waited for', async () => {
    let isDone = false;
    const work = Promise.resolve().then(() => {
      isDone = true;
    });
    await whileHealing(() => undefined, 'clients.not-told', work, running);
    expect(isDone).toBe(true);
  });
});
