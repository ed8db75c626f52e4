import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const fragmentOf = (id: number) => new Uint8Array(40).fill(id);

/** A store that does not acknowledge a write although it took effect, as a node's under a lease that ends meanwhile. */
function uncertainStore() {
  let acknowledged = Number.POSITIVE_INFINITY;
  const store = new MemoryStore({
    afterWrite: () => {
      acknowledged -= 1;
      if (acknowledged < 0) throw new ProblemError('WRITE_UNCERTAIN', 'the lease ended');
    },
  });
  /** @param first writes of this work that are still acknowledged. */
  const uncertain = async (first: number, work: () => Promise<unknown>): Promise<void> => {
    acknowledged = first;
    await expect(work()).rejects.toMatchObject({ code: 'WRITE_UNCERTAIN' });
    acknowledged = Number.POSITIVE_INFINITY;
  };
  return { store, uncertain };
}

describe('a fragment that was stored without an acknowledgement', () => {
  it('can be read and revoked by the same process', async () => {
    const { store, uncertain } = uncertainStore();
    const rituals = await Datastore.initialize(store);
    await rituals.storeFragment(1, 10, fragmentOf(1));
    await uncertain(0, () => rituals.storeFragment(2, 20, fragmentOf(2)));
    expect((await rituals.retrieveFragment(2)).fragment).toEqual(fragmentOf(2));
    expect(await rituals.storeFragment(2, 20, fragmentOf(2))).toBe(false);
    await rituals.deleteFragment(2);
    const again = await Datastore.initialize(store.reopened());
    await expect(again.retrieveFragment(2)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
    expect(again.count).toBe(1);
  });
});

describe('a revocation without an acknowledgement', () => {
  // A revocation makes a box for the other keys, moves them, and erases the box of the revoked one.
  it.each([0, 1, 2])(
    '%i writes on leaves the others readable, and is finished by the next call',
    async (first) => {
      const { store, uncertain } = uncertainStore();
      const rituals = await Datastore.initialize(store);
      for (const id of [1, 2, 3, 4]) await rituals.storeFragment(id, id, fragmentOf(id));
      await uncertain(first, () => rituals.deleteFragment(2));
      for (const id of [1, 3, 4])
        expect((await rituals.retrieveFragment(id)).fragment).toEqual(fragmentOf(id));
      await rituals.deleteFragment(2);
      await expect(rituals.retrieveFragment(2)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
      const again = await Datastore.initialize(store.reopened());
      for (const id of [1, 3, 4]) expect((await again.retrieveFragment(id)).fragment).toEqual(fragmentOf(id));
      // The box of the revoked key is gone, and with it that key.
      expect(store.namespaces()).not.toContain('rituals/keys/0000000001');
    },
  );
});
