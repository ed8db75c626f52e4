import { describe, expect, it } from 'vitest';
import { MARK_LIFE_MS } from '../../../src/ring/replication/entry.ts';
import { StoredMarks } from '../../../src/ring/replication/stored-marks.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const NOW = 1_800_000_000_000;
const mark = (byte: string): string => byte.repeat(32);
const [first, second] = ['01'.repeat(16), '02'.repeat(16)] as const;

describe('marks in the store of a node', () => {
  it('belong to the first attempt, also after a restart, and also of two at once', async () => {
    const namespace = await new MemoryStore().namespace('marks');
    const marks = new StoredMarks(namespace);
    expect(await marks.claim(mark('aa'), first, NOW)).toBe(first);
    expect(await marks.claim(mark('aa'), second, NOW)).toBe(first);
    expect(await new StoredMarks(namespace).claim(mark('aa'), second, NOW + 1)).toBe(first);
    const both = await Promise.all([first, second].map((attempt) => marks.claim(mark('bb'), attempt, NOW)));
    expect(new Set(both).size).toBe(1);
  });

  it('are kept for their life, and not for ever', async () => {
    const namespace = await new MemoryStore().namespace('marks');
    const marks = new StoredMarks(namespace);
    await marks.claim(mark('aa'), first, NOW);
    await marks.claim(mark('bb'), first, NOW + MARK_LIFE_MS - 1);
    expect(await marks.claim(mark('aa'), second, NOW + MARK_LIFE_MS - 1)).toBe(first);
    expect(await marks.claim(mark('aa'), second, NOW + MARK_LIFE_MS)).toBe(second);
    expect(await marks.claim(mark('bb'), second, NOW + MARK_LIFE_MS)).toBe(first);
  });

  it('are bounded', async () => {
    const marks = new StoredMarks(await new MemoryStore().namespace('marks'), 1);
    await marks.claim(mark('aa'), first, NOW);
    expect(await marks.claim(mark('aa'), second, NOW)).toBe(first);
    await expect(marks.claim(mark('bb'), first, NOW)).rejects.toMatchObject({ code: 'RING_MARKS_FULL' });
    expect(await marks.claim(mark('bb'), first, NOW + MARK_LIFE_MS)).toBe(first);
  });
});
