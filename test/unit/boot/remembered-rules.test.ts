import { describe, expect, it } from 'vitest';
import type { BootStage } from '../../../src/boot/life/boot-stage.ts';
import { openRules } from '../../../src/boot/life/remembered-rules.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';

/** An open node whose memory can be read after so many failures. */
function scene(
  failures: number,
  onPause: (stop: AbortController, pauses: number[]) => void = () => undefined,
) {
  const stop = new AbortController();
  const pauses: number[] = [];
  const reports: unknown[] = [];
  let left = failures;
  let closed = 0;
  const memory = {
    open: async () => {
      if (left-- > 0) throw new ProblemError('STORE_READ_FAILED', 'EIO');
      return true;
    },
    close: () => undefined,
  };
  const stage = {
    parts: { memory, log: () => undefined, options: { retryMinMs: 10, retryMaxMs: 25 } },
    stopped: stop.signal,
    report: (state: unknown) => void reports.push(state),
    pause: async (milliseconds: number) => {
      pauses.push(milliseconds);
      onPause(stop, pauses);
    },
    // Nothing else of a stage is used.
  } as unknown as BootStage;
  const node = {
    store: { isReleased: false },
    book: { newest: { t: 2, n: 3 } },
    close: async () => void closed++,
  } as unknown as OpenNode;
  return { stage, node, pauses, reports, closed: () => closed };
}

describe('the rules that an open store remembers', () => {
  it('are asked for until they are read, less and less often, and the state says why', async () => {
    const { stage, node, pauses, reports, closed } = scene(4);
    expect(await openRules(stage, node, Number.POSITIVE_INFINITY)).toBe(true);
    expect(pauses).toEqual([10, 20, 25, 25]);
    expect(reports[0]).toMatchObject({ name: 'unclaimed', quorum: { t: 2, n: 3 } });
    expect(JSON.stringify(reports[0])).toContain('STORE_READ_FAILED');
    expect(closed()).toBe(0);
  });

  it('end the opening of a command that tries twice', async () => {
    const { stage, node, closed } = scene(2);
    await expect(openRules(stage, node, 2)).rejects.toMatchObject({ code: 'STORE_READ_FAILED' });
    expect(closed()).toBe(1);
    const other = scene(1);
    expect(await openRules(other.stage, other.node, 2)).toBe(true);
  });

  it('are not waited for when the node is stopped', async () => {
    const { stage, node, pauses } = scene(9, (stop) => stop.abort());
    expect(await openRules(stage, node, Number.POSITIVE_INFINITY)).toBe(false);
    expect(pauses).toHaveLength(1);
  });

  it('are none without a fleet', async () => {
    const { stage, node } = scene(9);
    const parts = { ...stage.parts, memory: undefined } as unknown as BootStage['parts'];
    expect(await openRules({ ...stage, parts }, node, 1)).toBe(false);
  });
});
