import { describe, expect, it, vi } from 'vitest';
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

  it('are asked for by members that are not complete, and by no others', async () => {
    const ring = new SimulatedRing(new Dice(9));
    await ring.found(4);
    const askers = new Set<string>();
    for (const { node } of ring.running()) {
      const honest = node?.answer.bind(node) ?? expect.fail('it does not run');
      vi.spyOn(node ?? expect.fail('none'), 'answer').mockImplementation((from, request) => {
        if (request.message.kind === 'marks') askers.add(from);
        return honest(from, request);
      });
    }
    await ring.rounds(3);
    expect(askers.size).toBe(0);
    const joiner = await ring.join();
    await ring.rounds(3);
    expect(askers).toContain(toHex(joiner.member.account));
  });

  it.each([
    ['stay for a while', true],
    ['are gone', false],
  ])('are met after one change that replaced two of their holders, which %s', async (_, isStaying) => {
    const dice = new Dice(8);
    const ring = new SimulatedRing(dice);
    await ring.found(6);
    const id = RecordId.of(dice.bytes(32));
    const nearest = [...ring.view.placement.nearest(id)].map(({ account }) => toHex(account));
    const [first, second, third, slept, fifth, sixth] = nearest.map(
      (account) => ring.machines.get(account) ?? expect.fail(account),
    );
    if (first === undefined || second === undefined || third === undefined) return expect.fail('too few');
    if (slept === undefined || fifth === undefined || sixth === undefined) return expect.fail('too few');
    const mark = toHex(dice.bytes(32));
    const attempt = toHex(dice.bytes(16));
    ring.sides.set(toHex(slept.member.account), 1);
    expect(await claim(ring, first, id, mark, attempt)).toBe(true);
    ring.sides.clear();
    expect(slept.marks.claimed.has(mark)).toBe(false);
    ring.change(
      ring.view.placement.members.filter((member) => ![first.member, second.member].includes(member)),
    );
    if (!isStaying) for (const machine of [first, second]) ring.stop(machine);
    for (let round = 0; round < 10 && sixth.node?.view.block !== ring.view.block; round++)
      await ring.rounds(1);
    await ring.rounds(2);
    expect(sixth.node?.view.block).toBe(ring.view.block);
    // The one holder of the former four that has it is slow: three of four are enough for a mark.
    ring.sides.set(toHex(third.member.account), 1);
    expect(await claim(ring, sixth, id, mark, toHex(dice.bytes(16)))).toBe(false);
  });
});
