import { beforeEach, describe, expect, it } from 'vitest';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { recordType } from '../../../src/rituals/record-type.ts';
import type { WritableRecord } from '../../../src/rituals/transaction.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const fields = { fo: 'integer', foo: 'string', blob: 'bytes', paid: 'boolean' } as const;
const Policy = recordType('Policy', fields);
const PolicyMap = recordType('PolicyMap', { foo: 'string' });

describe('typed records', () => {
  let store: MemoryStore;
  let datastore: Datastore;
  beforeEach(async () => {
    store = new MemoryStore();
    datastore = await Datastore.initialize(store);
  });

  it('R6 a transaction writes all of its changes in one step', async () => {
    const writes = store.writes;
    await datastore.transaction(async (transaction) => {
      const record = transaction.record(Policy, 1);
      record.set('fo', -7);
      record.set('foo', '');
      record.set('blob', bytes(0, 255));
      record.set('paid', false);
      transaction.record(Policy, 'one').set('fo', 1);
      expect(await record.get('fo')).toBe(-7);
      await expect(datastore.describe(Policy, 1)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' });
    });
    expect(store.writes).toBe(writes + 1);
    expect(await datastore.describe(Policy, 1)).toEqual({
      fo: -7,
      foo: '',
      blob: bytes(0, 255),
      paid: false,
    });
    expect(await datastore.describe(Policy, 'one')).toEqual({ fo: 1 });
  });

  it('R6 an unhandled error writes nothing, and the old values stay', async () => {
    await datastore.transaction((transaction) => transaction.record(Policy, 1).set('fo', 1));
    const writes = store.writes;
    const cause = new Error('boom');
    const aborted = datastore.transaction((transaction) => {
      transaction.record(Policy, 1).set('fo', 2);
      transaction.record(Policy, 2).set('fo', 2);
      throw cause;
    });
    await expect(aborted).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED', cause });
    expect(store.writes).toBe(writes);
    expect(await datastore.describe(Policy, 1)).toEqual({ fo: 1 });
    await expect(datastore.describe(Policy, 2)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' });
  });

  it('R6 a transaction commits after a handled error', async () => {
    await datastore.transaction(async (transaction) => {
      transaction.record(Policy, 1).set('fo', 1);
      await transaction.queryBy(Policy, { field: 'paid' }).catch(() => undefined);
      transaction.record(Policy, 1).set('paid', true);
    });
    expect(await datastore.describe(Policy, 1)).toEqual({ fo: 1, paid: true });
  });

  it('R6 use of a transaction after its end fails', async () => {
    let record: WritableRecord<typeof fields> | undefined;
    await datastore.transaction((transaction) => {
      record = transaction.record(Policy, 1);
      record.set('fo', 1);
    });
    expect(() => record?.set('fo', 2)).toThrow(TypeError);
    expect(() => record?.delete()).toThrow(TypeError);
    await expect(record?.get('fo')).rejects.toThrow(TypeError);
    expect(await datastore.describe(Policy, 1)).toEqual({ fo: 1 });
  });

  it('R6 a write that the store refuses rejects and changes nothing', async () => {
    let failing = false;
    const refusing = new MemoryStore({
      beforeWrite: () => {
        if (failing) throw new Error('disk full');
      },
    });
    const guarded = await Datastore.initialize(refusing);
    failing = true;
    await expect(guarded.transaction((t) => t.record(Policy, 1).set('fo', 1))).rejects.toThrow('disk full');
    failing = false;
    await expect(guarded.describe(Policy, 1)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' });
  });

  it('R6 transactions run one after another: no update is lost', async () => {
    await Promise.all(
      Array.from({ length: 50 }, () =>
        datastore.transaction(async (transaction) => {
          const record = transaction.record(Policy, 1);
          const before = (await record.get('fo')) ?? 0;
          await new Promise((resolve) => setImmediate(resolve));
          record.set('fo', before + 1);
        }),
      ),
    );
    expect(await datastore.describe(Policy, 1)).toEqual({ fo: 50 });
  });

  it('R6 a transaction inside a transaction is refused, because it would wait for itself', async () => {
    const nested = datastore.transaction(() => datastore.transaction(() => undefined));
    await expect(nested).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED', cause: expect.any(TypeError) });
    await datastore.transaction((transaction) => transaction.record(Policy, 1).set('fo', 1));
  });

  it('R7 a value of a wrong type aborts the transaction', async () => {
    const wrong: readonly (readonly [field: 'fo' | 'foo' | 'blob' | 'paid', value: unknown])[] = [
      ['fo', '1'],
      ['fo', 1.5],
      ['fo', 2 ** 53],
      ['fo', 1n],
      ['fo', null],
      ['foo', 1],
      ['foo', bytes(1)],
      ['blob', 'text'],
      ['blob', [1]],
      ['paid', 1],
    ];
    for (const [field, value] of wrong) {
      const aborted = datastore.transaction((transaction) => {
        transaction.record(Policy, 1).set('foo', 'before');
        // What plain JavaScript may pass.
        (transaction.record(Policy, 1).set as (field: string, value: unknown) => void)(field, value);
      });
      await expect(aborted).rejects.toMatchObject({
        code: 'TRANSACTION_ABORTED',
        cause: expect.any(TypeError),
      });
    }
    await expect(datastore.describe(Policy, 1)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' });
  });

  it('R7 reading a value that was stored with another type is a TypeError', async () => {
    await datastore.transaction((transaction) => transaction.record(Policy, 1).set('fo', 1));
    const changed = recordType('Policy', { fo: 'string' });
    await expect(datastore.describe(changed, 1)).rejects.toThrow(TypeError);
  });

  it('R7 an unknown field is a TypeError, also a name from Object.prototype', async () => {
    for (const field of ['nope', 'toString', '__proto__']) {
      const aborted = datastore.transaction((transaction) => {
        (transaction.record(Policy, 1).set as (field: string, value: unknown) => void)(field, 1);
      });
      await expect(aborted).rejects.toMatchObject({ cause: expect.any(TypeError) });
    }
    expect(() => recordType('A:B', {})).toThrow(TypeError);
    expect(() => recordType('A', { 'b:c': 'string' })).toThrow(TypeError);
  });

  it('R7 undefined removes a field, delete() removes the record', async () => {
    await datastore.transaction((transaction) => {
      transaction.record(Policy, 1).set('fo', 1);
      transaction.record(Policy, 1).set('foo', 'x');
      transaction.record(Policy, 2).set('fo', 2);
    });
    await datastore.transaction(async (transaction) => {
      transaction.record(Policy, 1).set('fo', undefined);
      transaction.record(Policy, 2).delete();
      expect(await transaction.record(Policy, 2).get('fo')).toBeUndefined();
    });
    expect(await datastore.describe(Policy, 1)).toEqual({ foo: 'x' });
    await expect(datastore.describe(Policy, 2)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' });
  });
});

describe('R8 queries', () => {
  let datastore: Datastore;
  beforeEach(async () => {
    datastore = await Datastore.initialize(new MemoryStore());
    await datastore.transaction((transaction) => {
      for (const id of [10, 9, 100, 'b', 'a', '9', 'ä', '\u{1f600}', '\uffff', 'x:y']) {
        transaction.record(Policy, id).set('foo', String(id));
      }
      transaction.record(Policy, 9).set('fo', 9);
      transaction.record(PolicyMap, 1).set('foo', 'other type');
    });
  });

  it('R8 by type: each record once, integers in order, then strings by their bytes', async () => {
    const found = await datastore.queryBy(Policy);
    expect(found.map(({ id }) => id)).toEqual([9, 10, 100, '9', 'a', 'b', 'x:y', 'ä', '\uffff', '\u{1f600}']);
    expect(found[0]?.values).toEqual({ foo: '9', fo: 9 });
  });

  it('R8 prefix exactness: the field fo is not foo, the type Policy is not PolicyMap', async () => {
    expect((await datastore.queryBy(Policy, { field: 'fo' })).map(({ id }) => id)).toEqual([9]);
    expect((await datastore.queryBy(PolicyMap)).map(({ id }) => id)).toEqual([1]);
    expect(await datastore.queryBy(Policy, { field: 'foo' })).toHaveLength(10);
  });

  it('R8 the ids 9 and "9" are two records', async () => {
    expect(await datastore.describe(Policy, 9)).toEqual({ foo: '9', fo: 9 });
    expect(await datastore.describe(Policy, '9')).toEqual({ foo: '9' });
  });

  it('R8 by filter; no match is RECORD_NOT_FOUND; an unknown field is a TypeError', async () => {
    const long = await datastore.queryBy(Policy, {
      field: 'foo',
      filter: ({ foo }) => (foo?.length ?? 0) > 1,
    });
    expect(long.map(({ id }) => id)).toEqual([10, 100, 'x:y', '\u{1f600}']);
    await expect(datastore.queryBy(Policy, { filter: () => false })).rejects.toMatchObject({
      code: 'RECORD_NOT_FOUND',
    });
    await expect(datastore.queryBy(Policy, { field: 'paid' })).rejects.toMatchObject({
      code: 'RECORD_NOT_FOUND',
    });
    await expect(datastore.queryBy(Policy, { field: 'nope' as 'fo' })).rejects.toThrow(TypeError);
  });

  it('R8 a query in a transaction sees the writes of the transaction, and its results can be written', async () => {
    await datastore.transaction(async (transaction) => {
      transaction.record(Policy, 8).set('fo', 8);
      transaction.record(Policy, 9).delete();
      const found = await transaction.queryBy(Policy, { field: 'fo' });
      expect(found.map(({ id }) => id)).toEqual([8]);
      for (const record of found) record.set('fo', ((await record.get('fo')) ?? 0) * 2);
    });
    expect(await datastore.queryBy(Policy, { field: 'fo' })).toEqual([{ id: 8, values: { fo: 16 } }]);
  });

  it('R8 a query reads one consistent state', async () => {
    let writing: Promise<unknown> = Promise.resolve();
    let started = false;
    const found = await datastore.queryBy(Policy, {
      filter: () => {
        if (!started)
          writing = datastore.transaction((transaction) =>
            transaction.record(Policy, 'zz').set('foo', 'new'),
          );
        started = true;
        return true;
      },
    });
    await writing;
    expect(found).toHaveLength(10);
    expect(await datastore.queryBy(Policy)).toHaveLength(11);
  });
});
