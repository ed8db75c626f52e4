import { describe, expect, it } from 'vitest';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import {
  decodeGeneration,
  encodeGeneration,
  isFormerOpen,
  type OldLineage,
} from '../../../src/boot/node/older-records.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { AccountId, InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { Generation } from '../../../src/keyslots/keyslot-file.ts';
import { enrol, identity } from '../../support/keyslot-fixtures.ts';
import { aLineageSecret, bootOf, lineageOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const DAY_MS = 24 * 3_600_000;
const accountOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const instanceOf = (byte: number) => InstanceId.of(new Uint8Array(16).fill(byte));
const made = async (generation: number): Promise<Generation> =>
  (await enrol({ t: 2, n: 3 }, { generation })).generation;
const idsOf = ({ slots }: Generation, ...indices: readonly number[]) =>
  slots.filter((_slot, index) => indices.includes(index)).map(({ slotId }) => slotId);
/** As a node with this lineage secret. */
const openOlder = (store: MemoryStore, secret = aLineageSecret()) => OlderGenerations.open(store, secret);
const picture = ({ generations }: OlderGenerations) =>
  generations.map(({ generation, t, slots }) => [generation, t, slots.length]);

/** One look on each of these days, by the monotonic clock. */
async function daily(
  older: OlderGenerations,
  hasRecord: (server: AccountId) => boolean,
  first: number,
  last: number,
): Promise<void> {
  for (let day = first; day <= last; day++) await older.noteChain(hasRecord, 5_000 + day * DAY_MS);
}

describe('generations that left the keyslot file', () => {
  it('are known after a restart, with server, slot id and process of every slot that is not erased', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const [one, two] = [await made(1), await made(12)];
    await older.leave([one, two]);
    await older.erased(idsOf(one, 0));
    const again = await openOlder(store);
    expect(picture(again)).toEqual([
      [1, 2, 2],
      [12, 2, 3],
    ]);
    expect(again.generations[0]?.slots).toEqual(
      one.slots
        .filter((_slot, index) => index > 0)
        .map(({ server, slotId, instanceId }) => ({ server, slotId, instanceId })),
    );
    expect(again.generations).toEqual(older.generations);
  });

  it('are open while t of their slots may give their keys, and kept until no slot is left', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const one = await made(1);
    await older.leave([one]);
    expect(older.open).toHaveLength(1);
    await older.erased(idsOf(one, 0));
    expect(older.open).toHaveLength(1);
    await older.erased(idsOf(one, 1));
    expect([older.open.length, picture(older)]).toEqual([0, [[1, 2, 1]]]);
    await older.erased(idsOf(one, 2));
    expect(picture(older)).toEqual([]);
    expect(picture(await openOlder(store))).toEqual([]);
  });

  it('are also those that were made and that the keyslot file lacks, as after the host put back an older one', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const [one, two, three] = [await made(1), await made(2), await made(3)];
    for (const generation of [one, two, three]) await older.make(generation);
    await older.leave([one]);
    older.compare({ ...identity, generations: [three, two] });
    expect([picture(older), older.nextNumber]).toEqual([[[1, 2, 3]], 4]);
    // A boot with another file.
    const again = await openOlder(store);
    again.compare({ ...identity, generations: [two] });
    expect(again.open.map(({ generation }) => generation)).toEqual([1, 3]);
    expect(again.nextNumber).toBe(4);
    // Their slots stay until all slots of the file live, also over a restart.
    expect(again.erasable.map(({ generation }) => generation)).toEqual([1]);
    const third = await openOlder(store);
    third.compare({ ...identity, generations: [two] });
    await third.noteChain(() => false, 0);
    expect(third.erasable.map(({ generation }) => generation)).toEqual([1]);
    await third.settle();
    expect(third.erasable.map(({ generation }) => generation)).toEqual([1, 3]);
    await third.erased(idsOf(three, 0, 1, 2));
    const last = await openOlder(store);
    last.compare({ ...identity, generations: [two] });
    expect(picture(last)).toEqual([[1, 2, 3]]);
  });

  it('keep their slots when the disk did not take the file with one of them: no number is used twice', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const lost = await made(older.nextNumber);
    // The disk does not say whether the keyslot file with it is in force; the next attempt follows.
    await older.make(lost);
    const next = await made(older.nextNumber);
    await older.make(next);
    await older.leave([next]);
    const again = await openOlder(store);
    again.compare({ ...identity, generations: [next] });
    const slots = again.generations.flatMap((one) => one.slots.map(({ slotId }) => slotId));
    expect(slots).toEqual(expect.arrayContaining([...idsOf(lost, 0, 1, 2), ...idsOf(next, 0, 1, 2)]));
    expect(again.open).toHaveLength(2);
  });

  it('are bounded while the disk takes no keyslot file: the first two, which may be in it, and the newest stay', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const template = await made(1);
    for (let generation = 1; generation <= 300; generation++) await older.make({ ...template, generation });
    const again = await openOlder(store);
    again.compare(undefined);
    const numbers = again.generations.map(({ generation }) => generation);
    expect([numbers.length, numbers.slice(0, 3), numbers.at(-1)]).toEqual([256, [1, 2, 47], 300]);
    expect(again.nextNumber).toBe(301);
  });

  it('are not those that the keyslot file has again', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const [one, two] = [await made(1), await made(2)];
    for (const generation of [one, two]) await older.make(generation);
    older.compare({ ...identity, generations: [one] });
    expect(picture(older)).toEqual([[2, 2, 3]]);
    const again = await openOlder(store);
    again.compare({ ...identity, generations: [two, one] });
    expect(picture(again)).toEqual([]);
  });

  it('do not change for slots of others, and nothing is written for them', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leave([await made(1)]);
    const { writes } = store;
    await older.erased(idsOf(await made(2), 0, 1, 2));
    expect([picture(older), store.writes]).toEqual([[[1, 2, 3]], writes]);
  });

  it('are kept in memory while the store takes no writes, and noted as soon as it does', async () => {
    let isBroken = true;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isBroken) throw new Error('the disk failed');
      },
    });
    isBroken = false;
    const older = await openOlder(store);
    const [one, two] = [await made(1), await made(2)];
    isBroken = true;
    // The caller learns that it is not durable yet, so that it keeps the generation in the keyslot file.
    expect(await older.leave([one])).toBe(false);
    expect(await older.noteChain(() => true, 1)).toBe(false);
    expect(picture(older)).toEqual([[1, 2, 3]]);
    expect(picture(await openOlder(store))).toEqual([]);
    isBroken = false;
    expect(await older.leave([two])).toBe(true);
    expect(picture(await openOlder(store))).toEqual([
      [1, 2, 3],
      [2, 2, 3],
    ]);
    isBroken = true;
    expect(await older.erased(idsOf(one, 0, 1, 2))).toBe(false);
    isBroken = false;
    expect(await older.noteChain(() => true, 1)).toBe(true);
    expect(picture(await openOlder(store))).toEqual([[2, 2, 3]]);
  });

  it('of servers that are missing from the chain open nothing now, and count again when those come back', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const one = await made(1);
    await older.leave([one]);
    const missing = one.slots.slice(0, 2).map(({ server }) => server);
    await older.noteChain((server) => !missing.some((gone) => equalBytes(gone, server)), 5_000);
    const again = await openOlder(store);
    for (const book of [older, again]) expect([book.open, picture(book)]).toEqual([[], [[1, 2, 3]]]);
    const { writes } = store;
    await again.noteChain((server) => !missing.some((gone) => equalBytes(gone, server)), 6_000);
    expect(store.writes).toBe(writes);
    await again.noteChain(() => true, 7_000);
    expect(again.open).toHaveLength(1);
    expect(picture(again)).toEqual([[1, 2, 3]]);
  });

  it('of a server that is missing go after 90 whole days, counted from its first one', async () => {
    const older = await openOlder(new MemoryStore());
    const one = await made(1);
    await older.leave([one]);
    const [first = accountOf(0)] = one.slots.map(({ server }) => server);
    await daily(older, (server) => !equalBytes(server, first), 0, 40);
    await daily(older, () => false, 41, 90);
    expect(picture(older)).toEqual([[1, 2, 3]]);
    await daily(older, () => false, 91, 91);
    expect(picture(older)).toEqual([[1, 2, 2]]);
    await daily(older, () => false, 92, 131);
    expect(picture(older)).toEqual([[1, 2, 2]]);
    await daily(older, () => false, 132, 132);
    expect(picture(older)).toEqual([]);
  });

  it('stay when two looks lie 90 days apart: one moment without a record is no departure', async () => {
    const older = await openOlder(new MemoryStore());
    await older.leave([await made(1)]);
    for (const day of [0, 90, 180, 270]) await daily(older, () => false, day, day);
    expect(picture(older)).toEqual([[1, 2, 3]]);
  });

  it('begin to count anew when their server has a record again, on whatever day', async () => {
    const older = await openOlder(new MemoryStore());
    await older.leave([await made(1)]);
    await daily(older, () => false, 0, 90);
    await older.noteChain(() => true, 90 * DAY_MS + 1);
    await daily(older, () => false, 91, 180);
    expect(picture(older)).toEqual([[1, 2, 3]]);
  });

  it('count on after a restart, but not what the process did not see', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leave([await made(1)]);
    await daily(older, () => false, 0, 50);
    // The monotonic clock of a process begins anywhere.
    const again = await openOlder(store);
    await daily(again, () => false, 1_000, 1_040);
    expect(picture(again)).toEqual([[1, 2, 3]]);
    await daily(again, () => false, 1_041, 1_041);
    expect(picture(again)).toEqual([]);
  });

  it('count from the beginning where an earlier build noted a time', async () => {
    const { slots, t } = await made(1);
    const noted = slots.map((slot) => ({ ...slot, missingDays: 1_760_000_000_000 }));
    const read = decodeGeneration(1, encodeGeneration({ generation: 1, t, slots: noted }));
    expect(read.slots.map(({ missingDays }) => missingDays)).toEqual([0, 0, 0]);
  });

  it('of one server that is missing for 90 days lose its slot alone, wherever it stands', async () => {
    for (const at of [0, 1, 2]) {
      const older = await openOlder(new MemoryStore());
      const one = await made(1);
      await older.leave([one]);
      const gone = one.slots[at]?.server ?? accountOf(0);
      const hasRecord = (server: AccountId) => !equalBytes(server, gone);
      await daily(older, hasRecord, 0, 91);
      const left = one.slots.filter((_slot, index) => index !== at).map(({ server }) => server);
      expect(older.generations[0]?.slots.map(({ server }) => server)).toEqual(left);
    }
  });

  it('lie beside other records of the namespace, which are left alone', async () => {
    const store = new MemoryStore();
    const namespace = await store.namespace('latchkey/lineage');
    const record = new Uint8Array(16).fill(7);
    await namespace.put('newest-since', record);
    const older = await openOlder(store);
    await older.noteChain(() => true, 1);
    expect([older.generations, older.lineages]).toEqual([[], []]);
    expect(await namespace.get('newest-since')).toEqual(record);
  });

  it('are 256 at most: closed ones make room first, then the oldest, and it is counted which could still open', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    const all = await Promise.all(Array.from({ length: 256 }, (_, index) => made(index + 1)));
    await older.leave(all);
    const [, , closed] = all;
    if (closed === undefined) throw new Error('no generation');
    await older.erased(idsOf(closed, 0, 1));
    const numbers = () => older.generations.map(({ generation }) => generation);
    await older.leave([await made(300)]);
    expect([numbers().length, numbers().includes(3), older.dropped]).toEqual([256, false, 0]);
    await older.leave([await made(301)]);
    expect([numbers().length, numbers().includes(1), older.dropped]).toEqual([256, false, 1]);
    const again = await openOlder(store);
    expect([again.generations.length, again.dropped]).toEqual([256, 1]);
  });

  it('of a former lineage are none of this one: they end when that is closed', async () => {
    const store = new MemoryStore();
    await (await openOlder(store)).leave([await made(1)]);
    const other = new SecretBytes(new Uint8Array(32).fill(9));
    expect(picture(await openOlder(store, other))).toEqual([]);
  });
});

describe('lineages of former store keys', () => {
  const processOf = (server: number) => ({ server: accountOf(server), instanceId: instanceOf(server + 10) });
  const processes = [1, 2].map(processOf);
  const formerOf = (byte: number): OldLineage => ({
    secret: new SecretBytes(new Uint8Array(32).fill(byte)),
    last: { number: 6, boot: bootOf(3) },
    generations: [
      { t: 2, servers: processes },
      { t: 3, servers: [processOf(2)] },
    ],
  });

  it('are known after a restart, with secret, last boot and servers', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leaveLineage(formerOf(1));
    await older.leaveLineage(formerOf(2));
    await older.closed(formerOf(1).secret, processes.slice(1));
    const [one, two] = (await openOlder(store)).lineages;
    const expected = formerOf(1);
    const all = [one, two].sort((a, b) => (a?.generations.length ?? 0) - (b?.generations.length ?? 0));
    expect(all[0]?.secret.equals(expected.secret)).toBe(true);
    expect(all[0]).toMatchObject({ last: expected.last, generations: [{ t: 2, servers: [processOf(1)] }] });
    expect(all[1]?.generations).toEqual(expected.generations);
  });

  it('are closed process by process: another process of the same server proves nothing of the one before', async () => {
    const older = await openOlder(new MemoryStore());
    await older.leaveLineage(formerOf(1));
    await older.closed(formerOf(1).secret, [{ server: accountOf(1), instanceId: instanceOf(99) }]);
    expect(older.lineages[0]?.generations).toEqual(formerOf(1).generations);
  });

  it('that are not known, or lost nothing, change nothing', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leaveLineage(formerOf(1));
    const { writes } = store;
    expect(await older.closed(formerOf(2).secret, processes)).toBe(true);
    await older.keepLineage(formerOf(2).secret);
    await older.noteChain(() => true, 1);
    expect([older.lineages.length, store.writes]).toEqual([1, writes]);
  });

  it('go when all servers have closed them, or when the store key was not changed after all', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leaveLineage(formerOf(1));
    await older.leaveLineage(formerOf(2));
    await older.closed(formerOf(1).secret, processes);
    await older.keepLineage(formerOf(2).secret);
    expect(older.lineages).toEqual([]);
    expect((await openOlder(store)).lineages).toEqual([]);
    // No copy of their secrets is left in the store.
    expect([...(await store.namespace('latchkey/lineage')).names()]).toEqual([]);
  });

  it('are 64 at most: the oldest makes room, and that is counted', async () => {
    const store = new MemoryStore();
    const present = new SecretBytes(new Uint8Array(32).fill(0xff));
    const older = await openOlder(store, present);
    const numbered = (byte: number) => ({ ...formerOf(byte), last: { number: byte, boot: bootOf(3) } });
    // Not in the order of their numbers.
    const first = numbered(2);
    for (const old of [first, numbered(70)]) await older.leaveLineage(old);
    for (let byte = 3; byte < 65; byte++) await older.leaveLineage(numbered(byte));
    expect([older.lineages.length, older.dropped]).toEqual([64, 0]);
    // The one that is noted stays, however old it is.
    await older.leaveLineage(numbered(1));
    expect([older.lineages.length, older.dropped]).toEqual([64, 1]);
    expect(older.lineages.map(({ last }) => last.number)).not.toContain(2);
    expect(() => first.secret.reveal()).toThrow('wiped');
    const again = await openOlder(store, present);
    expect([again.lineages.length, again.dropped]).toEqual([64, 1]);
  });

  it('open a copy of the disk by t servers of one generation that the chain still has', async () => {
    const older = await openOlder(new MemoryStore());
    await older.leaveLineage(formerOf(1));
    const opens = () => older.lineages.flatMap(({ generations }) => generations.map(isFormerOpen));
    expect(opens()).toEqual([true, false]);
    await older.noteChain((server) => !equalBytes(server, accountOf(2)), 1);
    expect(opens()).toEqual([false, false]);
    await older.noteChain(() => true, 2);
    expect(opens()).toEqual([true, false]);
    await older.closed(formerOf(1).secret, [processOf(1)]);
    expect(opens()).toEqual([false, false]);
  });

  it('remember across restarts which later boot an operator accepted to lose', async () => {
    const store = new MemoryStore();
    const older = await openOlder(store);
    await older.leaveLineage(formerOf(1));
    const later = lineageOf(1).incarnation(8, bootOf(9));
    await older.accept(formerOf(1).secret, later);
    const [old] = (await openOlder(store)).lineages;
    expect(old).toMatchObject({ last: formerOf(1).last, accepted: { number: 8, boot: bootOf(9) } });
  });

  it('are none of them while the store opens under it: the store key was not changed', async () => {
    const store = new MemoryStore();
    await (await openOlder(store)).leaveLineage(formerOf(1));
    expect((await openOlder(store, formerOf(1).secret)).lineages).toEqual([]);
  });

  it('are wiped when the node is closed, and when they go', async () => {
    const older = await openOlder(new MemoryStore());
    const [kept, gone] = [formerOf(1), formerOf(2)];
    await older.leaveLineage(kept);
    await older.leaveLineage(gone);
    await older.closed(formerOf(2).secret, processes);
    expect(() => gone.secret.reveal()).toThrow('wiped');
    older.wipe();
    expect(() => kept.secret.reveal()).toThrow('wiped');
  });
});
