import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/bytes/hex.ts';
import { UserIndex } from '../../../../src/secrets/service/user-index.ts';
import { peekEntry, recordBytesOf } from '../../../../src/secrets/value.ts';
import { ringSecret } from '../../../support/ring-network.ts';
import { MemoryReplicaStore } from '../../../support/ring-records.ts';
import { ALICE, BOB } from '../../../support/secret-records.ts';

/** A secret of Alice (1) or Bob (2), and its id. */
function secret(user: number, version = 1) {
  const bytes = ringSecret(user, version);
  return { bytes, id: toHex(peekEntry(bytes).id) };
}

describe('the index of users', () => {
  it('follows the store: what is written, replaced and deleted', async () => {
    const index = new UserIndex();
    const store = index.around(new MemoryReplicaStore());
    const [ofAlice, newer, ofBob] = [secret(1), secret(1, 2), secret(2)];
    await store.put(ofAlice.id, ofAlice.bytes);
    await store.put(ofBob.id, ofBob.bytes);
    await store.put(newer.id, newer.bytes);
    expect([index.size, index.of(ALICE).length, index.of(BOB).length]).toEqual([2, 1, 1]);
    expect(index.of(ALICE)).toMatchObject([
      { id: newer.id, bytes: newer.bytes.length, content: { version: 2 } },
    ]);
    expect(index.usageWithout(ALICE, ofBob.id)).toEqual({ records: 1, bytes: newer.bytes.length });
    expect(index.usageWithout(ALICE, newer.id)).toEqual({ records: 0, bytes: 0 });
    expect(await index.recordOf(newer.id)).toEqual(recordBytesOf(newer.bytes));
    await store.delete(newer.id);
    expect([index.has(newer.id), index.size, index.of(ALICE).length]).toEqual([false, 1, 0]);
    expect(await index.recordOf(newer.id)).toBeUndefined();
  });

  it('does not have a record that the disk did not take, and has the one that it did not delete', async () => {
    const records = new MemoryReplicaStore();
    const index = new UserIndex();
    const store = index.around(records);
    const { id, bytes } = secret(1);
    records.put = () => Promise.reject(new Error('the disk failed'));
    await expect(store.put(id, bytes)).rejects.toThrow('the disk failed');
    expect(index.has(id)).toBe(false);
    records.put = MemoryReplicaStore.prototype.put.bind(records);
    await store.put(id, bytes);
    records.put = () => Promise.reject(new Error('the disk failed'));
    await expect(store.put(id, secret(1, 2).bytes)).rejects.toThrow('the disk failed');
    expect(index.find(id)).toMatchObject({ bytes: bytes.length, content: { version: 1 } });
    records.delete = () => Promise.reject(new Error('the disk failed'));
    await expect(store.delete(id)).rejects.toThrow('the disk failed');
    expect(index.has(id)).toBe(true);
  });

  it('is made of what the store has at the start', async () => {
    const records = new MemoryReplicaStore();
    const { id, bytes } = secret(1);
    await records.put(id, bytes);
    const index = new UserIndex();
    const store = index.around(records);
    expect(index.size).toBe(0);
    for await (const entry of store.entries()) expect(entry).toEqual(bytes);
    expect([index.size, index.has(id)]).toEqual([1, true]);
  });
});
