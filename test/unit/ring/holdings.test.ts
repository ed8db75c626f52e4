import { describe, expect, it } from 'vitest';
import { RecordId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { RingEntry } from '../../../src/ring/replication/entry.ts';
import { Holdings, TOO_OLD_MS } from '../../../src/ring/replication/holdings.ts';
import { MemoryReplicaStore, ringFormat, ringRecord, versionOf } from '../../support/ring-records.ts';

const NOW = 1_800_000_000_000;
const FAR = NOW + 10 * TOO_OLD_MS;
const ID = RecordId.of(new Uint8Array(32).fill(1));
const OTHER = RecordId.of(new Uint8Array(32).fill(2));
const NAME = toHex(ID);
const entry = (version: number, expiresAtMs = FAR, id: Uint8Array = ID): RingEntry =>
  ringFormat.read(ringRecord(id, version, expiresAtMs));

async function world(store = new MemoryReplicaStore()) {
  const time = { nowMs: NOW };
  const holdings = await Holdings.open({ format: ringFormat, store, now: () => time.nowMs });
  const changes: (readonly [string, boolean])[] = [];
  holdings.onChange = (id, held) => changes.push([id, held !== undefined]);
  const versionAt = async (id: Uint8Array = ID): Promise<number | undefined> => {
    const found = await holdings.read(toHex(id));
    return found === undefined ? undefined : versionOf(found);
  };
  return { store, time, holdings, changes, versionAt };
}

describe('records of a node', () => {
  it('are replaced by newer ones only', async () => {
    const { store, holdings, changes, versionAt } = await world();
    await holdings.keep(entry(2));
    store.put = () => Promise.reject(new Error('written'));
    for (const version of [1, 2])
      expect(toHex((await holdings.keep(entry(version))).order)).toBe(toHex(entry(2).order));
    await expect(holdings.keep(entry(3))).rejects.toThrow('written');
    expect(await versionAt()).toBe(2);
    expect(changes).toEqual([[NAME, true]]);
  });

  it('of others do not come back when they are over, unless they are here', async () => {
    const { holdings, versionAt } = await world();
    const [over, notYet] = [NOW - TOO_OLD_MS, NOW - TOO_OLD_MS + 1];
    await holdings.keepCopy(entry(1, over));
    expect(await versionAt()).toBeUndefined();
    await holdings.keepCopy(entry(1, notYet));
    expect(await versionAt()).toBe(1);
    await holdings.keepCopy(entry(2, over));
    expect(await versionAt()).toBe(2);
  });

  it('are dropped as they were looked at, not as they are by then', async () => {
    const { store, holdings, changes, versionAt } = await world();
    const first = await holdings.keep(entry(1));
    const second = await holdings.keep(entry(2));
    await holdings.drop(first);
    expect(await versionAt()).toBe(2);
    await holdings.drop(second);
    await holdings.drop(second);
    expect(await versionAt()).toBeUndefined();
    expect([store.records.size, changes.at(-1)]).toEqual([0, [NAME, false]]);
    expect(changes).toHaveLength(3);
  });
});

describe('writes of one record', () => {
  it('run one after the other, however many there are', async () => {
    const { store, holdings, versionAt } = await world();
    const put = store.put.bind(store);
    let [running, most] = [0, 0];
    store.put = async (id, bytes) => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await put(id, bytes);
      running -= 1;
    };
    const first = [1, 2].map((version) => holdings.keep(entry(version)));
    await first[0];
    await Promise.all([...first, ...[3, 4].map((version) => holdings.keep(entry(version)))]);
    expect([most, await versionAt()]).toEqual([1, 4]);
  });
});

describe('a record that the disk lost', () => {
  it.each(['no record', 'an older one'])('is missing from then on, and is no answer (%s)', async (what) => {
    const { store, holdings, changes, versionAt } = await world();
    await holdings.keep(entry(2));
    store.records.delete(NAME);
    if (what === 'an older one') store.records.set(NAME, entry(1).bytes);
    await expect(holdings.read(NAME)).rejects.toMatchObject({ code: 'RING_NOT_READY' });
    expect([holdings.find(NAME), changes.at(-1)]).toEqual([undefined, [NAME, false]]);
    expect(await versionAt()).toBe(what === 'an older one' ? 1 : undefined);
  });

  it('is not there for others, and any other failure of the disk is told', async () => {
    const { store, holdings } = await world();
    await holdings.keep(entry(2));
    store.records.delete(NAME);
    expect(await holdings.copyOf(NAME)).toBeUndefined();
    store.get = () => Promise.reject(new Error('the disk failed'));
    await expect(holdings.copyOf(NAME)).rejects.toThrow('the disk failed');
    store.get = () => Promise.reject(new ProblemError('RING_FULL', 'of another code'));
    await expect(holdings.copyOf(NAME)).rejects.toMatchObject({ code: 'RING_FULL' });
  });

  it('is none while it is written: the second look counts', async () => {
    const { store, holdings, versionAt } = await world();
    await holdings.keep(entry(1));
    const get = store.get.bind(store);
    let looks = 0;
    store.get = async (id) => (looks++ === 0 ? undefined : get(id));
    expect(await versionAt()).toBe(1);
    expect(looks).toBe(2);
  });

  it('is none when the disk has a newer one', async () => {
    const { store, holdings, versionAt } = await world();
    await holdings.keep(entry(1));
    store.records.set(NAME, entry(2).bytes);
    expect(await versionAt()).toBe(2);
  });
});

describe('a purge', () => {
  it('takes what expired and was stored a month ago, to the millisecond', async () => {
    const { time, holdings, versionAt, store } = await world();
    await holdings.keep(entry(1, NOW + 10));
    await holdings.keep(entry(1, NOW - 10, OTHER));
    time.nowMs = NOW + TOO_OLD_MS - 1;
    await holdings.purge();
    expect([await versionAt(), await versionAt(OTHER)]).toEqual([1, 1]);
    expect((await store.readLedger()).purgedAtMs).toBe(0);
    time.nowMs = NOW + TOO_OLD_MS;
    await holdings.purge();
    expect([await versionAt(), await versionAt(OTHER)]).toEqual([1, undefined]);
    expect((await store.readLedger()).purgedAtMs).toBe(time.nowMs);
    time.nowMs += 9;
    await holdings.purge();
    expect(await versionAt()).toBe(1);
    time.nowMs += 1;
    await holdings.purge();
    expect(await versionAt()).toBeUndefined();
  });

  it('counts what was there at the start from its first time on', async () => {
    const store = new MemoryReplicaStore();
    store.records.set(NAME, entry(1, 5).bytes);
    const { time, holdings, versionAt } = await world(store);
    await holdings.purge();
    time.nowMs += TOO_OLD_MS - 1;
    await holdings.purge();
    expect(await versionAt()).toBe(1);
    // Nothing was purged, so nobody has missed it.
    expect((await store.readLedger()).purgedAtMs).toBe(0);
    time.nowMs += 1;
    await holdings.purge();
    expect(await versionAt()).toBeUndefined();
  });

  it('is in the ledger before the first record is gone', async () => {
    const { store, time, holdings } = await world();
    await holdings.keep(entry(1, NOW));
    time.nowMs += TOO_OLD_MS;
    const deletion = store.delete.bind(store);
    const purged: number[] = [];
    store.delete = async (id) => {
      purged.push((await store.readLedger()).purgedAtMs);
      await deletion(id);
    };
    await holdings.purge();
    expect(purged).toEqual([time.nowMs]);
  });
});

describe('a member that was away', () => {
  it('has outlived nothing before the first purge', async () => {
    const { holdings } = await world();
    expect([holdings.outlived('aa'), holdings.isTooOld('aa')]).toEqual([false, false]);
  });

  it('is outlived when its last repair is a month older than the purge, to the millisecond', async () => {
    const { time, holdings } = await world();
    await holdings.keep(entry(1, NOW));
    time.nowMs += TOO_OLD_MS;
    await holdings.purge();
    expect(holdings.outlived('aa')).toBe(true);
    await holdings.noteRepaired('aa', NOW);
    expect([holdings.outlived('aa'), holdings.isTooOld('aa')]).toEqual([true, true]);
    await holdings.noteRepaired('aa', NOW + 1);
    expect([holdings.outlived('aa'), holdings.isTooOld('aa')]).toEqual([false, false]);
    expect(holdings.outlived('bb')).toBe(true);
  });

  it('is too old by the word of another one, until it has completed a repair here', async () => {
    const { time, holdings } = await world();
    holdings.noteOutlived('cc', ['aa']);
    expect([holdings.isTooOld('aa'), holdings.isTooOld('bb'), holdings.outlived('aa')]).toEqual([
      true,
      false,
      false,
    ]);
    await holdings.noteRepaired('aa', NOW - TOO_OLD_MS);
    expect(holdings.isTooOld('aa')).toBe(true);
    await holdings.noteRepaired('aa', NOW - TOO_OLD_MS + 1);
    expect(holdings.isTooOld('aa')).toBe(false);
    time.nowMs += 1;
    expect(holdings.isTooOld('aa')).toBe(true);
    holdings.noteOutlived('cc', []);
    expect(holdings.isTooOld('aa')).toBe(false);
  });

  it('says nothing of others once it knows that it was away', async () => {
    const { time, holdings } = await world();
    await holdings.keep(entry(1, NOW));
    time.nowMs += TOO_OLD_MS;
    await holdings.purge();
    holdings.noteOutlived('cc', ['bb']);
    await holdings.resign();
    expect([holdings.outlived('aa'), holdings.isTooOld('bb')]).toEqual([false, false]);
  });
});
