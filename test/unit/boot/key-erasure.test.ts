import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  HOUR_MS,
  left,
  leftBehind,
  lineage,
  nodeWith,
  obedient,
  otherProcess,
  serverOf,
  slotAt,
  unknown,
} from '../../support/erasing-node.ts';
import { enrol, enrolledServer } from '../../support/keyslot-fixtures.ts';
import { stateOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

describe('slots of a generation that was left behind', () => {
  it('are asked for at every look until their server answers, with the mark and the newest head', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    for (const _ of [1, 2]) {
      const looks = await node.run();
      for (const server of [1, 2, 3]) {
        const one = looks.find((ask) => ask.server === server && ask.update.forget.length > 0);
        expect(one?.update).toEqual({
          incarnation: node.hold.incarnation,
          head: node.hold.headOf(node.store.head()),
          forget: [slotAt(old, server).slotId],
          close: undefined,
        });
        expect(one?.key).toBe(toHex(lineage.keyOf(serverOf(server)).reveal()));
      }
    }
    expect(left(node.older)).toEqual([1, 2, 3]);
    node.answers.set(2, obedient(slotAt(old, 2).slotId));
    await node.run();
    expect(left(node.older)).toEqual([1, 3]);
    const later = await node.run();
    expect(later.filter(({ server, update }) => server === 2 && update.forget.length > 0)).toEqual([]);
  });

  it('are asked for after a restart of the node, too', async () => {
    const store = new MemoryStore();
    const old = await leftBehind();
    await (await nodeWith(store)).older.leave([old]);
    const again = await nodeWith(store);
    again.answers.set(1, obedient(slotAt(old, 1).slotId));
    await again.run();
    expect(left(again.older)).toEqual([2, 3]);
    expect(left((await nodeWith(store)).older)).toEqual([2, 3]);
  });

  it('stay open when the answer still shows them', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    node.answers.set(1, ({ incarnation }) => stateOf({ shown: incarnation, slots: [slotAt(old, 1).slotId] }));
    await node.run();
    expect(left(node.older)).toEqual([1, 2, 3]);
  });

  it('are never erased while they are in the keyslot file: the host may have put the older file back', async () => {
    const old = await leftBehind();
    const node = await nodeWith(
      new MemoryStore(),
      old.slots.map(({ slotId }) => slotId),
    );
    await node.older.leave([old]);
    for (const server of [1, 2, 3]) node.answers.set(server, obedient(slotAt(old, server).slotId));
    const ids = Object.fromEntries([1, 2, 3].map((server) => [server, [slotAt(old, server).slotId]]));
    for (const _ of [1, 2, 3]) await node.run([1, 2, 3], ids);
    expect(node.asked.flatMap(({ update }) => update.forget)).toEqual([]);
    expect(left(node.older)).toEqual([1, 2, 3]);
  });

  it('are erased only once all slots of the file live, where the file lacks the generation unexpectedly', async () => {
    const old = await leftBehind();
    const store = new MemoryStore();
    const node = await nodeWith(store);
    await node.older.make(old);
    node.older.compare(undefined);
    for (const server of [1, 2, 3]) node.answers.set(server, obedient(slotAt(old, server).slotId));
    for (const _ of [1, 2]) await node.run();
    expect(node.asked.flatMap(({ update }) => update.forget)).toEqual([]);
    expect(node.older.open).toHaveLength(1);
    for (const _ of [1, 2]) await node.run([1, 2, 3], { 9: [] });
    expect(left(node.older)).toEqual([]);
    const { older } = await nodeWith(store);
    older.compare(undefined);
    expect(left(older)).toEqual([]);
  });

  it('are lost when another process of their server is attested; "I know nothing" alone proves nothing', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    for (const server of [1, 2, 3]) {
      node.answers.set(server, () => {
        throw unknown();
      });
    }
    node.instances.set(1, slotAt(old, 1).instanceId);
    node.instances.set(2, otherProcess);
    await node.run();
    // The first is still the process that made the slot, and nothing was proved of the third.
    expect(left(node.older)).toEqual([1, 3]);
  });

  it('are asked for again when their server comes back to the chain', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    node.answers.set(2, obedient(slotAt(old, 2).slotId));
    await node.run([1, 3]);
    expect(left(node.older)).toEqual([1, 2, 3]);
    await node.run([1, 2, 3]);
    expect(left(node.older)).toEqual([1, 3]);
  });

  it('are given up when their server was missing from the chain for 90 days', async () => {
    const node = await nodeWith();
    await node.older.leave([await leftBehind()]);
    for (let day = 0; day <= 90; day++) await node.run([1, 3], {}, 24 * HOUR_MS);
    expect(left(node.older)).toEqual([1, 2, 3]);
    await node.run([1, 3], {}, 24 * HOUR_MS);
    expect(left(node.older)).toEqual([1, 3]);
  });

  it('stay when the host hides their servers and sets the clock ahead', async () => {
    const node = await nodeWith();
    await node.older.leave([await leftBehind()]);
    for (let look = 0; look < 200; look++) {
      await node.run([1, 3], {}, 1);
      node.clock.aheadMs += 24 * HOUR_MS;
    }
    expect(left(node.older)).toEqual([1, 2, 3]);
  });

  const fruitless = [
    'it does not answer',
    'it erases nothing',
    'it knows nothing, as the same process',
  ] as const;
  it.each(fruitless)('are asked for with growing pauses while that brings nothing: %s', async (why) => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    const { slotId, instanceId } = slotAt(old, 1);
    node.instances.set(1, instanceId);
    if (why !== 'it does not answer') {
      node.answers.set(1, ({ incarnation }) => {
        if (why === 'it erases nothing') return stateOf({ shown: incarnation, slots: [slotId] });
        throw unknown();
      });
    }
    let requests = 0;
    // The pauses are half of 10, 20, 40, … 400 milliseconds: the random bytes are zeros.
    for (let look = 0; look < 1_000; look++) requests += (await node.run([1], {}, 1)).length;
    expect(requests).toBeGreaterThan(7);
    expect(requests).toBeLessThan(14);
  });

  it('are asked for at the old pace once an answer has come', async () => {
    const node = await nodeWith();
    const [one, two] = [await leftBehind(), (await enrol({ t: 2, n: 3 }, { generation: 2 })).generation];
    await node.older.leave([one]);
    for (let look = 0; look < 200; look++) await node.run([1], {}, 5);
    node.answers.set(1, obedient(slotAt(one, 1).slotId));
    await node.run([1]);
    await node.older.leave([two]);
    node.answers.delete(1);
    expect(await node.run([1], {}, 1)).toHaveLength(1);
    expect(await node.run([1], {}, 5)).toHaveLength(1);
  });

  it('that made room in a long list are reported', async () => {
    const node = await nodeWith();
    const made = Array.from({ length: 257 }, async (_, at) => enrol({ t: 2, n: 3 }, { generation: at + 1 }));
    await node.older.leave((await Promise.all(made)).map(({ generation }) => generation));
    for (const _ of [1, 2]) await node.run();
    expect(node.events.filter((event) => event === 'older.dropped')).toHaveLength(1);
  });

  it('one server that hangs holds up no other, and has one request at a time', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    const hang = new Promise<never>(() => undefined);
    node.answers.set(1, () => hang);
    node.answers.set(2, obedient(slotAt(old, 2).slotId));
    await node.run();
    expect(left(node.older)).toEqual([1, 3]);
  });
});

describe('slots of the lineage that are in no generation', () => {
  it('are erased where they are shown, but not those of the keyslot file', async () => {
    const [kept, stray] = [enrolledServer(1).slotId, enrolledServer(1).slotId];
    const node = await nodeWith(new MemoryStore(), [kept]);
    const asked = await node.run([1, 2], { 1: [kept, stray] });
    expect(asked.find(({ server }) => server === 1)?.update.forget).toEqual([stray]);
  });

  it('are left alone before all slots of this node live', async () => {
    const stray = enrolledServer(1).slotId;
    const node = await nodeWith();
    node.answers.set(1, obedient(stray));
    for (const _ of [1, 2, 3]) await node.run([1]);
    expect(node.asked.flatMap(({ update }) => update.forget)).toEqual([]);
  });

  it('are asked for at every look where a server has none: it knows nothing of the lineage, and need not prove that', async () => {
    const node = await nodeWith();
    node.answers.set(1, () => {
      throw unknown();
    });
    for (let look = 0; look < 10; look++) expect(await node.run([1], {}, 1)).toHaveLength(1);
    expect(node.attested).toEqual([]);
  });

  it('are looked for at each other server of the chain, and never at this node itself', async () => {
    const node = await nodeWith();
    for (let look = 0; look < 6; look++) await node.run([0xee, 1, 2]);
    expect(node.asked.map(({ server }) => server)).toEqual([1, 2, 1, 2, 1, 2]);
  });

  it('cost no back-off where there are none: a server that knows the lineage learns of each head', async () => {
    const node = await nodeWith();
    node.answers.set(1, obedient());
    for (let look = 0; look < 10; look++) expect(await node.run([1], {}, 1)).toHaveLength(1);
  });

  it('are looked for at few servers at one look, also where most registrations prove no machine', async () => {
    const node = await nodeWith();
    const chain = Array.from({ length: 200 }, (_, index) => index + 1);
    for (const server of chain) if (server !== 100) node.unproven.add(server);
    node.answers.set(100, obedient());
    for (let look = 1; look <= 25; look++) {
      await node.run(chain);
      expect(node.examined.length).toBeLessThanOrEqual(8 * look);
    }
    expect(node.asked.map(({ server }) => server)).toEqual([100]);
    // Each look goes on where the one before has ended.
    expect(new Set(node.examined).size).toBeGreaterThan(190);
  });

  it('are found at servers that have no slot of this node: each is visited in turn', async () => {
    const [kept, stray] = [enrolledServer(9).slotId, enrolledServer(2).slotId];
    const node = await nodeWith(new MemoryStore(), [kept]);
    node.answers.set(2, obedient(stray));
    for (const _ of [1, 2, 3]) await node.run([1, 2], { 9: [kept] });
    const asked = node.asked.filter(({ server }) => server === 2);
    expect(asked[0]?.update).toMatchObject({ forget: [], head: { incarnation: node.hold.incarnation } });
    expect(asked.flatMap(({ update }) => update.forget)).toContainEqual(stray);
    expect(node.asked.some(({ server }) => server === 1)).toBe(true);
  });
});

describe('slots of attempts that were cut off again and again', () => {
  const strays = (count: number, name = 9) =>
    Array.from({ length: count }, () => enrolledServer(name).slotId);
  const askedOf = (looks: Awaited<ReturnType<Awaited<ReturnType<typeof nodeWith>>['run']>>) =>
    looks.filter(({ server }) => server === 1).flatMap(({ update }) => update.forget.map(toHex));

  it('are erased before the node is backed where a server has so many that it soon takes no more', async () => {
    const book = strays(2, 1);
    const node = await nodeWith(new MemoryStore(), book);
    const few = [...book, ...strays(13)];
    expect(askedOf(await node.run([1], { 1: few }, HOUR_MS, false))).toEqual([]);
    // Shown twice, they are no more.
    expect(askedOf(await node.run([1], { 1: [...few, ...few] }, HOUR_MS, false))).toEqual([]);
    const many = [...few, ...strays(1)];
    const asked = askedOf(await node.run([1], { 1: many }, HOUR_MS, false));
    expect(asked.sort()).toEqual(many.slice(2).map(toHex).sort());
    // Nothing is shown while fewer than t slots of the newest generation live.
    expect(askedOf(await node.run([1], {}, HOUR_MS, false))).toEqual([]);
  });

  it('are not those of the last generation that was made: the keyslot file with it may be hidden', async () => {
    const node = await nodeWith();
    const [cut, last] = [
      (await enrol({ t: 2, n: 3 })).generation,
      (await enrol({ t: 2, n: 3 }, { generation: 2 })).generation,
    ];
    await node.older.make(last);
    await node.older.make(cut);
    node.older.compare(undefined);
    const shown = [...strays(15), slotAt(cut, 1).slotId, slotAt(last, 1).slotId];
    const asked = askedOf(await node.run([1], { 1: shown }, HOUR_MS, false));
    expect(asked).toContain(toHex(slotAt(cut, 1).slotId));
    expect(asked).not.toContain(toHex(slotAt(last, 1).slotId));
    expect(askedOf(await node.run([1], { 1: shown }, HOUR_MS, true))).toContain(
      toHex(slotAt(last, 1).slotId),
    );
  });
});
