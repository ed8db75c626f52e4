import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { besideHealing } from '../../../src/node/tell-clients.ts';

describe('work beside healing', () => {
  it('is logged when it fails, as on a fenced store, and fails nothing else', async () => {
    const logged: unknown[] = [];
    const work = Promise.reject(new ProblemError('NODE_FENCED', 'a newer instance writes'));
    await besideHealing((...entry) => logged.push(entry), 'clients.not-told', work);
    expect(logged).toEqual([
      ['error', 'clients.not-told', { error: expect.stringContaining('a newer instance writes') }],
    ]);
  });

  it('is waited for', async () => {
    let isDone = false;
    const work = Promise.resolve().then(() => {
      isDone = true;
    });
    await besideHealing(() => undefined, 'clients.not-told', work);
    expect(isDone).toBe(true);
  });
});
