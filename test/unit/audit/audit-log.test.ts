import { describe, expect, it } from 'vitest';
import { decodeHead, encodeHead, extend, sameHead, startOfLog } from '../../../src/audit/audit-chain.ts';
import { decodeEntry, encodeEntry } from '../../../src/audit/audit-entry.ts';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import { RefusalCounts } from '../../../src/audit/refusal-counts.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { errorCodes } from '../../../src/errors/codes.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { MemoryStore, type MemoryStoreHooks } from '../../support/memory-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

const account = AccountId.of(new Uint8Array(32).fill(7));
const storeId = new Uint8Array(16).fill(9);

const logOn = (store: MemoryStore, maxEntries = 1_000) =>
  AuditLog.open({ store, account, storeId, nowMs: () => 1_800_000_000_000, maxEntries });

async function sequencesOf(log: AuditLog, from = 1): Promise<number[]> {
  const found: number[] = [];
  let head = log.base;
  for await (const { bytes, head: after } of log.entries(from)) {
    found.push(decodeEntry(bytes).sequence);
    if (from <= log.base.sequence + 1) {
      head = extend(head, bytes);
      expect(sameHead(head, after)).toBe(true);
    }
  }
  return found;
}

describe('audit log', () => {
  it('numbers entries and binds each to all before it, over a restart too', async () => {
    const store = new MemoryStore();
    const first = await logOn(store);
    expect(sameHead(first.head, startOfLog(account, storeId))).toBe(true);
    await first.append('node.started', { version: '1' });
    await first.append('key.released', { account: 'a', created: true });
    const second = await logOn(store);
    expect(sameHead(second.head, first.head)).toBe(true);
    await second.append('key.released', { account: 'b', created: false });
    expect(await sequencesOf(second)).toEqual([1, 2, 3]);
    expect(await sequencesOf(second, 3)).toEqual([3]);
  });

  it('keeps the order of 1,000 entries that come at once', async () => {
    const log = await logOn(new MemoryStore());
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => log.append('key.released', { n })));
    const numbers: unknown[] = [];
    for await (const { bytes } of log.entries(1)) numbers.push(decodeEntry(bytes).fields['n']);
    expect(numbers).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(log.behind).toBe(0);
  });

  it('resolves only when the entry is in the store', async () => {
    let letWrite = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letWrite = resolve;
    });
    const store = new MemoryStore({ beforeWrite: () => held });
    const log = await logOn(store);
    let isWritten = false;
    const writing = log.append('node.started', {}).then(() => {
      isWritten = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWritten).toBe(false);
    expect(log.head.sequence).toBe(0);
    letWrite();
    await writing;
    expect(log.head.sequence).toBe(1);
  });

  it('begins no write while another one is under way, whoever asks for it', async () => {
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    const writes = { now: 0, most: 0 };
    const store = new MemoryStore({
      beforeWrite: async () => {
        writes.most = Math.max(writes.most, ++writes.now);
        for (let turns = 0; turns < 5; turns++) await turn();
        writes.now--;
      },
    });
    const log = await logOn(store);
    const all: Promise<void>[] = [];
    for (let n = 0; n < 3; n++) {
      all.push(log.append('key.released', { n }), log.flush());
      await turn();
    }
    await Promise.all(all);
    expect(writes).toEqual({ now: 0, most: 1 });
    expect(await sequencesOf(log)).toEqual([1, 2, 3]);
  });

  it('keeps entries that a store does not take, and says how many it had to leave out', async () => {
    let isClosed = true;
    const hooks: MemoryStoreHooks = {
      beforeWrite: () => {
        if (isClosed) throw new ProblemError('NODE_UNCLAIMED', 'not yet');
      },
    };
    const log = await logOn(new MemoryStore(hooks), 10_000);
    const results = await Promise.allSettled(
      Array.from({ length: 5_000 }, (_, n) => log.append('key.released', { n })),
    );
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(log.behind).toBe(5_000);
    isClosed = false;
    await log.flush();
    expect(log.behind).toBe(0);
    const entries = [];
    for await (const { bytes } of log.entries(1)) entries.push(decodeEntry(bytes));
    expect(entries).toHaveLength(4_097);
    expect(entries.at(-1)).toMatchObject({ event: 'entries.missed', fields: { count: 904 } });
  });

  it('writes nothing twice when the answer to a write gets lost', async () => {
    let isLost = true;
    const store = new MemoryStore({
      afterWrite: () => {
        if (isLost) throw new ProblemError('STORE_WRITE_FAILED', 'after the write');
      },
    });
    await store.namespace('latchkey/audit').catch(() => undefined);
    const log = await logOn(store);
    await log.append('node.started', {});
    isLost = false;
    await log.append('drain.started', {});
    expect(await sequencesOf(log)).toEqual([1, 2]);
  });

  it('goes on when the answer to a write gets lost, and the store cannot be read at that moment', async () => {
    let isBroken = false;
    const fail = (code: 'WRITE_UNCERTAIN' | 'STORE_READ_FAILED'): void => {
      if (isBroken) throw new ProblemError(code, 'broken');
    };
    const store = new MemoryStore({
      afterWrite: () => fail('WRITE_UNCERTAIN'),
      beforeRead: () => fail('STORE_READ_FAILED'),
    });
    const log = await logOn(store);
    await log.append('node.started', {});
    isBroken = true;
    await expect(log.append('key.released', {})).rejects.toThrow(
      expect.objectContaining({ code: 'WRITE_UNCERTAIN' }),
    );
    isBroken = false;
    await log.append('key.released', {});
    expect(log.behind).toBe(0);
    // The one whose answer was lost is there twice: the log may name more than has left, never less.
    expect(await sequencesOf(log)).toEqual([1, 2, 3, 4]);
  });

  it('removes the oldest entries, and what remains still follows them', async () => {
    const store = new MemoryStore();
    const log = await logOn(store, 100);
    for (let n = 0; n < 25; n++)
      await Promise.all(Array.from({ length: 20 }, () => log.append('key.released', { n })));
    await log.flush();
    expect(log.head.sequence).toBe(500);
    expect(log.base.sequence).toBeGreaterThanOrEqual(390);
    expect(log.base.sequence).toBeLessThanOrEqual(400);
    const kept = await sequencesOf(log, log.base.sequence + 1);
    expect(kept[0]).toBe(log.base.sequence + 1);
    expect(kept.at(-1)).toBe(500);
    expect(sameHead((await logOn(store, 100)).head, log.head)).toBe(true);
    expect(sameHead((await logOn(store, 100)).base, log.base)).toBe(true);
  });

  it('says so when a write fails, also when the store cannot be read any more', async () => {
    const broken = { write: false, read: false };
    const store = new MemoryStore({
      beforeWrite: (operations) => {
        if (broken.write && operations.length > 0) throw new ProblemError('STORE_DISK_FULL', 'full');
      },
      beforeRead: () => {
        if (broken.read) throw new ProblemError('STORE_CLOSED', 'closed');
      },
    });
    const log = await logOn(store);
    await log.append('node.started', {});
    broken.write = true;
    for (const read of [false, true]) {
      broken.read = read;
      await expect(log.append('drain.started', {})).rejects.toThrow(
        expect.objectContaining({ code: 'STORE_DISK_FULL' }),
      );
      expect(log.head.sequence).toBe(1);
    }
    broken.write = false;
    broken.read = false;
    await log.append('drain.ended', {});
    expect(await sequencesOf(log)).toEqual([1, 2, 3, 4]);
  });

  it('removes nothing before there are a tenth too many, and then all that is too much', async () => {
    const store = new MemoryStore();
    const log = await logOn(store, 100);
    for (let n = 0; n < 110; n++) await log.append('key.released', { n });
    await log.flush();
    expect(log.base.sequence).toBe(0);
    await log.append('key.released', {});
    await log.flush();
    expect(log.base.sequence).toBe(11);
    // 100 entries and the record of what they follow.
    expect((await store.namespace('latchkey/audit')).size).toBe(101);
  });

  it('overwrites no entry of another log that writes into the same store', async () => {
    const store = new MemoryStore();
    const [first, second] = [await logOn(store), await logOn(store)];
    await first.append('node.started', {});
    await expect(second.append('drain.started', {})).rejects.toThrow(
      expect.objectContaining({ code: 'STORE_CONFLICT' }),
    );
    const entries = [];
    for await (const { bytes } of (await logOn(store)).entries(1)) entries.push(decodeEntry(bytes).event);
    expect(entries).toEqual(['node.started']);
  });

  it('removes nothing when the entry that the rest would follow is gone', async () => {
    const store = new MemoryStore();
    const log = await logOn(store, 100);
    for (let n = 0; n < 110; n++) await log.append('key.released', { n });
    await (await store.namespace('latchkey/audit')).delete('entry/0000000000000b');
    await log.append('key.released', {});
    await expect(log.flush()).rejects.toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }));
    expect(log.base.sequence).toBe(0);
  });

  it.each([
    ['a value without an entry', 'entry/00000000000001', new Uint8Array(32)],
    ['a name that is no number', 'entry/zz', new Uint8Array(64)],
    ['a short head before the first entry', 'base', new Uint8Array(39)],
  ])('refuses a store with %s', async (_what, name, value) => {
    const store = new MemoryStore();
    await (await store.namespace('latchkey/audit')).put(name, value);
    await expect(logOn(store)).rejects.toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }));
  });

  it('is not continued by the log of another store', async () => {
    const other = startOfLog(account, new Uint8Array(16).fill(8));
    expect(sameHead(other, startOfLog(account, storeId))).toBe(false);
  });
});

describe('audit entry', () => {
  it('has one encoding', () => {
    const bytes = encodeEntry(1, 2, 'node.started', { a: 'x', b: 1, c: true, d: ['y'] });
    expect(decodeEntry(bytes)).toEqual({
      sequence: 1,
      atMs: 2,
      event: 'node.started',
      fields: { a: 'x', b: 1, c: true, d: ['y'] },
    });
    const text = new TextDecoder().decode(bytes);
    for (const other of [` ${text}`, text.replace('"a"', '"\\u0061"'), text.replace('1', '1.0'), '', '[]'])
      expect(() => decodeEntry(new TextEncoder().encode(other))).toThrow(
        expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }),
      );
  });

  it('takes any text: control characters, half characters and long text', () => {
    const text = `\u0000\n"\ud800${'x'.repeat(10_000)}`;
    const { fields } = decodeEntry(encodeEntry(1, 2, 'keys.refused', { text, list: [text] }));
    expect(String(fields['text']).length).toBe(256);
    expect(String(fields['text']).startsWith('\u0000\n"\ufffd')).toBe(true);
  });

  it('has heads of 40 bytes', () => {
    const head = { sequence: 5, hash: new Uint8Array(32).fill(3) };
    expect(decodeHead(encodeHead(head))).toEqual(head);
    expect(() => decodeHead(new Uint8Array(41))).toThrow();
    expect(() => decodeHead(new Uint8Array(40).fill(255))).toThrow();
  });
});

describe('audit log on the disk of an enemy', () => {
  it('goes on where it was, when the disk failed the first reads', async () => {
    const broken = { read: false };
    const store = new MemoryStore({
      beforeRead: () => {
        if (broken.read) throw new ProblemError('STORE_READ_FAILED', 'EIO');
      },
    });
    const before = await logOn(store);
    await before.append('node.started', {});
    await before.append('drain.started', {});
    broken.read = true;
    const faults: unknown[] = [];
    const parts = { store, account, storeId, nowMs: () => 1_800_000_000_000, maxEntries: 1_000 };
    const log = await AuditLog.open(parts, (error) => faults.push(error));
    expect(faults).toHaveLength(1);
    await expect(log.append('key.released', { n: 3 })).rejects.toThrow(
      expect.objectContaining({ code: 'STORE_READ_FAILED' }),
    );
    expect(log.behind).toBe(1);
    broken.read = false;
    await log.append('key.released', { n: 4 });
    expect(log.head.sequence).toBe(4);
    expect(await sequencesOf(log)).toEqual([1, 2, 3, 4]);
  });

  it('reads both ends once, and needs no read to write nothing', async () => {
    const reads = { count: 0, fail: false };
    const store = new MemoryStore({
      beforeRead: () => {
        reads.count++;
        if (reads.fail) throw new ProblemError('STORE_READ_FAILED', 'EIO');
      },
    });
    const log = await logOn(store);
    await log.append('node.started', {});
    await log.read();
    expect(reads.count).toBe(0);
    reads.fail = true;
    const parts = { store, account, storeId, nowMs: () => 1_800_000_000_000, maxEntries: 1_000 };
    const unread = await AuditLog.open(parts, () => undefined);
    await expect(unread.flush()).resolves.toBeUndefined();
  });

  it('does not go back when a read ends late that began before an entry was written', async () => {
    const broken = { read: false };
    const held: (() => void)[] = [];
    const store = new MemoryStore({
      beforeRead: () => {
        if (broken.read) throw new ProblemError('STORE_READ_FAILED', 'EIO');
        return new Promise<void>((resolve) => held.push(resolve));
      },
    });
    const before = await logOn(store);
    await before.append('node.started', {});
    broken.read = true;
    const parts = { store, account, storeId, nowMs: () => 1_800_000_000_000, maxEntries: 1_000 };
    const log = await AuditLog.open(parts, () => undefined);
    broken.read = false;
    const [early, late] = [log.read(), log.read()];
    const bothWait = async () => {
      while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
    };
    // First the record of what was removed, then the last entry.
    await bothWait();
    for (const letGo of held.splice(0)) letGo();
    await bothWait();
    held.shift()?.();
    await early;
    await log.append('drain.started', {});
    held.shift()?.();
    await late;
    expect(log.head.sequence).toBe(2);
    await log.append('drain.ended', {});
    expect(log.head.sequence).toBe(3);
  });

  it('is refused when its last entry goes away while it is read', async () => {
    let reads = 0;
    const store = new MemoryStore({
      beforeRead: async () => {
        reads++;
        if (reads === 2) await (await store.namespace('latchkey/audit')).delete('entry/00000000000001');
      },
    });
    await (await logOn(store)).append('node.started', {});
    reads = 0;
    await expect(logOn(store)).rejects.toThrow(expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }));
  });

  it('goes on under another store key, and over a power cut after an entry was durable', async () => {
    const disk = new SimulatedDisk();
    const options = storeOptions(disk);
    const store = await SealedStore.create(options);
    const log = await AuditLog.open({ store, account, storeId, nowMs: () => 1, maxEntries: 1_000 });
    await log.append('key.released', { n: 1 });
    await store.rotateStoreKey(storeKeyOf(8));
    await log.append('store-key.changed', { generation: 2 });
    const { head } = log;
    const fileSystem = disk.afterPowerCut('lost');
    const after = await SealedStore.open({ ...options, fileSystem, storeKey: storeKeyOf(8) });
    const again = await AuditLog.open({ store: after, account, storeId, nowMs: () => 2, maxEntries: 1_000 });
    expect(sameHead(again.head, head)).toBe(true);
    expect(await sequencesOf(again)).toEqual([1, 2]);
    await after.close();
    await store.close();
  });

  it('writes an entry between the steps in which it removes old ones', async () => {
    const steps: string[] = [];
    const log = await logOn(
      new MemoryStore({
        beforeWrite: async (operations) => {
          if (operations.length === 0) return;
          steps.push(operations.some(({ kind }) => kind === 'delete') ? 'removed' : 'wrote');
          await new Promise((resolve) => setImmediate(resolve));
        },
      }),
      1_000,
    );
    await Promise.all(Array.from({ length: 4_000 }, () => log.append('key.released', {})));
    await log.flush();
    expect(log.head.sequence - log.base.sequence).toBe(1_000);
    // However many are to be removed, no entry waits for more than one step.
    expect(steps.join(' ')).not.toMatch(/removed removed.* wrote/);
  });

  it('removes what it owes between entries, after its limit was lowered', async () => {
    const lengths: number[] = [];
    const store = new MemoryStore({ beforeWrite: ({ length }) => void lengths.push(length) });
    const large = await logOn(store, 10_000);
    await Promise.all(Array.from({ length: 3_000 }, () => large.append('key.released', {})));
    lengths.length = 0;
    const small = await logOn(store, 1_000);
    const sizes: number[] = [];
    for (let n = 0; n < 3; n++) {
      await small.append('key.released', { n });
      sizes.push(small.head.sequence - small.base.sequence);
    }
    // Each entry was durable long before all old ones were gone.
    expect(sizes.every((size) => size > 2_000)).toBe(true);
    await small.flush();
    expect(small.head.sequence - small.base.sequence).toBeLessThanOrEqual(1_003);
    expect((await sequencesOf(small, small.base.sequence + 1)).at(-1)).toBe(3_003);
    // Each write has something to write.
    expect(lengths).not.toContain(0);
  });
});

describe('refusals', () => {
  it('make one entry a period, however many there are', () => {
    const refusals = new RefusalCounts();
    expect(refusals.take()).toBeUndefined();
    const codes = Object.keys(errorCodes);
    for (let n = 0; n < 100_000; n++) refusals.add(codes[n % codes.length] ?? '', `request-${n}`);
    const fields = refusals.take();
    expect(fields).toMatchObject({ total: 100_000 });
    expect(fields?.['first']).toHaveLength(16);
    expect(encodeEntry(1, 1, 'keys.refused', fields ?? {}).length).toBeLessThan(8_192);
    expect(refusals.take()).toBeUndefined();
  });
});
