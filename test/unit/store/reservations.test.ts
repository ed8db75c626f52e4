import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { ReservedNames } from '../../../src/store/reservations.ts';
import { SimulatedStore } from '../../support/disk-store.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const one = utf8('one');
const two = utf8('two');
const code = (expected: string): object => expect.objectContaining({ code: expected });

/** The reference in memory and the sealed store: the same rows hold on both. */
const stores = [
  ['memory', async () => new MemoryStore()],
  ['sealed', async () => (await SimulatedStore.create()).store],
] as const;

describe.each(stores)('V2 reservations on the %s store', (_kind, makeStore) => {
  const open = async (): Promise<ReservedNames> => ReservedNames.open(await makeStore());

  it('V2 reserve twice fails', async () => {
    const names = await open();
    await names.reserve('a');
    await expect(names.reserve('a')).rejects.toEqual(code('STORE_ALREADY_RESERVED'));
  });

  it('V2 reserve of a name that has a value fails', async () => {
    const names = await open();
    await names.put(await names.reserve('a'), one);
    await expect(names.reserve('a')).rejects.toEqual(code('STORE_NAME_TAKEN'));
    expect(await names.get('a')).toEqual(one);
  });

  it('V2 put without a reservation fails and creates nothing', async () => {
    const names = await open();
    await expect(names.put({ name: 'a' }, one)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    expect(names.exists('a')).toBe(false);
  });

  it('V2 a forged copy of a reservation is refused', async () => {
    const names = await open();
    const reservation = await names.reserve('a');
    await expect(names.put({ ...reservation }, one)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    expect(await names.unreserve({ ...reservation })).toBe(false);
    await names.put(reservation, one);
  });

  it('V2 a reservation of another store is refused', async () => {
    const [here, there] = [await open(), await open()];
    await here.reserve('a');
    await expect(here.put(await there.reserve('a'), one)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
  });

  it('V2 put twice fails and the old value is kept', async () => {
    const names = await open();
    const reservation = await names.reserve('a');
    await names.put(reservation, one);
    await expect(names.put(reservation, two)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    expect(await names.get('a')).toEqual(one);
  });

  it('V2 one of two concurrent puts with one reservation succeeds', async () => {
    const names = await open();
    const reservation = await names.reserve('a');
    const results = await Promise.allSettled([names.put(reservation, one), names.put(reservation, two)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(await names.get('a')).toEqual(one);
  });

  it('V2 get of a missing name and of a reserved name fail with different codes', async () => {
    const names = await open();
    await names.reserve('a');
    await expect(names.get('a')).rejects.toEqual(code('STORE_NAME_RESERVED'));
    await expect(names.get('b')).rejects.toEqual(code('STORE_NAME_MISSING'));
  });

  it('V2 exists in all states', async () => {
    const names = await open();
    expect(names.exists('a')).toBe(false);
    const reservation = await names.reserve('a');
    expect(names.exists('a')).toBe(true);
    await names.put(reservation, one);
    expect(names.exists('a')).toBe(true);
    await names.delete('a');
    expect(names.exists('a')).toBe(false);
  });

  it('V2 delete succeeds for a missing name, is refused for a reserved name, and frees the name of a value', async () => {
    const names = await open();
    expect(await names.delete('a')).toBe(false);
    const reservation = await names.reserve('a');
    await expect(names.delete('a')).rejects.toEqual(code('STORE_NAME_RESERVED'));
    await names.put(reservation, one);
    expect(await names.delete('a')).toBe(true);
    await names.put(await names.reserve('a'), two);
    expect(await names.get('a')).toEqual(two);
  });

  it('V2 unreserve removes only a reservation', async () => {
    const names = await open();
    const given = await names.reserve('a');
    expect(await names.unreserve(given)).toBe(true);
    expect(names.exists('a')).toBe(false);
    await expect(names.put(given, one)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    const used = await names.reserve('a');
    await names.put(used, one);
    expect(await names.unreserve(used)).toBe(false);
    expect(await names.get('a')).toEqual(one);
  });

  it('an old reservation cannot release or fill a newer reservation of the same name', async () => {
    const names = await open();
    const old = await names.reserve('a');
    await names.unreserve(old);
    const newer = await names.reserve('a');
    expect(await names.unreserve(old)).toBe(false);
    await expect(names.put(old, one)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    await names.put(newer, two);
    expect(await names.get('a')).toEqual(two);
  });

  it('an empty value is a value, not a reservation', async () => {
    const names = await open();
    await names.put(await names.reserve('a'), new Uint8Array(0));
    expect(await names.get('a')).toEqual(new Uint8Array(0));
  });

  it('V5 replace is atomic: gives the value before, and refuses missing and reserved names', async () => {
    const names = await open();
    await names.reserve('r');
    await names.put(await names.reserve('a'), one);
    expect(await names.replace('a', two)).toEqual(one);
    expect(await names.get('a')).toEqual(two);
    await expect(names.replace('b', one)).rejects.toEqual(code('STORE_NAME_MISSING'));
    await expect(names.replace('r', one)).rejects.toEqual(code('STORE_NAME_RESERVED'));
  });

  it('V5 concurrent replaces lose no update: each value is replaced exactly once', async () => {
    const names = await open();
    await names.put(await names.reserve('a'), Uint8Array.of(0));
    const before = await Promise.all(
      Array.from({ length: 20 }, (_, i) => names.replace('a', Uint8Array.of(i + 1))),
    );
    const replaced = [...before, await names.get('a')].map((bytes) => bytes[0]).sort((a = 0, b = 0) => a - b);
    expect(replaced).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });

  it('V5 one of many concurrent reserves of one name succeeds', async () => {
    const names = await open();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => names.reserve('a')));
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1);
  });

  it('two views of one opened store respect each other’s reservations: no leftovers', async () => {
    const store = await makeStore();
    const [first, second] = [await ReservedNames.open(store), await ReservedNames.open(store)];
    await first.reserve('a');
    await expect(second.reserve('a')).rejects.toEqual(code('STORE_ALREADY_RESERVED'));
    expect(await second.leftovers()).toEqual([]);
  });
});

describe('reservations after a crash', () => {
  it('a reservation of a killed process still exists, and can be reserved again or reclaimed', async () => {
    const simulated = await SimulatedStore.create();
    const before = await ReservedNames.open(simulated.store);
    const dead = [await before.reserve('a'), await before.reserve('b'), await before.reserve('c')] as const;
    await before.put(dead[2], one);

    const after = await ReservedNames.open((await simulated.powerCut('lost')).store);
    expect(['a', 'b', 'c'].map((name) => after.exists(name))).toEqual([true, true, true]);
    expect(await after.leftovers()).toEqual(['a', 'b']);
    await expect(after.put(dead[0], two)).rejects.toEqual(code('STORE_RESERVATION_INVALID'));
    await after.put(await after.reserve('a'), two);
    expect(await after.reclaim()).toBe(1);
    expect(after.exists('b')).toBe(false);
    expect(await after.get('a')).toEqual(two);
    expect(await after.get('c')).toEqual(one);
  });
});

describe('reservations on a full disk', () => {
  it('stay valid, and can be filled or released when there is room', async () => {
    const { store, disk } = await SimulatedStore.create({ roomBytes: 0 });
    const names = await ReservedNames.open(store);
    const [kept, unwanted] = [await names.reserve('a'), await names.reserve('b')];
    disk.setCapacity(disk.usedBytes);
    await expect(names.put(kept, one)).rejects.toEqual(code('STORE_DISK_FULL'));
    await expect(names.unreserve(unwanted)).rejects.toEqual(code('STORE_DISK_FULL'));
    disk.setCapacity(undefined);
    await names.put(kept, one);
    expect(await names.unreserve(unwanted)).toBe(true);
    expect([names.exists('a'), names.exists('b')]).toEqual([true, false]);
  });
});
