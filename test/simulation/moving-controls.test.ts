import { afterEach, describe, expect, it, vi } from 'vitest';
import { FleetKeeper } from '../../src/fleet/fleet-keeper.ts';
import type { FleetInForce } from '../../src/fleet/in-force.ts';
import { MovingFleet } from '../support/simulated-network-moves.ts';
import { runSchedule } from '../support/simulated-network-schedule.ts';

/** A fault of nodes or operators in a fleet that moves. */
interface Control {
  readonly fault: string;
  readonly putIn: () => void;
  /** The violation that shows it. */
  readonly noticed: RegExp;
  /** The first seed from 1 on that shows it. */
  readonly seed: number;
}

const controls: readonly Control[] = [
  {
    fault: 'a move that forgets the former section and image at once',
    putIn: () => {
      vi.spyOn(MovingFleet.prototype, 'listed').mockImplementation((releases) => releases.slice(-1));
    },
    noticed: /stays locked though t of its servers remember|though n servers can be reached/,
    seed: 2,
  },
  {
    fault: 'a server does not wait for the delay',
    putIn: () => {
      const { granting } = FleetKeeper.prototype;
      vi.spyOn(FleetKeeper.prototype, 'granting').mockImplementation(function (this: FleetKeeper, time) {
        return granting.call(this, { ...time, chainMs: time.chainMs + 3_600_000 });
      });
    },
    noticed: /gave .* a key under a release that it may not accept/,
    seed: 2,
  },
  {
    fault: 'what was permitted once stays permitted',
    putIn: () => {
      const once = new WeakMap<FleetKeeper, FleetInForce[]>();
      const { granting } = FleetKeeper.prototype;
      vi.spyOn(FleetKeeper.prototype, 'granting').mockImplementation(function (this: FleetKeeper, time) {
        const now = granting.call(this, time);
        const all = [...(once.get(this) ?? []), now];
        once.set(this, all);
        return {
          ...now,
          trustHashes: all.flatMap(({ trustHashes }) => trustHashes),
          measurements: all.flatMap(({ measurements }) => measurements),
        };
      });
    },
    noticed: /gave .* a key under a release that it may not accept/,
    seed: 5,
  },
];

/** At most this number of lives passes until a fault is noticed; the first one shows it as long as the schedule stays as it is. */
const MAX_LIVES = 12;

describe('the invariants notice faults of a fleet that moves', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(controls)('$fault', { timeout: 400_000 }, async ({ putIn, noticed, seed }) => {
    putIn();
    const found: string[] = [];
    for (let life = seed; life < seed + MAX_LIVES && !found.some((text) => noticed.test(text)); life++)
      found.push(...(await runSchedule(life, { moving: true, thorough: false })).violations);
    expect(found).toContainEqual(expect.stringMatching(noticed));
  });
});
