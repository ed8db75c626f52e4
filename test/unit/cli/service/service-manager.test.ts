import { describe, expect, it } from 'vitest';
import { ServiceManager } from '../../../../src/cli/service/service-manager.ts';

/** A manager with a clock that a test moves on, and a list of what was sent. */
function managed(watchdogMs?: number) {
  const sent: string[][] = [];
  const events: string[] = [];
  let confirm = (): void => undefined;
  const sleeping = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  const state = { nowMs: 0, status: 'locked (0 of 2): waiting', overdueMs: 0, answers: true, fails: false };
  const manager = new ServiceManager({
    notify: async (assignments) => {
      sent.push([...assignments]);
      if (state.fails) throw new Error('no such program');
      if (!state.answers)
        await new Promise<void>((resolve) => {
          confirm = resolve;
        });
    },
    watchdogMs,
    clock: {
      nowMs: () => state.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const wake = () => {
            signal?.removeEventListener('abort', wake);
            resolve();
          };
          sleeping.add({ atMs: state.nowMs + ms, wake });
          signal?.addEventListener('abort', wake, { once: true });
        }),
    },
    log: (_, event) => void events.push(event),
    status: () => state.status,
    overdueMs: () => state.overdueMs,
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number): Promise<void> => {
    const endMs = state.nowMs + ms;
    for (await settle(); ; await settle()) {
      const next = [...sleeping].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      sleeping.delete(next);
      state.nowMs = next.atMs;
      next.wake();
    }
    state.nowMs = endMs;
  };
  const count = (line: string) => sent.flat().filter((text) => text === line).length;
  return { manager, sent, events, state, pass, count, confirm: () => confirm() };
}

describe('a service manager', () => {
  it('is told ready, and then every change of the state, once', async () => {
    const { manager, sent, state, pass } = managed();
    await manager.ready();
    expect(sent).toEqual([['READY=1', 'STATUS=locked (0 of 2): waiting']]);
    await pass(60_000);
    expect(sent).toHaveLength(1);
    state.status = 'backed (5 of 5 slots live, 3 needed)';
    await pass(60_000);
    expect(sent.slice(1)).toEqual([['STATUS=backed (5 of 5 slots live, 3 needed)']]);
  });

  it('that does not read gets no further message: none pile up', async () => {
    const { manager, sent, state, pass } = managed(60_000);
    await manager.ready();
    state.answers = false;
    state.status = 'backed (5 of 5 slots live, 3 needed)';
    await pass(6_000);
    state.answers = true;
    state.status = 'degraded (4 of 5 slots live, 3 needed)';
    await pass(600_000);
    // The one that was never confirmed may have been read, and is the last.
    expect(sent).toHaveLength(2);
  });

  it('gets no assignment that is hidden in the reason of a state', async () => {
    const { manager, sent, state } = managed();
    state.status = 'locked: the endpoint says \nMAINPID=1\r\nFDSTORE=1';
    await manager.ready();
    expect(sent[0]).toHaveLength(2);
    expect(sent[0]?.join('')).not.toMatch(/[\r\n]/);
  });

  it('is shown a sign of life at half of the watchdog time, also while the node stops', async () => {
    const { manager, pass, count } = managed(60_000);
    await manager.ready();
    await pass(29_999);
    expect(count('WATCHDOG=1')).toBe(0);
    await pass(1);
    expect(count('WATCHDOG=1')).toBe(1);
    await pass(60_000);
    expect(count('WATCHDOG=1')).toBe(3);
    void manager.stopping();
    await pass(30_000);
    expect(count('WATCHDOG=1')).toBe(4);
  });

  it('is shown none while the main loop is stuck, and again afterwards', async () => {
    const { manager, state, events, pass, count } = managed(60_000);
    await manager.ready();
    state.overdueMs = 1;
    await pass(300_000);
    expect(count('WATCHDOG=1')).toBe(0);
    expect(events).toEqual(['service.watchdog-withheld']);
    state.overdueMs = 0;
    await pass(30_000);
    expect(count('WATCHDOG=1')).toBe(1);
  });

  it('that does not read makes no messages pile up', async () => {
    const { manager, sent, state, pass } = managed(10_000);
    state.answers = false;
    void manager.ready();
    await pass(600_000);
    expect(sent).toHaveLength(1);
  });

  it('is told of the end after what still waits, and the end waits for it, for five seconds at most', async () => {
    const { manager, sent, state, pass, confirm } = managed();
    state.answers = false;
    void manager.reloading();
    let isOver = false;
    void manager.stopping();
    void manager.told().then(() => {
      isOver = true;
    });
    await pass(4_999);
    expect([isOver, sent.length]).toEqual([false, 1]);
    confirm();
    await pass(0);
    confirm();
    await pass(0);
    expect(sent.map(([first]) => first)).toEqual(['RELOADING=1', 'STOPPING=1']);
    expect(isOver).toBe(true);
  });

  it('that does not read holds up the end for five seconds', async () => {
    const { manager, state, pass } = managed();
    state.answers = false;
    let isOver = false;
    void manager.stopping();
    void manager.told().then(() => {
      isOver = true;
    });
    await pass(4_999);
    expect(isOver).toBe(false);
    await pass(1);
    expect(isOver).toBe(true);
  });

  it('that cannot be reached is named in the log once, and changes nothing', async () => {
    const { manager, events, state, pass, sent } = managed(10_000);
    state.fails = true;
    await manager.ready();
    await pass(30_000);
    expect(events).toEqual(['service.not-told']);
    expect(sent.length).toBeGreaterThan(3);
  });

  it('is told of a reload with its time, and of the end', async () => {
    const { manager, sent } = managed();
    const before = process.hrtime.bigint() / 1000n;
    await manager.reloading();
    await manager.reloaded();
    await manager.stopping();
    const after = process.hrtime.bigint() / 1000n;
    const [first, second, third] = sent;
    expect(first?.[0]).toBe('RELOADING=1');
    const usec = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(first?.[1] ?? '')?.[1] ?? -1);
    expect(usec >= before && usec <= after).toBe(true);
    expect(second?.[0]).toBe('READY=1');
    expect(third?.[0]).toBe('STOPPING=1');
  });
});
