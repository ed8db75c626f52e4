import { describe, expect, it } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { FromNode, RingReply, RingRequest } from '../../src/ring/replication/messages.ts';
import type { RingNode } from '../../src/ring/replication/ring-node.ts';
import { Dice } from '../support/dice.ts';
import { ringRecord } from '../support/ring-records.ts';
import { type Machine, SimulatedRing } from '../support/simulated-ring.ts';

const LONG = { timeout: 120_000 };
const DAY_MS = 86_400_000;

const nodeOf = ({ node }: Machine | { node?: RingNode }): RingNode => node ?? expect.fail('it does not run');
const nameOf = ({ member }: Machine): string => toHex(member.account);

/** A ring whose operators take records only where the first byte of the id is below 128. */
async function boundedRing(count: number, seed: number) {
  const dice = new Dice(seed);
  const ring = new SimulatedRing(dice);
  await ring.found(count);
  const id = (first: number) => {
    const bytes = dice.bytes(32);
    bytes[0] = first;
    return RecordId.of(bytes);
  };
  const bind = () => {
    for (const machine of ring.machines.values())
      machine.isWithinBounds = (entry) => (entry.id[0] ?? 0) < 128;
  };
  const record = (of: RecordId, version = 1) => ringRecord(of, version, ring.time.nowMs() + DAY_MS);
  return { ring, id, bind, record };
}

const has = (machine: Machine, id: RecordId): boolean => machine.store.records.has(toHex(id));

/** A member that has a record of its own making, and brings it to the others in every way that there is. */
function bring(ring: SimulatedRing, liar: Machine, id: RecordId, bytes: Uint8Array) {
  const block = ring.view.block;
  const status = { adopted: block, complete: block, draining: false, tooOld: [] };
  const order = 'ff'.repeat(16);
  const count = { fetched: 0 };
  const says = async (_from: string, { message }: FromNode<RingRequest>): Promise<FromNode<RingReply>> => {
    const answer = (): RingReply => {
      if (message.kind === 'compare') return { kind: 'list', listed: [[toHex(id), order]] };
      if (message.kind === 'marks') return { kind: 'marks', marks: [], upTo: '' };
      if (message.kind !== 'fetch') return { kind: 'done' };
      count.fetched += 1;
      return { kind: 'records', records: [bytes] };
    };
    return { status, message: answer() };
  };
  liar.node = {
    view: ring.view,
    status: () => status,
    advance: () => undefined,
    adopt: () => undefined,
    repair: async () => true,
    answer: says,
  } as unknown as RingNode;
  const tell = async (to: Machine, message: RingRequest) =>
    (await nodeOf(to).answer(nameOf(liar), { status, message })).message;
  return { count, tell };
}

describe('a record beyond the bounds of the operators', LONG, () => {
  it('that one member made up gets to no other, and holds up no joiner', async () => {
    const { ring, id, bind, record } = await boundedRing(4, 51);
    const joiner = await ring.join();
    bind();
    const [liar = expect.fail('none'), ...honest] = ring.running();
    const madeUp = id(200);
    const { count, tell } = bring(ring, liar, madeUp, record(madeUp));
    await ring.rounds(3);
    for (const machine of honest) {
      const configuration = [
        ring.view.placement.replicasOf(madeUp).map(({ account }) => toHex(account)),
      ] as const;
      const isHolder = configuration[0].includes(nameOf(machine));
      expect(await tell(machine, { kind: 'store', configuration, bytes: record(madeUp) })).toEqual({
        kind: 'refused',
        code: isHolder ? 'RING_RECORD_REFUSED' : 'RING_OTHER_CONFIGURATION',
      });
      expect(await tell(machine, { kind: 'push', records: [record(madeUp)] })).toEqual({ kind: 'done' });
    }
    const fetched = count.fetched;
    expect(fetched).toBeGreaterThan(0);
    await ring.rounds(5);
    // It is not fetched again and again either.
    expect(count.fetched).toBe(fetched);
    expect(honest.filter((machine) => has(machine, madeUp))).toEqual([]);
    expect(nodeOf(joiner).isReady).toBe(true);
  });

  it('that was acknowledged before gets to one that slept, to a joiner, and to all after a blackout', async () => {
    const { ring, id, bind, record } = await boundedRing(4, 52);
    const [slept = expect.fail('none'), writer = expect.fail('none')] = ring.running();
    ring.stop(slept);
    const genuine = id(201);
    await ring.until(nodeOf(writer).write(record(genuine)));
    bind();
    await ring.start(slept);
    await ring.rounds(2);
    expect(has(slept, genuine)).toBe(true);
    const joiner = await ring.join();
    bind();
    await ring.rounds(4);
    expect(nodeOf(joiner).isReady).toBe(true);
    for (const machine of ring.running()) ring.stop(machine);
    for (const machine of ring.machines.values()) await ring.start(machine);
    await ring.rounds(3);
    const holders = ring.view.placement.replicasOf(genuine).map(({ account }) => toHex(account));
    expect(holders.map((name) => has(ring.machines.get(name) ?? expect.fail(name), genuine))).toEqual(
      holders.map(() => true),
    );
  });

  it('is copied from the one holder that is left', async () => {
    const { ring, id, bind, record } = await boundedRing(4, 53);
    const genuine = id(202);
    const [last = expect.fail('none'), ...lost] = ring.running();
    await ring.until(nodeOf(last).write(record(genuine)));
    await ring.rounds(2);
    bind();
    for (const machine of lost) {
      ring.stop(machine);
      machine.store.records.clear();
      machine.kept = { ...machine.kept, complete: -1 };
    }
    for (const machine of lost) await ring.start(machine);
    await ring.rounds(4);
    expect(lost.map((machine) => has(machine, genuine))).toEqual(lost.map(() => true));
  });

  it('is refused to its user when no majority has room, and written when one has', async () => {
    const { ring, id, bind, record } = await boundedRing(4, 54);
    bind();
    const [writer = expect.fail('none'), second = expect.fail('none'), third] = ring.running();
    writer.isWithinBounds = second.isWithinBounds = () => true;
    await expect(ring.until(nodeOf(writer).write(record(id(203))))).rejects.toMatchObject({
      code: 'RING_RECORD_REFUSED',
    });
    if (third !== undefined) third.isWithinBounds = () => true;
    const [written, within] = [id(204), id(3)];
    expect(await ring.until(nodeOf(writer).write(record(written)))).toEqual({ kind: 'written' });
    expect(await ring.until(nodeOf(writer).write(record(within)))).toEqual({ kind: 'written' });
    await ring.rounds(2);
    expect(ring.running().every((machine) => has(machine, written) && has(machine, within))).toBe(true);
  });
});
