import { describe, expect, it } from 'vitest';
import { type Conditions, RitualConditions } from '../../../src/rituals/conditions.ts';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const NOW = 1_700_000_000;
const fragment = Uint8Array.of(1, 2, 3);
const met: Conditions = { authorized: true, paid: true, expiresAt: NOW + 1 };

/** A datastore with the fragments of rituals 1 and 2, and a guard by stored conditions. */
async function guardedWorld(requireConditions: boolean, nowSeconds = () => NOW) {
  const store = new MemoryStore();
  const unguarded = await Datastore.initialize(store);
  for (const id of [1, 2]) await unguarded.storeFragment(id, NOW, fragment);
  const conditions = await RitualConditions.open(store);
  const datastore = await Datastore.initialize(store, {
    authorize: conditions.guard(nowSeconds, { requireConditions }),
  });
  return { conditions, datastore };
}

/** Codes of the refusals of each operation on ritual 1; `allowed` where it was carried out. */
async function outcomes(datastore: Datastore): Promise<readonly unknown[]> {
  const calls = [
    () => datastore.storeFragment(1, NOW, fragment),
    () => datastore.retrieveFragment(1),
    () => datastore.validators(1),
    () => datastore.deleteFragment(1),
  ];
  const found: unknown[] = [];
  for (const call of calls) {
    found.push(
      await call().then(
        () => 'allowed',
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      ),
    );
  }
  return found;
}

const [unauthorized, expired, unpaid] = ['RITUAL_UNAUTHORIZED', 'RITUAL_EXPIRED', 'RITUAL_UNPAID'];

describe('R10 conditions that are not stated', () => {
  it('count as met by default', async () => {
    const { datastore } = await guardedWorld(false);
    expect(await outcomes(datastore)).toEqual(['allowed', 'allowed', 'allowed', 'allowed']);
  });

  it.each([
    ['no conditions at all', undefined, [unauthorized, unauthorized, unauthorized, unauthorized]],
    ['none of them stated', {}, [unauthorized, unauthorized, unauthorized, unauthorized]],
    [
      'authorization',
      { paid: true, expiresAt: NOW + 1 },
      [unauthorized, unauthorized, unauthorized, unauthorized],
    ],
    ['payment', { authorized: true, expiresAt: NOW + 1 }, [unpaid, unpaid, 'allowed', 'allowed']],
    ['expiry', { authorized: true, paid: true }, [expired, expired, 'allowed', 'allowed']],
    ['nothing: all are stated and met', met, ['allowed', 'allowed', 'allowed', 'allowed']],
    ['nothing, and it has expired', { ...met, expiresAt: NOW }, [expired, expired, 'allowed', 'allowed']],
    ['nothing, and it is not paid for', { ...met, paid: false }, [unpaid, unpaid, 'allowed', 'allowed']],
  ])('are refused with requireConditions: %s', async (_missing, stated, expected) => {
    const { conditions, datastore } = await guardedWorld(true);
    if (stated !== undefined) await conditions.set(1, stated);
    // Those of another ritual allow nothing here.
    await conditions.set(2, met);
    expect(await outcomes(datastore)).toEqual(expected);
    expect(await datastore.list()).not.toEqual([]);
  });

  it.each([false, true])(
    'a clock that gives no number allows no retrieval (requireConditions %s)',
    async (strict) => {
      const { conditions, datastore } = await guardedWorld(strict, () => Number.NaN);
      await conditions.set(1, met);
      await expect(datastore.retrieveFragment(1)).rejects.toThrow(expect.objectContaining({ code: expired }));
    },
  );

  it('the option is a boolean: the text "false" is refused', async () => {
    const conditions = await RitualConditions.open(new MemoryStore());
    const requireConditions = 'false' as never;
    expect(() => conditions.guard(() => NOW, { requireConditions })).toThrow(TypeError);
  });
});
