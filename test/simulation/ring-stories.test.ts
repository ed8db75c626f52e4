import { describe, expect, it } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { TOO_OLD_MS } from '../../src/ring/replication/holdings.ts';
import { Dice } from '../support/dice.ts';
import { ringRecord, versionOf } from '../support/ring-records.ts';
import { type Machine, SimulatedRing } from '../support/simulated-ring.ts';

const LONG = { timeout: 300_000 };
const DAY_MS = 86_400_000;

/** A ring with records of version 1, one for each id. */
async function ringWith(members: number, records: number, seed = 1) {
  const dice = new Dice(seed);
  const ring = new SimulatedRing(dice);
  await ring.found(members);
  const ids = Array.from({ length: records }, () => RecordId.of(dice.bytes(32)));
  for (const id of ids) await write(ring, nearest(ring, id), id, 1);
  return { ring, ids, dice };
}

function nearest(ring: SimulatedRing, id: Uint8Array): Machine {
  const names = [...ring.view.placement.nearest(id)].map(({ account }) => toHex(account));
  const machines = names
    .map((name) => ring.machines.get(name))
    .filter((machine) => machine?.node !== undefined);
  return machines[0] ?? expect.fail('no machine runs');
}

const write = (
  ring: SimulatedRing,
  { node }: Machine,
  id: Uint8Array,
  version: number,
  isDeleted = false,
) => {
  const expiry = ring.time.nowMs() + DAY_MS;
  return ring.until(
    node?.write(ringRecord(id, version, expiry, isDeleted)) ?? expect.fail('it does not run'),
  );
};

/** The version that a node reads; negative for a tombstone. */
async function read(ring: SimulatedRing, { node }: Machine, id: RecordId): Promise<number | undefined> {
  const { entry } = await ring.until(node?.read(id) ?? expect.fail('it does not run'));
  return entry === undefined ? undefined : versionOf(entry);
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  );

/** Whether every holder of every id has this version. */
function allHold(ring: SimulatedRing, ids: readonly Uint8Array[], version: number): boolean {
  return ids.every((id) =>
    ring.view.placement.replicasOf(id).every(({ account }) => {
      const bytes = ring.machines.get(toHex(account))?.store.records.get(toHex(id));
      return bytes !== undefined && versionOf({ bytes }) === version;
    }),
  );
}

describe('a ring of nodes', () => {
  it(
    'stores at a majority, repairs the rest, and sends next to nothing when nothing changes',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(7, 40);
      await ring.rounds(2);
      expect(allHold(ring, ids, 1)).toBe(true);
      for (const id of ids.slice(0, 5)) expect(await read(ring, nearest(ring, id), id)).toBe(1);
      ring.sentBytes = 0;
      await ring.rounds(1);
      // Six neighbours, each with one digest and one short message; each node begins one comparison with each.
      expect(ring.sentBytes / (7 * 6)).toBeLessThan(300);
    },
  );

  it('I1: whichever node leaves, the next nearest one holds all that is its', LONG, async () => {
    const { ring, ids } = await ringWith(8, 30, 2);
    await ring.rounds(2);
    for (const machine of [...ring.machines.values()].slice(0, 3)) {
      ring.leave(machine);
      for (const id of ids) {
        const [following] = ring.view.placement.nearest(id);
        const held = ring.machines.get(toHex(following?.account ?? id))?.store.records.get(toHex(id));
        expect(held).toBeDefined();
      }
      await ring.rounds(3);
      ring.stop(machine);
      expect(allHold(ring, ids, 1)).toBe(true);
    }
  });

  it('I2: w − 1 machines that are lost at once take nothing acknowledged with them', LONG, async () => {
    const { ring, ids } = await ringWith(7, 30, 3);
    // No repair yet: some records are at three of their four holders only.
    const lost = [...ring.machines.values()].slice(0, 2);
    for (const machine of lost) ring.stop(machine);
    ring.change(
      ring.view.placement.members.filter((member) => lost.every((machine) => machine.member !== member)),
    );
    await ring.rounds(6);
    expect(allHold(ring, ids, 1)).toBe(true);
    for (const id of ids) expect(await read(ring, nearest(ring, id), id)).toBe(1);
  });

  it('I2, X4: after repair k − 1 lost at once take nothing with them', LONG, async () => {
    const { ring, ids } = await ringWith(8, 30, 4);
    await ring.rounds(2);
    const lost = [...ring.machines.values()].slice(0, 3);
    for (const machine of lost) ring.stop(machine);
    ring.change(
      ring.view.placement.members.filter((member) => lost.every((machine) => machine.member !== member)),
    );
    await ring.rounds(6);
    expect(allHold(ring, ids, 1)).toBe(true);
  });

  it(
    'I4, X8: two sides of a partition converge to the newest, and a minority writes nothing',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(5, 20, 5);
      await ring.rounds(1);
      const machines = [...ring.machines.values()];
      for (const machine of machines.slice(0, 2)) ring.sides.set(toHex(machine.member.account), 1);
      const [minority = expect.fail('no machine'), , majority = expect.fail('no machine')] = machines;
      let written = 0;
      for (const id of ids) {
        const late = ringRecord(id, 2, ring.time.nowMs() + DAY_MS);
        expect(await codeOf(ring.until(minority.node?.write(late) ?? expect.fail('it does not run')))).toBe(
          'RING_QUORUM_MISSING',
        );
        if ((await codeOf(write(ring, majority, id, 3))) === 'none') written++;
      }
      expect(written).toBeGreaterThan(0);
      ring.sides.clear();
      await ring.rounds(3);
      for (const id of ids) {
        const versions = machines
          .map(({ store }) => store.records.get(toHex(id)))
          .filter((bytes) => bytes !== undefined);
        expect(new Set(versions.map((bytes) => versionOf({ bytes }))).size).toBe(1);
      }
    },
  );

  it(
    'I5, X5: a node that joins serves nobody until it has everything, and then holds all that is its',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(6, 30, 6);
      await ring.rounds(1);
      const machine = await ring.join();
      expect(await codeOf(read(ring, machine, ids[0] ?? expect.fail('no id')))).toBe('RING_NOT_READY');
      ring.hearChain(machine);
      expect(machine.node?.isReady).toBe(false);
      await ring.rounds(4);
      expect(machine.node?.isReady).toBe(true);
      expect(allHold(ring, ids, 1)).toBe(true);
      for (const id of ids) expect(await read(ring, machine, id)).toBe(1);
    },
  );

  it(
    'I6, X10: a node that the chain does not show is refused, and forged records reach nobody',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(5, 5, 7);
      const [machine = expect.fail('no machine')] = ring.running();
      const status = { adopted: 99, complete: 99, draining: false, tooOld: [] };
      const stranger = 'ee'.repeat(32);
      const answer = await machine.node?.answer(stranger, {
        status,
        message: { kind: 'fetch', ids: ids.map(toHex) },
      });
      expect(answer?.message).toEqual({ kind: 'refused', code: 'RING_NOT_MEMBER' });
      const [, other = expect.fail('no machine')] = ring.running();
      const forged = ringRecord(ids[0] ?? expect.fail('no id'), 9, 9);
      forged[33] = 1;
      const push = {
        status: { ...status, adopted: 1, complete: 1 },
        message: { kind: 'push', records: [forged] },
      } as const;
      await expect(machine.node?.answer(toHex(other.member.account), push)).rejects.toThrow('forged');
      expect(await codeOf(machine.node?.write(forged) ?? expect.fail('it does not run'))).toBe(
        'SECRET_SIGNATURE_INVALID',
      );
    },
  );

  it('I8, X13: every node is restarted, one after another, and nothing is lost', LONG, async () => {
    const { ring, ids } = await ringWith(6, 20, 8);
    for (const machine of [...ring.machines.values()]) {
      ring.stop(machine);
      for (const id of ids.slice(0, 3)) await codeOf(write(ring, nearest(ring, id), id, 2));
      await ring.start(machine);
      await ring.rounds(1);
    }
    for (const id of ids.slice(0, 3)) expect(await read(ring, nearest(ring, id), id)).toBe(2);
    expect(allHold(ring, ids.slice(3), 1)).toBe(true);
  });

  it('X6: a node that drains hands its records over; then it leaves at no risk', LONG, async () => {
    const { ring, ids } = await ringWith(7, 30, 9);
    await ring.rounds(1);
    const [machine = expect.fail('no machine')] = ring.running();
    const { node } = machine;
    let isDone = false;
    for (let turn = 0; turn < 5 && !isDone; turn++) {
      isDone = await ring.until(node?.drain() ?? expect.fail('it does not run'));
      await ring.rounds(1);
    }
    expect(isDone).toBe(true);
    ring.stop(machine);
    ring.leave(machine);
    // All new holders have everything before anything else happens.
    expect(allHold(ring, ids, 1)).toBe(true);
    await ring.rounds(4);
    expect(ring.running().every((each) => each.node?.isReady)).toBe(true);
  });

  it(
    'X6: a node that drains is not done while one that it does not hear may lack its records',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(7, 10, 17);
      await ring.rounds(1);
      const [id = expect.fail('no id')] = ids;
      const holders = ring.view.placement.replicasOf(id).map(({ account }) => toHex(account));
      const machineAt = (at: number) => ring.machines.get(holders[at] ?? '') ?? expect.fail('no machine');
      const [leaver, deaf] = [machineAt(0), machineAt(1)];
      // It is cut off while a record is written, and comes to nobody's notice before the drain begins.
      ring.sides.set(toHex(deaf.member.account), 1);
      await write(ring, leaver, id, 2);
      const others = () =>
        [...ring.machines.values()].filter(({ store }) => {
          const bytes = store.records.get(toHex(id));
          return bytes !== undefined && versionOf({ bytes }) === 2;
        }).length - 1;
      let isDone = false;
      for (let turn = 0; turn < 8 && !isDone; turn++) {
        isDone = await ring.until(leaver.node?.drain() ?? expect.fail('it does not run'));
        if (isDone) expect(others()).toBeGreaterThanOrEqual(4);
        for (const machine of ring.running())
          if (machine !== leaver) await ring.until(machine.node?.repair() ?? expect.fail('it does not run'));
      }
      expect(isDone).toBe(true);
      expect(others()).toBeGreaterThanOrEqual(4);
    },
  );

  it('X6: two nodes that drain at once hand over to members that stay', LONG, async () => {
    for (let seed = 20; seed < 26; seed++) {
      const { ring, ids } = await ringWith(8, 10, seed);
      await ring.rounds(1);
      const [id = expect.fail('no id')] = ids;
      const [a, b] = ring.view.placement
        .replicasOf(id)
        .map(({ account }) => ring.machines.get(toHex(account)));
      const leavers = [a, b].filter((machine) => machine !== undefined);
      const copies = () =>
        ring.running().filter((each) => !leavers.includes(each) && each.store.records.has(toHex(id))).length;
      const drain = async ({ node }: Machine) => {
        for (let turn = 0; turn < 8; turn++) if (await node?.drain()) return copies();
        return -1;
      };
      expect(await ring.until(Promise.all(leavers.map(drain)))).toEqual([4, 4]);
    }
  });

  it('what was handed over is kept by members that have not asked the draining one yet', LONG, async () => {
    const { ring, ids } = await ringWith(7, 10, 18);
    await ring.rounds(1);
    const [leaver = expect.fail('no machine')] = ring.running();
    for (let turn = 0; turn < 4; turn++)
      await ring.until(leaver.node?.drain() ?? expect.fail('it does not run'));
    const name = toHex(leaver.member.account);
    const copies = () =>
      ids.map((id) => [...ring.machines.values()].filter(({ store }) => store.records.has(toHex(id))).length);
    const before = copies();
    expect(Math.max(...before)).toBe(5);
    // It answers nobody any more: the others heard of the drain by its own questions only.
    ring.sides.set(name, 1);
    for (const machine of ring.running())
      if (machine !== leaver) await ring.until(machine.node?.repair() ?? expect.fail('it does not run'));
    expect(copies()).toEqual(before);
  });

  it(
    'while a member is silent, another one holds copies in its place, and drops them when it is back',
    LONG,
    async () => {
      const { ring, ids } = await ringWith(7, 20, 10);
      await ring.rounds(1);
      const [machine = expect.fail('no machine')] = ring.running();
      const copies = () =>
        [...ring.machines.values()].reduce((sum, { store }) => sum + store.records.size, 0);
      const before = copies();
      ring.stop(machine);
      await ring.rounds(5);
      const its = ids.filter((id) => ring.view.placement.replicasOf(id).includes(machine.member)).length;
      expect(copies()).toBe(before + its);
      await ring.start(machine);
      await ring.rounds(3);
      expect(copies()).toBe(before);
    },
  );
});

describe('I3, X7: a deleted record', () => {
  const holds = (id: Uint8Array) => (machine: Machine) => machine.store.records.has(toHex(id));

  /** A node is away while a record is deleted, expires and is purged. */
  async function awayDuringPurge(seed: number, goAway: (ring: SimulatedRing, machine: Machine) => void) {
    const { ring, ids } = await ringWith(5, 3, seed);
    await ring.rounds(2);
    const [id = expect.fail('no id')] = ids;
    const sleeper = nearest(ring, id);
    goAway(ring, sleeper);
    const other = ring.running().find((machine) => machine !== sleeper) ?? expect.fail('no machine');
    await write(ring, other, id, 2, true);
    await passTime(ring);
    expect(
      ring
        .running()
        .filter((machine) => machine !== sleeper)
        .some(holds(id)),
    ).toBe(false);
    expect(holds(id)(sleeper)).toBe(true);
    return { ring, id, sleeper };
  }
  /** Long enough for a purge, with repairs now and then. */
  async function passTime(ring: SimulatedRing) {
    await ring.rounds(1);
    for (let step = 0; step < 8; step++) {
      await ring.time.advance(TOO_OLD_MS / 4);
      await ring.rounds(1);
    }
  }
  const sleep = (ring: SimulatedRing, machine: Machine) => ring.stop(machine);
  const cutOff = (ring: SimulatedRing, machine: Machine) => {
    ring.sides.set(toHex(machine.member.account), 1);
    machine.followsChain = false;
  };

  it('does not come back with a node that slept until it was purged', LONG, async () => {
    const { ring, id, sleeper } = await awayDuringPurge(11, sleep);
    await ring.start(sleeper);
    expect(await codeOf(read(ring, sleeper, id))).toBe('RING_NOT_READY');
    for (const machine of ring.running())
      if (machine !== sleeper) expect(await read(ring, machine, id)).toBeUndefined();
    await ring.rounds(4);
    expect([...ring.machines.values()].some(holds(id))).toBe(false);
    expect(await read(ring, sleeper, id)).toBeUndefined();
  });

  it(
    'is not read at a node that was cut off until it was purged, and does not come back with it',
    LONG,
    async () => {
      const { ring, id, sleeper } = await awayDuringPurge(14, cutOff);
      ring.sides.clear();
      expect(await codeOf(read(ring, sleeper, id))).toBe('RING_QUORUM_MISSING');
      await ring.rounds(4);
      expect([...ring.machines.values()].some(holds(id))).toBe(false);
      expect(await read(ring, sleeper, id)).toBeUndefined();
    },
  );

  it('does not come back by a node that joins after it was purged', LONG, async () => {
    const { ring, id, sleeper } = await awayDuringPurge(15, sleep);
    const joiner = await ring.join();
    await ring.start(sleeper);
    await ring.rounds(6);
    expect([...ring.machines.values()].some(holds(id))).toBe(false);
    expect(joiner.node?.isReady).toBe(true);
    expect(await read(ring, joiner, id)).toBeUndefined();
  });

  it('stays deleted through a long sleep of all nodes, and what was not deleted stays', LONG, async () => {
    const { ring, ids } = await ringWith(5, 6, 16);
    const [id = expect.fail('no id'), ...others] = ids;
    await write(ring, nearest(ring, id), id, 2, true);
    for (const machine of ring.running()) ring.stop(machine);
    await ring.time.advance(5 * TOO_OLD_MS);
    for (const machine of ring.machines.values()) await ring.start(machine);
    await ring.rounds(3);
    expect(await read(ring, nearest(ring, id), id)).toBe(-2);
    for (const other of others) expect(await read(ring, nearest(ring, other), other)).toBe(1);
  });

  it('does not come back when the clock of a host stands still', LONG, async () => {
    const { ring, ids } = await ringWith(5, 3, 12);
    const [id = expect.fail('no id')] = ids;
    const frozen = nearest(ring, id);
    frozen.followsChain = false;
    await ring.rounds(1);
    const sleeper = ring.running().find((each) => each !== frozen) ?? expect.fail('no machine');
    ring.stop(sleeper);
    await write(ring, nearest(ring, id), id, 2, true);
    await passTime(ring);
    await ring.start(sleeper);
    await ring.rounds(4);
    for (const machine of ring.running()) {
      const bytes = machine.store.records.get(toHex(id));
      expect(bytes === undefined || versionOf({ bytes }) === -2).toBe(true);
    }
  });

  it('stays deleted when an older record of it is written or pushed again', LONG, async () => {
    const { ring, ids } = await ringWith(5, 2, 13);
    const [id = expect.fail('no id')] = ids;
    await write(ring, nearest(ring, id), id, 2, true);
    expect(await write(ring, nearest(ring, id), id, 1)).toMatchObject({ kind: 'superseded' });
    await ring.rounds(2);
    expect(await read(ring, nearest(ring, id), id)).toBe(-2);
  });
});
