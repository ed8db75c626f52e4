import { describe, expect, it } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { Dice } from '../support/dice.ts';
import { type Machine, SimulatedRing } from '../support/simulated-ring.ts';

const LONG = { timeout: 120_000 };

/** Whether an attempt has the mark; `undefined` when the ring cannot say. */
const claim = (ring: SimulatedRing, { node }: Machine, id: RecordId, mark: string, attempt: string) =>
  ring.until(node?.mark(id, mark, attempt) ?? expect.fail('it does not run')).catch(() => undefined);

describe('marks in a ring', LONG, () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'belong to at most one of many attempts at once, in bad weather (%i)',
    async (seed) => {
      const dice = new Dice(seed);
      const ring = new SimulatedRing(dice);
      await ring.found(7);
      ring.weather = { lost: 5, repeated: 5, mostDelayMs: 400 };
      let claimed = 0;
      for (let round = 0; round < 12; round++) {
        const id = RecordId.of(dice.bytes(32));
        const mark = toHex(dice.bytes(32));
        const machines = dice.shuffled(ring.running()).slice(0, 3);
        const asked = machines.map((machine) => claim(ring, machine, id, mark, toHex(dice.bytes(16))));
        const won = (await Promise.all(asked)).filter((has) => has === true);
        expect(won.length).toBeLessThanOrEqual(1);
        claimed += won.length;
        // A late attempt never has what another one has.
        const late = await claim(
          ring,
          machines[0] ?? expect.fail('no machine'),
          id,
          mark,
          toHex(dice.bytes(16)),
        );
        if (won.length === 1) expect(late).not.toBe(true);
      }
      expect(claimed).toBeGreaterThan(0);
    },
  );

  it('are met by a later attempt while a member joins', async () => {
    const dice = new Dice(7);
    const ring = new SimulatedRing(dice);
    await ring.found(4);
    for (let round = 0; round < 6; round++) {
      const id = RecordId.of(dice.bytes(32));
      const mark = toHex(dice.bytes(32));
      const [machine] = ring.running();
      if (machine === undefined) return expect.fail('no machine');
      expect(await claim(ring, machine, id, mark, toHex(dice.bytes(16)))).toBe(true);
      const joined = await ring.join();
      const early = await claim(ring, machine, id, mark, toHex(dice.bytes(16)));
      expect(early).not.toBe(true);
      await ring.rounds(3);
      expect(await claim(ring, joined, id, mark, toHex(dice.bytes(16)))).toBe(false);
    }
  });
});
