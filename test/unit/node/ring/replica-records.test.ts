import { describe, expect, it } from 'vitest';
import { ReplicaRecords } from '../../../../src/node/ring/replica-records.ts';
import type { StoreHealth } from '../../../../src/store/api/health.ts';
import type { Store } from '../../../../src/store/api/store-api.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

/** A store whose disk has so many free bytes. */
class StoreOnDisk extends MemoryStore {
  freeBytes: number;

  constructor(freeBytes: number) {
    super();
    this.freeBytes = freeBytes;
  }

  override async health(): Promise<StoreHealth> {
    return { ...(await super.health()), freeBytes: this.freeBytes };
  }
}

const withFree = (freeBytes: number): Store => new StoreOnDisk(freeBytes);

const bounds = { maxBytes: 100, keepFreeBytes: 1_000 };
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(1);

describe('copies of records in the store of a node', () => {
  it('are there after a restart, with their size and the ledger', async () => {
    const store = withFree(10_000);
    const first = await ReplicaRecords.open(store, bounds, () => 0);
    await first.put('aa', bytes(60));
    await first.writeLedger({ purgedAtMs: 7, repairedAtMs: { ab: 5 } });
    const again = await ReplicaRecords.open(store, bounds, () => 0);
    const found: number[] = [];
    for await (const entry of again.entries()) found.push(entry.length);
    expect(found).toEqual([60]);
    expect(again.bytes).toBe(60);
    expect(await again.readLedger()).toEqual({ purgedAtMs: 7, repairedAtMs: { ab: 5 } });
  });

  it('take no more room than is allowed; a replacement counts once', async () => {
    const records = await ReplicaRecords.open(withFree(10_000), bounds, () => 0);
    await records.put('aa', bytes(60));
    await expect(records.put('bb', bytes(60))).rejects.toMatchObject({ code: 'RING_FULL' });
    await records.put('aa', bytes(100));
    await records.delete('aa');
    await records.put('bb', bytes(60));
    expect(records.bytes).toBe(60);
    expect(records.count).toBe(1);
  });

  it('leave the room of the node’s own store free', async () => {
    const records = await ReplicaRecords.open(withFree(1_010), bounds, () => 0);
    await records.put('aa', bytes(10));
    await expect(records.put('bb', bytes(11))).rejects.toMatchObject({ code: 'RING_FULL' });
    expect(await records.get('bb')).toBeUndefined();
  });

  it('are replaced by smaller ones on a full disk too, so that a user can delete', async () => {
    const store = new StoreOnDisk(10_000);
    const before = await ReplicaRecords.open(store, bounds, () => 0);
    await before.put('aa', bytes(60));
    await before.put('bb', bytes(40));
    const fullDisk = Object.assign(store, { freeBytes: 5 });
    const records = await ReplicaRecords.open(fullDisk, { ...bounds, maxBytes: 10 }, () => 0);
    for await (const entry of records.entries()) expect(entry.length).toBeGreaterThan(0);
    await records.put('aa', bytes(20));
    expect(records.bytes).toBe(60);
    await expect(records.put('aa', bytes(20))).rejects.toMatchObject({ code: 'RING_FULL' });
    await expect(records.put('cc', bytes(1))).rejects.toMatchObject({ code: 'RING_FULL' });
  });

  it('are asked for room by the same rules before they are written, which takes up none', async () => {
    const records = await ReplicaRecords.open(withFree(1_050), bounds, () => 0);
    for (let turn = 0; turn < 3; turn++) await records.requireRoom('aa', 50);
    await expect(records.requireRoom('aa', 51)).rejects.toMatchObject({ code: 'RING_FULL' });
    await records.put('aa', bytes(50));
    await records.requireRoom('aa', 49);
    const large = await ReplicaRecords.open(withFree(10_000), bounds, () => 0);
    await large.requireRoom('aa', 100);
    await expect(large.requireRoom('aa', 101)).rejects.toMatchObject({ code: 'RING_FULL' });
  });

  it('do not pass the bound when many are written at once', async () => {
    const records = await ReplicaRecords.open(withFree(10_000), bounds, () => 0);
    const names = Array.from({ length: 8 }, (_, at) => `0${at}`);
    const written = await Promise.allSettled(names.map((name) => records.put(name, bytes(40))));
    expect(written.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(records.bytes).toBe(80);
  });

  it('do not use up the free space within one look at the disk', async () => {
    const records = await ReplicaRecords.open(withFree(1_050), bounds, () => 0);
    await records.put('aa', bytes(30));
    await expect(records.put('bb', bytes(30))).rejects.toMatchObject({ code: 'RING_FULL' });
  });

  it('look at the disk once for many that are written at once', async () => {
    const store = new StoreOnDisk(10_000);
    let looks = 0;
    const health = store.health.bind(store);
    store.health = () => {
      looks += 1;
      return health();
    };
    let nowMs = 0;
    const records = await ReplicaRecords.open(store, bounds, () => nowMs);
    const many = () => Promise.all(Array.from({ length: 9 }, (_, at) => records.put(`0${at}`, bytes(1))));
    await many();
    expect(looks).toBe(1);
    nowMs = 1_001;
    await many();
    expect(looks).toBe(2);
  });

  it('ask again after a look at the disk that failed', async () => {
    const store = new StoreOnDisk(10_000);
    const health = store.health.bind(store);
    store.health = () => Promise.reject(new Error('the disk failed'));
    const records = await ReplicaRecords.open(store, bounds, () => 0);
    await expect(records.put('aa', bytes(1))).rejects.toThrow('the disk failed');
    store.health = health;
    await records.put('aa', bytes(1));
  });

  it('that the disk did not take are not counted', async () => {
    let isBroken = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isBroken) throw new Error('the disk failed');
      },
    });
    const records = await ReplicaRecords.open(store, bounds, () => 0);
    isBroken = true;
    await expect(records.put('aa', bytes(60))).rejects.toThrow('the disk failed');
    expect(records.bytes).toBe(0);
  });
});
