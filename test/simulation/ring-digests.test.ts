import { describe, expect, it, vi } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { RingReply, RingRequest } from '../../src/ring/replication/messages.ts';
import { MAX_QUESTIONS } from '../../src/ring/replication/repair.ts';
import type { RingNode } from '../../src/ring/replication/ring-node.ts';
import { Dice } from '../support/dice.ts';
import { ringRecord, versionOf } from '../support/ring-records.ts';
import { type Machine, SimulatedRing } from '../support/simulated-ring.ts';

const LONG = { timeout: 300_000 };
const DAY_MS = 86_400_000;

/** Four members, so that all hold all, with records of version 1 everywhere. */
async function four(seed: number, records = 100) {
  const dice = new Dice(seed);
  const ring = new SimulatedRing(dice);
  await ring.found(4);
  const machines = [...ring.machines.values()];
  const ids = Array.from({ length: records }, () => RecordId.of(dice.bytes(32)));
  const expiry = ring.time.nowMs() + DAY_MS;
  for (const id of ids) await ring.until(nodeOf(machines[0]).write(ringRecord(id, 1, expiry)));
  await ring.rounds(2);
  const [id = expect.fail('no id')] = ids;
  return { dice, ring, machines, ids, id, expiry };
}

const nodeOf = (machine: Machine | undefined): RingNode => machine?.node ?? expect.fail('it does not run');

const versionAt = ({ store }: Machine, id: Uint8Array): number => {
  const bytes = store.records.get(toHex(id));
  return bytes === undefined ? 0 : versionOf({ bytes });
};

/** A node answers what it is told to. @param lie `undefined` for the honest answer. */
function makeLie(node: RingNode, lie: (request: RingRequest) => RingReply | undefined): { asked: number } {
  const honest = node.answer.bind(node);
  const count = { asked: 0 };
  vi.spyOn(node, 'answer').mockImplementation(async (from, request) => {
    count.asked += 1;
    const answer = await honest(from, request);
    const message = lie(request.message);
    return message === undefined ? answer : { ...answer, message };
  });
  return count;
}

describe('remembered digests', () => {
  it('a member that says that all is the same hides its own records only', LONG, async () => {
    const { ring, machines, id } = await four(1);
    const [liar = expect.fail('no machine'), poor = expect.fail('no machine'), ...others] = machines;
    const held = poor.store.records.get(toHex(id)) ?? expect.fail('it is not there');
    poor.store.records.delete(toHex(id));
    ring.stop(poor);
    await ring.start(poor);
    makeLie(nodeOf(liar), ({ kind }) => (kind === 'compare' ? { kind: 'same' } : undefined));
    await ring.until(nodeOf(poor).repair());
    expect(poor.store.records.get(toHex(id))).toEqual(held);
    expect(others.every((machine) => versionAt(machine, id) === 1)).toBe(true);
  });

  it(
    'a member that finds a difference below every prefix ends no round late, and stops no other',
    LONG,
    async () => {
      const { dice, ring, machines, id } = await four(2);
      const [liar = expect.fail('no machine'), poor = expect.fail('no machine')] = machines;
      poor.store.records.delete(toHex(id));
      ring.stop(poor);
      await ring.start(poor);
      const count = makeLie(nodeOf(liar), ({ kind }) =>
        kind === 'compare'
          ? { kind: 'split', digests: Array.from({ length: 16 }, () => toHex(dice.bytes(32))) }
          : undefined,
      );
      expect(await ring.until(nodeOf(poor).repair())).toBe(false);
      expect(count.asked).toBeLessThanOrEqual(MAX_QUESTIONS);
      expect(versionAt(poor, id)).toBe(1);
      expect(nodeOf(poor).isReady).toBe(true);
    },
  );

  it('more differences than one round has questions for are settled in the next ones', LONG, async () => {
    const dice = new Dice(3);
    const ring = new SimulatedRing(dice);
    await ring.found(2);
    const [rich = expect.fail('no machine'), poor = expect.fail('no machine')] = ring.machines.values();
    // 66 records below each of 64 prefixes: two more than one answer lists, so each takes 17 questions.
    for (let at = 0; at < 64 * 66; at++) {
      const id = dice.bytes(32);
      id[0] = ((at % 16) << 4) | (Math.floor(at / 16) % 4);
      rich.store.records.set(toHex(id), ringRecord(id, 1, ring.time.nowMs() + DAY_MS));
    }
    for (const machine of [rich, poor]) {
      ring.stop(machine);
      await ring.start(machine);
    }
    const questions = () => makeLie(nodeOf(rich), () => undefined);
    const first = questions();
    expect(await ring.until(nodeOf(poor).repair())).toBe(false);
    const missing = rich.store.records.size - poor.store.records.size;
    expect(first.asked).toBeGreaterThanOrEqual(MAX_QUESTIONS);
    expect(missing).toBeGreaterThan(0);
    expect(missing).toBeLessThan(rich.store.records.size / 2);
    expect(await ring.until(nodeOf(poor).repair())).toBe(true);
    expect(poor.store.records).toEqual(rich.store.records);
  });

  it('a crash between a write and the note of it leaves a difference that repair finds', LONG, async () => {
    const { ring, machines, id, expiry } = await four(4);
    const [crashed = expect.fail('no machine'), ...others] = machines;
    // It is durable, and the process ends before it knows.
    const { put } = crashed.store;
    crashed.store.put = (name, bytes) => {
      crashed.store.records.set(name, bytes);
      return new Promise(() => undefined);
    };
    for (const machine of others) ring.sides.set(toHex(machine.member.account), 1);
    void nodeOf(crashed)
      .write(ringRecord(id, 2, expiry))
      .catch(() => undefined);
    await ring.time.advance(10_000);
    expect(machines.map((machine) => versionAt(machine, id))).toEqual([2, 1, 1, 1]);
    ring.stop(crashed);
    crashed.store.put = put;
    ring.sides.clear();
    await ring.start(crashed);
    await ring.rounds(2);
    expect(machines.map((machine) => versionAt(machine, id))).toEqual([2, 2, 2, 2]);
  });

  it('a write that failed is no record that a member has', LONG, async () => {
    const { ring, machines, id, expiry } = await four(5);
    const [full = expect.fail('no machine'), other] = machines;
    const { put } = full.store;
    full.store.put = () => Promise.reject(new Error('no space'));
    await ring.until(nodeOf(other).write(ringRecord(id, 2, expiry)));
    await ring.time.advance(1_000);
    full.store.put = put;
    await ring.rounds(2);
    expect(machines.map((machine) => versionAt(machine, id))).toEqual([2, 2, 2, 2]);
  });

  it.each([
    ['that its operator accepted', -1],
    ['that nothing shows to be old', undefined],
  ])('a disk that went back, %s, is compared as it is', LONG, async (_, complete) => {
    const { ring, machines, ids, expiry } = await four(6);
    const [old = expect.fail('no machine'), other] = machines;
    const before = new Map(old.store.records);
    for (const id of ids.slice(0, 10)) await ring.until(nodeOf(other).write(ringRecord(id, 2, expiry)));
    await ring.rounds(2);
    expect(versionAt(old, ids[0] ?? new Uint8Array(32))).toBe(2);
    ring.stop(old);
    old.store.records.clear();
    for (const [id, bytes] of before) old.store.records.set(id, bytes);
    if (complete !== undefined) old.kept = { ...old.kept, complete };
    await ring.start(old);
    await ring.rounds(2);
    for (const [at, id] of ids.entries())
      expect(machines.map((machine) => versionAt(machine, id))).toEqual(Array(4).fill(at < 10 ? 2 : 1));
  });

  it.each([
    ['an older record', 1],
    ['no record', undefined],
  ])(
    'a disk that has %s under a running node is no answer, and is repaired once that shows',
    LONG,
    async (_, version) => {
      const { ring, machines, id, expiry } = await four(7);
      const [old = expect.fail('no machine'), other = expect.fail('no machine')] = machines;
      await ring.until(nodeOf(other).write(ringRecord(id, 2, expiry)));
      await ring.rounds(2);
      if (version === undefined) old.store.records.delete(toHex(id));
      else old.store.records.set(toHex(id), ringRecord(id, version, expiry));
      const { entry } = await ring.until(nodeOf(old).read(id));
      expect(entry === undefined ? undefined : versionOf(entry)).toBe(2);
      await ring.rounds(1);
      expect(machines.map((machine) => versionAt(machine, id))).toEqual([2, 2, 2, 2]);
    },
  );
});
