import { describe, expect, it } from 'vitest';
import { bootRecords, LINEAGE_NAMESPACE, leaseOfLastWriter } from '../../../src/boot/node/boot-record.ts';
import { bootOf, lineageOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const incarnation = lineageOf(1).incarnation(3, bootOf(3));

describe('the lease beside the boot record', () => {
  it('is that of the last writer, and goes with a writer that has none', async () => {
    const store = new MemoryStore();
    expect(await leaseOfLastWriter(store)).toBe(0);
    await store.namespace(LINEAGE_NAMESPACE);
    expect(await leaseOfLastWriter(store)).toBe(0);
    for (const leaseMs of [60_000, 10_000]) {
      await store.batch(bootRecords(incarnation, leaseMs));
      expect(await leaseOfLastWriter(store)).toBe(leaseMs);
    }
    await store.batch(bootRecords(incarnation, undefined));
    expect(await leaseOfLastWriter(store)).toBe(0);
  });

  it.each([0, 7, 9])('of %i bytes is refused: it must not pass for none', async (length) => {
    const store = new MemoryStore();
    const namespace = await store.namespace(LINEAGE_NAMESPACE);
    await namespace.put('lease', new Uint8Array(length).fill(1));
    await expect(leaseOfLastWriter(store)).rejects.toMatchObject({ code: 'IDENTITY_MISSING' });
  });
});
