import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { contentsOf, fingerprint } from '../../simulation/store-model.ts';
import { SimulatedStore } from '../../support/disk-store.ts';

const one = utf8('one');

async function filled(roomBytes = 512, segmentBytes = 1 << 16): Promise<SimulatedStore> {
  const simulated = await SimulatedStore.create({ segmentBytes, roomBytes });
  const names = await simulated.store.namespace('kv');
  for (let index = 0; index < 5; index++) await names.put(`name-${index}`, one);
  return simulated;
}

describe('a failing fdatasync', () => {
  it.each([true, false])(
    'E4 fails its write and all later writes (pages dropped: %s)',
    async (dropsDirty) => {
      const simulated = await filled();
      const before = fingerprint(await contentsOf(simulated.store));
      const names = await simulated.store.namespace('kv');
      simulated.disk.inject(({ kind }) => (kind === 'sync' ? { code: 'EIO', dropsDirty } : undefined));
      const writes = Array.from({ length: 5 }, (_, index) => names.put(`new-${index}`, one));
      for (const result of await Promise.allSettled(writes))
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORE_WRITE_FAILED' } });
      simulated.disk.inject(undefined);
      // The disk seems well again, but what it holds is not known.
      await expect(names.put('later', one)).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
      expect(fingerprint(await contentsOf(simulated.store))).toBe(before);
      const reopened = await simulated.powerCut('lost');
      expect(fingerprint(await contentsOf(reopened.store))).toBe(before);
      await (await reopened.store.namespace('kv')).put('later', one);
    },
  );
});

describe('a full disk', () => {
  it('in the middle of a batch: the batch is not kept, reads continue, and writes continue when there is room', async () => {
    const simulated = await filled(0);
    const { store, disk } = simulated;
    const before = fingerprint(await contentsOf(store));
    disk.setCapacity(disk.usedBytes + 300);
    const batch = Array.from(
      { length: 8 },
      (_, index) =>
        ({ kind: 'put', namespace: 'kv', name: `batch-${index}`, value: new Uint8Array(100) }) as const,
    );
    await expect(store.batch(batch)).rejects.toMatchObject({ code: 'STORE_DISK_FULL', status: 507 });
    expect(fingerprint(await contentsOf(store))).toBe(before);
    expect(fingerprint(await contentsOf((await simulated.powerCut('kept')).store))).toBe(before);
    disk.setCapacity(undefined);
    await store.batch(batch);
    const after = fingerprint(await contentsOf(store));
    expect(fingerprint(await contentsOf((await simulated.powerCut('lost')).store))).toBe(after);
  });

  it('all writers of the failed write get the error, and later writers are not affected', async () => {
    const simulated = await filled(0);
    const { store, disk } = simulated;
    const names = await store.namespace('kv');
    disk.setCapacity(disk.usedBytes + 100);
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => names.put(`w-${index}`, one)),
    );
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    disk.setCapacity(undefined);
    await Promise.all(Array.from({ length: 6 }, (_, index) => names.put(`w-${index}`, one)));
    expect(names.size).toBe(11);
  });

  it('while a segment is being finished: the store continues when there is room', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 600 });
    const { store, disk } = simulated;
    const names = await store.namespace('kv');
    let refused = 0;
    for (let index = 0; index < 30; index++) {
      disk.setCapacity(index % 3 === 0 ? undefined : disk.usedBytes + ((index * 37) % 400));
      await names.put(`name-${index}`, new Uint8Array(60)).catch((error: { code: string }) => {
        expect(error.code).toBe('STORE_DISK_FULL');
        refused++;
      });
    }
    expect(refused).toBeGreaterThan(0);
    disk.setCapacity(undefined);
    expect(names.size).toBe(30 - refused);
    const held = fingerprint(await contentsOf(store));
    expect(fingerprint(await contentsOf((await simulated.powerCut('lost')).store))).toBe(held);
  });

  it('compaction without room fails with an error, and changes nothing', async () => {
    const simulated = await filled(512, 700);
    const { store, disk } = simulated;
    const before = fingerprint(await contentsOf(store));
    disk.setCapacity(disk.usedBytes);
    await expect(store.compact()).rejects.toMatchObject({ code: 'STORE_DISK_FULL' });
    expect(fingerprint(await contentsOf(store))).toBe(before);
    disk.setCapacity(undefined);
    await store.compact();
    expect(fingerprint(await contentsOf(store))).toBe(before);
    expect(fingerprint(await contentsOf((await simulated.powerCut('lost')).store))).toBe(before);
  });
});

describe('other disk failures', () => {
  it('a read-only file system: reads continue, writes are refused with their own code', async () => {
    const simulated = await filled(0);
    simulated.disk.inject(({ kind }) =>
      ['write', 'create', 'sync', 'truncate', 'rename', 'unlink'].includes(kind)
        ? { code: 'EROFS' }
        : undefined,
    );
    const names = await simulated.store.namespace('kv');
    await expect(names.put('a', one)).rejects.toMatchObject({ code: 'STORE_DISK_READ_ONLY' });
    expect(await names.get('name-1')).toEqual(one);
    // What the refused write left could not be cut off, so no later write may follow it.
    simulated.disk.inject(undefined);
    expect((await simulated.store.health()).takesWrites).toBe(false);
    await expect(names.put('b', one)).rejects.toMatchObject({ code: 'STORE_DISK_READ_ONLY' });
  });

  it('a folder in which no file can be made refuses work that needs one, and writes go on', async () => {
    const simulated = await filled(0);
    simulated.disk.inject(({ kind }) => (kind === 'create' ? { code: 'EROFS' } : undefined));
    await expect(simulated.store.compact()).rejects.toMatchObject({ code: 'STORE_DISK_READ_ONLY' });
    simulated.disk.inject(undefined);
    expect((await simulated.store.health()).takesWrites).toBe(true);
    await simulated.store.compact();
    await (await simulated.store.namespace('kv')).put('b', one);
  });

  it('a failing read is a typed error, and the next read may succeed', async () => {
    const simulated = await filled(0);
    const names = await simulated.store.namespace('kv');
    simulated.disk.inject(({ kind }) => (kind === 'read' ? { code: 'EIO' } : undefined));
    await expect(names.get('name-1')).rejects.toMatchObject({ code: 'STORE_READ_FAILED' });
    simulated.disk.inject(undefined);
    expect(await names.get('name-1')).toEqual(one);
  });

  it('each operation failing once, at every position: typed errors, and the store opens correctly', async () => {
    for (let at = 1; at < 60; at++) {
      const simulated = await filled(512, 900);
      const { store, disk } = simulated;
      const names = await store.namespace('kv');
      const from = disk.steps;
      disk.inject(({ step, kind }) =>
        step === from + at && kind !== 'read' && kind !== 'stat' && kind !== 'list'
          ? { code: 'EIO' }
          : undefined,
      );
      const acknowledged: string[] = [];
      const asked = Array.from({ length: 6 }, (_, index) => `more-${index}`);
      for (const name of asked)
        await names.put(name, new Uint8Array(100)).then(
          () => acknowledged.push(name),
          (error: unknown) => expect(error).toHaveProperty('code', expect.stringMatching(/^STORE_/)),
        );
      await store.compact().catch((error: unknown) => {
        expect(error).toHaveProperty('code', expect.stringMatching(/^STORE_/));
      });
      await store.close().catch((error: unknown) => {
        expect(error).toHaveProperty('code', expect.stringMatching(/^STORE_/));
      });
      disk.inject(undefined);
      const again = await (await simulated.powerCut('lost')).store.namespace('kv');
      for (const name of acknowledged) expect(again.has(name), `${name}, failing step ${at}`).toBe(true);
      for (let index = 0; index < 5; index++) expect(again.has(`name-${index}`)).toBe(true);
    }
  });

  it('a closed store refuses every call, and leaves no file open', async () => {
    const simulated = await filled(0);
    const { store, disk } = simulated;
    const names = await store.namespace('kv');
    await store.close();
    await store.close();
    expect(disk.operations.openHandles).toBe(0);
    const closed = { code: 'STORE_CLOSED' };
    await expect(names.put('a', one)).rejects.toMatchObject(closed);
    await expect(names.get('name-1')).rejects.toMatchObject(closed);
    await expect(store.namespace('kv')).rejects.toMatchObject(closed);
    expect(() => store.snapshot()).toThrowError(expect.objectContaining(closed));
    expect(() => store.head()).toThrowError(expect.objectContaining(closed));
  });
});
