import { describe, expect, it } from 'vitest';
import { OlderGenerations, type OldLineage } from '../../../src/boot/node/older-generations.ts';
import { AccountId, InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { Generation } from '../../../src/keyslots/keyslot-file.ts';
import { enrol } from '../../support/keyslot-fixtures.ts';
import { bootOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const accountOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const instanceOf = (byte: number) => InstanceId.of(new Uint8Array(16).fill(byte));
const made = async (generation: number): Promise<Generation> =>
  (await enrol({ t: 2, n: 3 }, { generation })).generation;
const idsOf = ({ slots }: Generation, ...indices: readonly number[]) =>
  slots.filter((_slot, index) => indices.includes(index)).map(({ slotId }) => slotId);
const picture = ({ generations }: OlderGenerations) =>
  generations.map(({ generation, t, slots }) => [generation, t, slots.length]);

describe('generations that left the keyslot file', () => {
  it('are known after a restart, with server, slot id and process of every slot that is not erased', async () => {
    const store = new MemoryStore();
    const older = await OlderGenerations.open(store);
    const [one, two] = [await made(1), await made(12)];
    await older.leave([one, two]);
    await older.erased(idsOf(one, 0));
    const again = await OlderGenerations.open(store);
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
    const older = await OlderGenerations.open(store);
    const one = await made(1);
    await older.leave([one]);
    expect(older.open).toHaveLength(1);
    await older.erased(idsOf(one, 0));
    expect(older.open).toHaveLength(1);
    await older.erased(idsOf(one, 1));
    expect([older.open.length, picture(older)]).toEqual([0, [[1, 2, 1]]]);
    await older.erased(idsOf(one, 2));
    expect(picture(older)).toEqual([]);
    expect(picture(await OlderGenerations.open(store))).toEqual([]);
  });

  it('do not change for slots of others, and nothing is written for them', async () => {
    const store = new MemoryStore();
    const older = await OlderGenerations.open(store);
    await older.leave([await made(1)]);
    const { writes } = store;
    await older.erased(idsOf(await made(2), 0, 1, 2));
    expect([picture(older), store.writes]).toEqual([[[1, 2, 3]], writes]);
  });

  it('that could not be noted durably are not known either', async () => {
    let isBroken = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isBroken) throw new Error('the disk failed');
      },
    });
    const older = await OlderGenerations.open(store);
    const one = await made(1);
    isBroken = true;
    await expect(older.leave([one])).rejects.toThrow('the disk failed');
    expect(picture(older)).toEqual([]);
    isBroken = false;
    await older.leave([one]);
    isBroken = true;
    await expect(older.erased(idsOf(one, 0))).rejects.toThrow('the disk failed');
    expect(picture(older)).toEqual([[1, 2, 3]]);
  });
});

describe('lineages of former store keys', () => {
  const formerOf = (byte: number): OldLineage => ({
    secret: new SecretBytes(new Uint8Array(32).fill(byte)),
    last: { number: 6, boot: bootOf(3) },
    servers: [1, 2].map((server) => ({ server: accountOf(server), instanceId: instanceOf(server + 10) })),
  });

  it('are known after a restart, with secret, last boot and servers', async () => {
    const store = new MemoryStore();
    const older = await OlderGenerations.open(store);
    await older.leaveLineage(formerOf(1));
    await older.leaveLineage(formerOf(2));
    await older.closed(formerOf(1).secret, [accountOf(1)]);
    const [one, two] = (await OlderGenerations.open(store)).lineages;
    const expected = formerOf(1);
    const all = [one, two].sort((a, b) => (a?.servers.length ?? 0) - (b?.servers.length ?? 0));
    expect(all[0]?.secret.equals(expected.secret)).toBe(true);
    expect(all[0]).toMatchObject({ last: expected.last, servers: [expected.servers[1]] });
    expect(all[1]?.servers).toEqual(expected.servers);
  });

  it('go when all servers have closed them, or when the store key was not changed after all', async () => {
    const store = new MemoryStore();
    const older = await OlderGenerations.open(store);
    await older.leaveLineage(formerOf(1));
    await older.leaveLineage(formerOf(2));
    await older.closed(formerOf(1).secret, [accountOf(1), accountOf(2)]);
    await older.keepLineage(formerOf(2).secret);
    expect(older.lineages).toEqual([]);
    expect((await OlderGenerations.open(store)).lineages).toEqual([]);
    // No copy of their secrets is left in the store.
    expect([...(await store.namespace('latchkey/lineage')).names()]).toEqual([]);
  });

  it('are wiped when the node is closed, and when they go', async () => {
    const older = await OlderGenerations.open(new MemoryStore());
    const [kept, gone] = [formerOf(1), formerOf(2)];
    await older.leaveLineage(kept);
    await older.leaveLineage(gone);
    await older.closed(formerOf(2).secret, [accountOf(1), accountOf(2)]);
    expect(() => gone.secret.reveal()).toThrow('wiped');
    older.wipe();
    expect(() => kept.secret.reveal()).toThrow('wiped');
  });
});
