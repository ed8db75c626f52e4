import { describe, expect, it } from 'vitest';
import {
  changeNote,
  type DrainStanding,
  drainLines,
  waitUntilFree,
} from '../../../src/cli/shared/drain-wait.ts';
import { ManualClock, START_MS } from '../../support/collateral-world.ts';

const standing = (remaining: number, moved: number, draining = true, unmovable = 0): DrainStanding => ({
  draining,
  remaining,
  unmovable,
  moved,
  clients: Array.from({ length: remaining }, (_, index) => ({
    accountId: `account ${index}`,
    keys: index + 1,
    atRisk: index === 0,
    standing: 'told',
    canMove: true,
    ...(index === 0 ? { endpoint: '10.0.0.1:3001' } : {}),
  })),
});

const inRing = (of: DrainStanding, handedOver: boolean): DrainStanding => ({
  ...of,
  ring: { standing: 'draining', records: 7, handedOver },
});

/** Waits while the clock runs; the node's answer changes with every request. */
async function waitOver(looks: readonly DrainStanding[], deadlineMs?: number) {
  const clock = new ManualClock(START_MS);
  const seen: number[] = [];
  let at = 0;
  let isOver = false;
  const waiting = waitUntilFree(async () => looks[Math.min(at++, looks.length - 1)] ?? standing(0, 0), {
    clock,
    deadlineMs,
    unmovableDeadlineMs: 5_000,
    ringDeadlineMs: 10_000,
    onStanding: ({ moved }) => seen.push(moved),
  }).finally(() => {
    isOver = true;
  });
  waiting.catch(() => undefined);
  for (let turns = 0; turns < 300; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (isOver) break;
    await clock.advance(100);
  }
  return { result: await waiting, seen, passedMs: clock.nowMs() - START_MS };
}

describe('waiting for a drain', () => {
  it('ends when no client needs the server', async () => {
    const { result, seen } = await waitOver([standing(2, 0), standing(1, 1), standing(0, 2)]);
    expect(result).toMatchObject({ remaining: 0, moved: 2 });
    expect(seen).toEqual([0, 1, 2]);
  });

  it('ends at the deadline with the remaining clients, and not before', async () => {
    const { result, passedMs } = await waitOver([standing(2, 0), standing(1, 1)], 1_700);
    expect(result).toMatchObject({ remaining: 1 });
    expect(passedMs).toBeGreaterThanOrEqual(1_700);
    expect(passedMs).toBeLessThan(2_000);
  });

  it('waits for accounts that cannot move only until their own deadline after all others have moved', async () => {
    const looks = [standing(1, 0, true, 1), standing(0, 1, true, 1)];
    const { result, passedMs } = await waitOver(looks);
    expect(result).toMatchObject({ remaining: 0, unmovable: 1 });
    expect(passedMs).toBeGreaterThanOrEqual(6_000);
    const back = [
      standing(0, 1, true, 1),
      standing(0, 1, true, 1),
      standing(0, 1, true, 1),
      standing(1, 0),
      standing(0, 1, true, 1),
    ];
    expect((await waitOver(back)).passedMs).toBeGreaterThanOrEqual(9_000);
  });

  it('waits for the ring after the clients, until it has everything', async () => {
    const looks = [
      inRing(standing(1, 0), false),
      inRing(standing(0, 1), false),
      inRing(standing(0, 1), true),
    ];
    const { result, seen } = await waitOver(looks);
    expect(result).toMatchObject({ remaining: 0, ring: { handedOver: true } });
    expect(seen).toHaveLength(3);
  });

  it('waits for the ring no longer than its own deadline, from the moment when all clients have moved', async () => {
    const looks = [standing(1, 0), standing(1, 0), standing(0, 1)].map((each) => inRing(each, false));
    const { result, passedMs } = await waitOver(looks);
    expect(result).toMatchObject({ remaining: 0, ring: { handedOver: false } });
    expect(passedMs).toBeGreaterThanOrEqual(12_000);
    // Not while a client needs the server, and not beyond the deadline of the command.
    expect((await waitOver([inRing(standing(1, 0), true)], 20_000)).passedMs).toBeGreaterThanOrEqual(20_000);
    expect((await waitOver([inRing(standing(0, 1), false)], 2_000)).passedMs).toBeLessThan(3_000);
  });

  it('checks once with a deadline of 0', async () => {
    expect((await waitOver([standing(2, 0)], 0)).seen).toEqual([0]);
  });

  it('fails when the drain has ended: cancelled, or a new process', async () => {
    await expect(waitOver([standing(2, 0), standing(2, 0, false)])).rejects.toMatchObject({
      code: 'DRAIN_ENDED',
    });
  });
});

describe('the lines for a person', () => {
  it('list the remaining clients, their servers, and the clients at risk', () => {
    expect(drainLines(standing(2, 5))).toEqual([
      '2 clients still need this server, 5 moved',
      '  account 0  10.0.0.1:3001  1 key; told; AT RISK: would be below its threshold without this server',
      '  account 1  -  2 keys; told',
      'A client that stays "told" finds no other server: each store wants 5 besides its own node, or as many as the chain shows.',
      'With six nodes or fewer start another node first, or take the record of this one off the chain.',
      'Draining goes on; `latchkey drain --cancel` ends it.',
    ]);
  });

  it('say nothing of missing servers while no client was told', () => {
    const early = standing(1, 0);
    const clients = early.clients.map((client) => ({ ...client, standing: 'not told yet' }));
    expect(drainLines({ ...early, clients }).join()).not.toContain('finds no other server');
  });

  it('in a log come once for each change', () => {
    const lines: string[] = [];
    const note = changeNote((line) => lines.push(line));
    for (const one of [standing(2, 0), standing(2, 0), standing(1, 1), standing(1, 1), standing(0, 2)])
      note(one);
    expect(lines).toEqual([
      'draining: needed by 2, 0 moved, 0 cannot move',
      'draining: needed by 1, 1 moved, 0 cannot move',
      'draining: needed by 0, 2 moved, 0 cannot move',
    ]);
  });

  it('report that the node may be stopped, that it does not drain, and how many clients are not listed', () => {
    expect(drainLines(standing(0, 1))).toEqual([
      'no client waits for another server: this one may be stopped (1 client moved)',
    ]);
    expect(drainLines(standing(3, 0, false))).toEqual(['not draining; 3 clients with keys here']);
    expect(drainLines({ ...standing(2, 0), remaining: 7 })).toContain('  and 5 more');
  });
});

describe('the lines of a drain in a ring', () => {
  it('do not say that the node may be stopped before the ring has its records, and say what to do', () => {
    const waiting = drainLines(inRing(standing(0, 2), false)).join('\n');
    expect(waiting).not.toContain('may be stopped');
    expect(waiting).toContain('all 7 records of this node yet');
    expect(waiting).toContain('Do not take this node off the chain');
    expect(drainLines(inRing(standing(1, 2), false)).join('\n')).toContain('all 7 records');
    expect(drainLines(inRing(standing(0, 2), true)).join('\n')).toContain('may be stopped');
    const full = { standing: 'draining', records: 1, handedOver: false, problem: 'RING_FULL: no room' };
    expect(drainLines({ ...standing(0, 2), ring: full }).join('\n')).toContain('RING_FULL');
  });
});
