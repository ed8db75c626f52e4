import { describe, expect, it } from 'vitest';
import { RitualConditions } from '../../../src/rituals/conditions.ts';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { allowed, expiryGuard, type Guard } from '../../../src/rituals/guard.ts';
import { recordType } from '../../../src/rituals/record-type.ts';
import type { ActiveRitual } from '../../../src/rituals/ritual-cache.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const content = Uint8Array.from({ length: 48 }, (_, at) => at + 1);
const phase = { ritualId: 1, phase: 1 } as const;
const active: ActiveRitual = {
  id: 1,
  dkgSize: 4,
  threshold: 3,
  totalAggregations: 4,
  aggregatedTranscript: content,
  publicKey: content,
  initTimestamp: 10,
  endTimestamp: 20,
};

/** A datastore with a guard that answers one turn of the event loop later, so that the caller can change its bytes. */
async function guardedDatastore() {
  const authorize: Guard = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return allowed;
  };
  return Datastore.initialize(new MemoryStore(), { authorize });
}

/** What a JavaScript caller can pass although the types forbid it. */
const untyped = (value: unknown): never => value as never;

describe.each(kindsOfBytes)(
  'bytes of the caller ($kind) may be changed by the caller during a call',
  ({ make }) => {
    it('a fragment is stored unchanged', async () => {
      const datastore = await guardedDatastore();
      const given = make(content);
      const storing = datastore.storeFragment(1, 10, given);
      given.fill(0xff);
      expect(await storing).toBe(true);
      expect((await datastore.retrieveFragment(1)).fragment).toEqual(content);
    });

    it('a phase transaction is stored and cleared unchanged', async () => {
      const datastore = await guardedDatastore();
      const given = make(content);
      const storing = datastore.storePhaseTransaction(phase, given);
      given.fill(0xff);
      await storing;
      expect(await datastore.phaseTransaction(phase)).toEqual(content);
      const expected = make(content);
      const clearing = datastore.clearPhaseTransaction(phase, expected);
      expected.fill(0xff);
      expect(await clearing).toBe(true);
    });

    it('validators are stored unchanged', async () => {
      const datastore = await guardedDatastore();
      const given = [{ address: '0xa', publicKey: make(content) }];
      const storing = datastore.storeValidators(1, given);
      given[0]?.publicKey.fill(0xff);
      given.push({ address: '0xb', publicKey: make(content) });
      await storing;
      expect(await datastore.validators(1)).toEqual([{ address: '0xa', publicKey: content }]);
    });

    it('an active ritual is stored unchanged', async () => {
      const datastore = await guardedDatastore();
      const given = { ...active, aggregatedTranscript: make(content), publicKey: make(content) };
      const storing = datastore.storeActiveRitual(given);
      given.aggregatedTranscript.fill(0xff);
      given.publicKey.fill(0xff);
      given.threshold = 1;
      await storing;
      expect(await datastore.activeRitual(1)).toEqual(active);
    });

    it('a field of a typed record is stored unchanged', async () => {
      const datastore = await guardedDatastore();
      const type = recordType('Kept', { data: 'bytes' });
      const given = make(content);
      await datastore.transaction((transaction) => {
        transaction.record(type, 1).set('data', given);
        given.fill(0xff);
      });
      expect(await datastore.describe(type, 1)).toEqual({ data: content });
    });
  },
);

describe('values that only a JavaScript caller can pass are refused, and nothing is written', () => {
  it.each([
    ['text', 'abc'],
    ['an array of numbers', [1, 2, 3]],
    ['an ArrayBuffer', content.buffer],
    ['a Uint16Array', new Uint16Array(2)],
    ['nothing', undefined],
    ['bytes whose buffer is detached', detachedBytes()],
  ])('%s where bytes are expected', async (_kind, value) => {
    const store = new MemoryStore();
    const datastore = await Datastore.initialize(store);
    const { writes } = store;
    const calls = [
      () => datastore.storeFragment(1, 1, untyped(value)),
      () => datastore.storePhaseTransaction(phase, untyped(value)),
      () => datastore.clearPhaseTransaction(phase, untyped(value)),
      () => datastore.storeValidators(1, [{ address: '0xa', publicKey: untyped(value) }]),
      () => datastore.storeActiveRitual({ ...active, publicKey: untyped(value) }),
      () => datastore.storeActiveRitual({ ...active, aggregatedTranscript: untyped(value) }),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(TypeError);
    expect(store.writes).toBe(writes);
  });

  it.each([0, 3, Number.NaN, '1', '1/../2'])('phase %s', async (unknown) => {
    const datastore = await Datastore.initialize(new MemoryStore());
    const id = { ritualId: 1, phase: untyped(unknown) };
    await expect(datastore.storePhaseTransaction(id, content)).rejects.toThrow(RangeError);
    await expect(datastore.phaseTransaction(id)).rejects.toThrow(RangeError);
    await expect(datastore.clearPhaseTransaction(id, content)).rejects.toThrow(RangeError);
  });

  it.each([Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, '2'])('limit %s of a list', async (limit) => {
    const datastore = await Datastore.initialize(new MemoryStore());
    await datastore.storeFragment(1, 1, content);
    await expect(datastore.list({ limit: untyped(limit) })).rejects.toThrow(RangeError);
  });

  it.each(['dkgSize', 'threshold', 'totalAggregations', 'initTimestamp', 'endTimestamp'] as const)(
    'an active ritual whose %s is not an integer',
    async (field) => {
      const datastore = await Datastore.initialize(new MemoryStore());
      for (const wrong of [Number.NaN, '4', -1]) {
        const both = field === 'totalAggregations' ? { dkgSize: untyped(wrong) } : {};
        const ritual = { ...active, ...both, [field]: untyped(wrong) };
        await expect(datastore.storeActiveRitual(ritual)).rejects.toThrow(RangeError);
      }
    },
  );

  it('conditions of a wrong type or with an unknown name: a misspelt condition must not allow an operation', async () => {
    const conditions = await RitualConditions.open(new MemoryStore());
    for (const wrong of [
      { authorized: 'false' },
      { authorized: null },
      { paid: 0 },
      { payed: false },
      { expiresAt: Number.NaN },
      { expiresAt: '10' },
    ])
      await expect(conditions.set(1, untyped(wrong))).rejects.toThrow(
        expect.objectContaining({ name: expect.stringMatching(/^(Type|Range)Error$/) }),
      );
    expect(await conditions.get(1)).toBeUndefined();
  });

  it.each([[true], [undefined], [{ allowed: 'yes' }], [{ allowed: false, because: 'other', reason: '' }]])(
    'an invalid answer of the guard: %j',
    async (answer) => {
      const datastore = await Datastore.initialize(new MemoryStore(), { authorize: () => untyped(answer) });
      await expect(datastore.storeFragment(1, 1, content)).rejects.toThrow(TypeError);
      expect(datastore.count).toBe(0);
    },
  );

  it('a guard that is not a function, and a lifetime that is not a number: neither means "allowed"', async () => {
    await expect(Datastore.initialize(new MemoryStore(), { authorize: untyped(null) })).rejects.toThrow(
      TypeError,
    );
    for (const lifetime of [Number.NaN, -1, '1'])
      expect(() => expiryGuard(untyped(lifetime), () => 0)).toThrow(RangeError);
  });

  it('a clock that gives no number: rituals then count as expired', async () => {
    const authorize = expiryGuard(1000, () => Number.NaN);
    const datastore = await Datastore.initialize(new MemoryStore(), { authorize });
    await datastore.storeFragment(1, 1, content);
    await expect(datastore.retrieveFragment(1)).rejects.toThrow(
      expect.objectContaining({ code: 'RITUAL_EXPIRED' }),
    );
  });

  it('a field of an unknown type', () => {
    expect(() => recordType('Kept', { data: untyped('blob') })).toThrow(TypeError);
  });
});
