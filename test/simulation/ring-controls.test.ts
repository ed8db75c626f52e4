import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import type { RingMember } from '../../src/ring/placement/member.ts';
import { Placement } from '../../src/ring/placement/placement.ts';
import { Dice } from '../support/dice.ts';
import { RingLife } from '../support/ring-life.ts';
import { ringRecord } from '../support/ring-records.ts';
import { SimulatedRing } from '../support/simulated-ring.ts';

// One holder is enough for a read: the rule that the invariants must miss.
vi.mock('../../src/ring/placement/configuration.ts', async (original) => ({
  ...(await original<typeof import('../../src/ring/placement/configuration.ts')>()),
  isRead: (_: unknown, answered: ReadonlySet<string>) => answered.size > 0,
}));

/** The first proposal: the node nearest to the record, and the nodes nearest to that one. */
class ProposedPlacement extends Placement {
  override replicasOf(id: Uint8Array): readonly RingMember[] {
    const [nearest] = super.replicasOf(id);
    return nearest === undefined ? [] : [...this.nearest(nearest.position)].slice(0, this.replicas);
  }
}

describe('the simulation finds what it looks for', () => {
  it('I9: random lives find a stale read when one answer is enough', { timeout: 600_000 }, async () => {
    const found: string[] = [];
    for (let seed = 9100; seed < 9140 && found.length === 0; seed++) {
      const life = new RingLife(seed);
      await life.live(5, 1);
      found.push(...life.violations.filter((violation) => violation.startsWith('I9')));
    }
    expect(found).not.toEqual([]);
  });

  it('I1: by the rule of the proposal the next nearest node misses records', {
    timeout: 600_000,
  }, async () => {
    const dice = new Dice(3);
    const misses = async (makePlacement: (members: readonly RingMember[]) => Placement) => {
      const ring = new SimulatedRing(dice, makePlacement);
      await ring.found(12);
      let missed = 0;
      for (let record = 0; record < 40; record++) {
        const id = dice.bytes(32);
        const [nearest, following] = [...ring.view.placement.nearest(id)].map(({ account }) =>
          toHex(account),
        );
        const node = ring.machines.get(nearest ?? '')?.node;
        const bytes = ringRecord(id, 1, ring.time.nowMs() + 1_000_000);
        await ring.until(node?.write(bytes) ?? expect.fail('it does not run'));
        await ring.time.advance(100);
        if (ring.machines.get(following ?? '')?.store.records.has(toHex(id)) !== true) missed++;
      }
      return missed;
    };
    expect(await misses((members) => new ProposedPlacement(members, 2))).toBeGreaterThan(2);
    expect(await misses((members) => new Placement(members, 2))).toBe(0);
  });
});
