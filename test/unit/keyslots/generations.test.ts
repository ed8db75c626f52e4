import { describe, expect, it } from 'vitest';
import { InstanceId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import {
  addGeneration,
  confirmSlot,
  dropOlder,
  generationVerifier,
  nextGeneration,
  withdrawSlot,
} from '../../../src/keyslots/generations.ts';
import { isComplete, type KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { type Enrolment, enrol, enrolledServer, fileOf, identity } from '../../support/keyslot-fixtures.ts';

const first = await enrol({ t: 2, n: 3 });
const second = await enrol({ t: 2, n: 3 }, { storeKey: first.storeKey, generation: 2 });
const { storeKey } = first;

/** Withdraws all slots of a generation: their servers have said that they are lost. */
const withdrawn = (file: KeyslotFile, { servers }: Enrolment): KeyslotFile =>
  servers.reduce((kept, { slotId }) => withdrawSlot(kept, storeKey, slotId), file);
/** A file of the first generation with no slot confirmed, and one with the second in front, unconfirmed too. */
const firstWithdrawn = withdrawn(fileOf(first), first);
const bothWithdrawn = withdrawn(addGeneration(firstWithdrawn, second.generation).file, second);
/** Confirms the slots of some servers at the instances that issued them. */
const confirm = (file: KeyslotFile, { servers }: Enrolment, count = servers.length): KeyslotFile =>
  servers
    .slice(0, count)
    .reduce((kept, { slotId, instanceId }) => confirmSlot(kept, storeKey, slotId, instanceId), file);
const numbers = ({ generations }: KeyslotFile): number[] => generations.map(({ generation }) => generation);

describe('building a generation', () => {
  it('makes slots that are confirmed, because each was linked, with a MAC that only the store key verifies', () => {
    expect(first.generation.slots.map(({ index, confirmed }) => [index, confirmed])).toEqual([
      [0, true],
      [1, true],
      [2, true],
    ]);
    expect(generationVerifier(identity, first.generation)(storeKey.reveal())).toBe(true);
    expect(generationVerifier(identity, first.generation)(new Uint8Array(32))).toBe(false);
    const other = { ...identity, storeId: new Uint8Array(16) };
    expect(generationVerifier(other, first.generation)(storeKey.reveal())).toBe(false);
  });

  it('uses a new random polynomial each time', async () => {
    const again = await enrol({ t: 2, n: 3 }, { storeKey, servers: first.servers });
    expect(toHex(again.generation.mac)).not.toBe(toHex(first.generation.mac));
  });

  it('may have t to n servers', async () => {
    const servers = [enrolledServer(1), enrolledServer(2), enrolledServer(3)];
    expect((await enrol({ t: 3, n: 5 }, { servers })).generation.slots).toHaveLength(3);
    await expect(enrol({ t: 3, n: 5 }, { servers: servers.slice(1) })).rejects.toThrow(RangeError);
    await expect(enrol({ t: 1, n: 2 }, { servers })).rejects.toThrow(RangeError);
  });

  it('refuses a repeated server and a repeated slot id', async () => {
    const [a, b] = [enrolledServer(1), enrolledServer(2)];
    await expect(enrol({ t: 2, n: 2 }, { servers: [a, { ...b, server: a.server }] })).rejects.toThrow(
      RangeError,
    );
    await expect(enrol({ t: 2, n: 2 }, { servers: [a, { ...b, slotId: a.slotId }] })).rejects.toThrow(
      RangeError,
    );
  });

  it.each([
    { t: 3, n: 2 },
    { t: 0, n: 2 },
    { t: 1.5, n: 2 },
    { t: 1, n: 2.5 },
    { t: 2, n: 17 },
  ])('refuses the impossible quorum %j', async (quorum) => {
    const rule = expect.objectContaining({
      name: 'RangeError',
      message: expect.stringContaining('1 ≤ t ≤ n'),
    });
    await expect(enrol(quorum)).rejects.toEqual(rule);
  });

  it('refuses more servers than there are slots', async () => {
    const rule = expect.objectContaining({ message: expect.stringContaining('needs 1 to 2 servers') });
    await expect(
      enrol({ t: 1, n: 2 }, { servers: [1, 2, 3].map((name) => enrolledServer(name)) }),
    ).rejects.toEqual(rule);
  });

  it.each([0, 1.5, Number.NaN, 2 ** 53])('refuses the number %d', async (generation) => {
    await expect(enrol({ t: 2, n: 2 }, { generation })).rejects.toThrow(`${generation} is no generation`);
  });
});

describe('confirming', () => {
  it('is valid only at the process that issued the key', () => {
    const file = firstWithdrawn;
    const [server] = first.servers;
    if (server === undefined) throw new TypeError('no server');
    const restarted = InstanceId.of(new Uint8Array(16));
    expect(confirmSlot(file, storeKey, server.slotId, restarted)).toBe(file);
    expect(confirmSlot(file, storeKey, SlotId.of(new Uint8Array(16)), server.instanceId)).toBe(file);
    const confirmed = confirmSlot(file, storeKey, server.slotId, server.instanceId);
    expect(confirmed.generations[0].slots.map((slot) => slot.confirmed)).toEqual([true, false, false]);
    expect(generationVerifier(identity, confirmed.generations[0])(storeKey.reveal())).toBe(true);
    expect(confirmSlot(confirmed, storeKey, server.slotId, server.instanceId)).toBe(confirmed);
    expect(withdrawSlot(file, storeKey, SlotId.of(new Uint8Array(16)))).toBe(file);
  });

  it('completes a generation at n confirmed slots, until a confirmation is withdrawn', () => {
    expect(isComplete(firstWithdrawn.generations[0])).toBe(false);
    const file = confirm(firstWithdrawn, first);
    expect(isComplete(file.generations[0])).toBe(true);
    const slotId = first.servers[1]?.slotId ?? SlotId.of(new Uint8Array(16));
    const less = withdrawSlot(file, storeKey, slotId);
    expect(isComplete(less.generations[0])).toBe(false);
    expect(generationVerifier(identity, less.generations[0])(storeKey.reveal())).toBe(true);
  });

  it('does not complete a generation with fewer than n servers', async () => {
    const servers = [enrolledServer(1), enrolledServer(2), enrolledServer(3)];
    const short = await enrol({ t: 2, n: 4 }, { storeKey, servers });
    expect(isComplete(confirm(fileOf(short), short).generations[0])).toBe(false);
  });

  it('cannot be forged on the disk: a flipped flag breaks the MAC', () => {
    const [slot, ...rest] = first.generation.slots;
    if (slot === undefined) throw new TypeError('no slot');
    const forged = { ...first.generation, slots: [{ ...slot, confirmed: !slot.confirmed }, ...rest] };
    expect(generationVerifier(identity, forged)(storeKey.reveal())).toBe(false);
  });
});

describe('two generations', () => {
  it('the newer comes first; the older is removed only when the newer has n confirmed slots', () => {
    const both = bothWithdrawn;
    expect(numbers(both)).toEqual([2, 1]);
    expect(dropOlder(both)).toEqual({ file: both, dropped: [] });
    const almost = confirm(both, second, 2);
    expect(dropOlder(almost).dropped).toEqual([]);
    const { file, dropped } = dropOlder(confirm(almost, second));
    expect(numbers(file)).toEqual([2]);
    expect(dropped).toEqual([firstWithdrawn.generations[0]]);
  });

  it('confirmations of older slots do not complete the newer generation', () => {
    expect(dropOlder(confirm(bothWithdrawn, first)).dropped).toEqual([]);
  });

  it('a file with one generation keeps it', () => {
    const file = confirm(fileOf(first), first);
    expect(dropOlder(file)).toEqual({ file, dropped: [] });
  });

  it('the numbers only grow', () => {
    expect(nextGeneration(undefined)).toBe(1);
    const both = addGeneration(fileOf(first), second.generation).file;
    expect(nextGeneration(both)).toBe(3);
    expect(() => addGeneration(both, second.generation)).toThrow(RangeError);
    expect(() => addGeneration(both, first.generation)).toThrow(RangeError);
  });

  it('a third generation replaces the unfinished second, not the complete first', async () => {
    const third = await enrol({ t: 2, n: 3 }, { storeKey, generation: 3 });
    const { file, dropped } = addGeneration(confirm(bothWithdrawn, first), third.generation);
    expect(numbers(file)).toEqual([3, 1]);
    expect(dropped.map(({ generation }) => generation)).toEqual([2]);
  });

  it('a third generation replaces the first when the first cannot open the store and the second can', async () => {
    const third = await enrol({ t: 2, n: 3 }, { storeKey, generation: 3 });
    const both = addGeneration(confirm(fileOf(first), first), second.generation).file;
    const live = ({ generation }: { generation: number }) =>
      generation === 1 ? { live: 1, possible: 3 } : { live: 2, possible: 3 };
    const { file, dropped } = addGeneration(both, third.generation, live);
    expect(numbers(file)).toEqual([3, 2]);
    expect(dropped.map(({ generation }) => generation)).toEqual([1]);
  });

  it('a generation that opens the store now is kept before a complete one that does not', async () => {
    const third = await enrol({ t: 2, n: 3 }, { storeKey, generation: 3 });
    const both = addGeneration(confirm(firstWithdrawn, first, 2), second.generation).file;
    const { file } = addGeneration(both, third.generation, ({ generation }) => ({
      live: generation === 1 ? 2 : 1,
      possible: 3,
    }));
    expect(numbers(file)).toEqual([3, 1]);
  });

  it('a generation that may still open the store is kept before one that no longer can', async () => {
    const third = await enrol({ t: 2, n: 3 }, { storeKey, generation: 3 });
    const both = addGeneration(fileOf(first), second.generation).file;
    // Nothing is known of two servers of the first; of the second only one slot is left.
    const { file, dropped } = addGeneration(both, third.generation, ({ generation }) =>
      generation === 1 ? { live: 0, possible: 2 } : { live: 1, possible: 1 },
    );
    expect(file.generations.map(({ generation }) => generation)).toEqual([3, 1]);
    expect(dropped.map(({ generation }) => generation)).toEqual([2]);
  });

  it('generations of rotated store keys can be in one file', async () => {
    const rotated = await enrol(
      { t: 2, n: 3 },
      { storeKey: new SecretBytes(new Uint8Array(32)), generation: 2 },
    );
    const both = addGeneration(fileOf(first), rotated.generation).file;
    expect(generationVerifier(both, both.generations[0])(rotated.storeKey.reveal())).toBe(true);
    expect(generationVerifier(both, both.generations[0])(storeKey.reveal())).toBe(false);
  });
});
