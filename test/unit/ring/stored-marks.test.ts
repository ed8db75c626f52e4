import { describe, expect, it } from 'vitest';
import { CONTESTED, MARK_LIFE_MS } from '../../../src/ring/replication/entry.ts';
import { StoredMarks } from '../../../src/ring/replication/stored-marks.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const NOW = 1_800_000_000_000;
const hex = (number: number, bytes = 32): string => number.toString(16).padStart(2 * bytes, '0');
const [first, second] = ['01'.repeat(16), '02'.repeat(16)] as const;
const [alice, bob, carol] = [hex(0xa), hex(0xb), hex(0xc)] as const;
const id = hex(0x1d);

const namespaceOf = () => new MemoryStore().namespace('marks');

/** Claims marks until they are refused. @returns how many were taken. */
async function fill(
  marks: StoredMarks,
  from: string,
  record: string,
  start: number,
  most = 1000,
): Promise<number> {
  for (let count = 0; count < most; count++)
    try {
      await marks.claim({ id: record, mark: hex(start + count), attempt: first }, from, NOW);
    } catch (error) {
      expect(error).toMatchObject({ code: 'RING_MARKS_FULL' });
      return count;
    }
  return most;
}

describe('marks in the store of a node', () => {
  const claim = (marks: StoredMarks, mark: string, attempt: string, nowMs = NOW) =>
    marks.claim({ id, mark, attempt }, alice, nowMs);

  it('belong to the first attempt, also after a restart, and also of two at once', async () => {
    const namespace = await namespaceOf();
    const marks = new StoredMarks(namespace);
    expect(await claim(marks, hex(1), first)).toBe(first);
    expect(await claim(marks, hex(1), second)).toBe(first);
    expect(await claim(new StoredMarks(namespace), hex(1), second, NOW + 1)).toBe(first);
    const both = await Promise.all([first, second].map((attempt) => claim(marks, hex(2), attempt)));
    expect(new Set(both).size).toBe(1);
  });

  it('are kept for their life, and not for ever', async () => {
    const marks = new StoredMarks(await namespaceOf());
    await claim(marks, hex(1), first);
    await claim(marks, hex(2), first, NOW + MARK_LIFE_MS - 1);
    expect(await claim(marks, hex(1), second, NOW + MARK_LIFE_MS - 1)).toBe(first);
    expect(await claim(marks, hex(1), second, NOW + 2 * MARK_LIFE_MS - 2)).toBe(second);
    expect(await claim(marks, hex(2), second, NOW + 2 * MARK_LIFE_MS - 2)).toBe(first);
  });

  it('that are over give their room back, many at once', async () => {
    const marks = new StoredMarks(await namespaceOf(), 2_000);
    expect(await fill(marks, alice, id, 0)).toBe(500);
    expect(await claim(marks, hex(5000), first, NOW + MARK_LIFE_MS)).toBe(first);
    expect(await fill(marks, alice, id, 6000)).toBe(499);
  });

  it('that an older version stored are met, and handed to nobody', async () => {
    const namespace = await namespaceOf();
    const older = new Uint8Array(24).fill(1, 0, 16);
    new DataView(older.buffer).setBigUint64(16, BigInt(NOW));
    await namespace.put(hex(1), older);
    const marks = new StoredMarks(namespace);
    expect(await claim(marks, hex(1), second)).toBe(first);
    expect(await marks.kept('', NOW)).toEqual({ marks: [], upTo: '' });
  });
});

describe('room for marks', () => {
  it('is not filled by the users of one secret, at one node or at many', async () => {
    const marks = new StoredMarks(await namespaceOf(), 100);
    // Half of all is for one member, and half of that for one secret.
    expect(await fill(marks, alice, id, 0)).toBe(25);
    expect(await fill(marks, bob, id, 1000)).toBe(25);
    expect(await fill(marks, carol, id, 2000)).toBeGreaterThan(10);
    for (const [at, member] of [alice, bob, carol].entries())
      expect(await fill(marks, member, hex(0x2d), 3000 + 1000 * at, 5)).toBe(5);
  });

  it('is not filled by one member that claims for secrets that it made up', async () => {
    const marks = new StoredMarks(await namespaceOf(), 100);
    let taken = 0;
    for (let record = 0; record < 200; record++)
      taken += await fill(marks, alice, hex(record), 1000 * record);
    expect(taken).toBe(50);
    expect(await fill(marks, bob, hex(1), 900_000)).toBeGreaterThan(20);
  });

  it('has the same share of what is left for one secret when others have taken most of all', async () => {
    const marks = new StoredMarks(await namespaceOf(), 100);
    for (let record = 0; record < 50; record++) await fill(marks, alice, hex(record), record, 1);
    for (let record = 0; record < 40; record++) await fill(marks, bob, hex(record), 100 + record, 1);
    // Ten are left: each that the users of one secret take leaves one less for all, and for them one less again.
    expect(await fill(marks, carol, id, 900_000)).toBe(5);
  });

  it('is counted again after a restart', async () => {
    const namespace = await namespaceOf();
    expect(await fill(new StoredMarks(namespace, 100), alice, id, 0)).toBe(25);
    expect(await fill(new StoredMarks(namespace, 100), alice, id, 1000)).toBe(0);
  });

  it('is given back when a mark was there already, or the disk refused it', async () => {
    const store = new MemoryStore();
    const namespace = await store.namespace('marks');
    const marks = new StoredMarks(namespace, 4);
    const same = Array.from({ length: 8 }, () =>
      marks.claim({ id, mark: hex(1), attempt: first }, alice, NOW),
    );
    await Promise.allSettled(same);
    const { putIfAbsent } = namespace;
    namespace.putIfAbsent = async () => {
      throw new Error('the disk refuses');
    };
    await expect(marks.claim({ id: hex(7), mark: hex(2), attempt: first }, alice, NOW)).rejects.toThrow(
      'disk',
    );
    namespace.putIfAbsent = putIfAbsent;
    expect(await fill(marks, alice, hex(7), 100)).toBe(1);
  });
});

describe('marks that another member hands over', () => {
  const taken = { id, mark: hex(1), attempt: first, atMs: NOW } as const;

  it('are met by later attempts, go on to others, and end with their life', async () => {
    const marks = new StoredMarks(await namespaceOf());
    await marks.take(taken, bob, NOW + 5);
    expect(await marks.claim({ ...taken, attempt: second }, alice, NOW + 5)).toBe(first);
    expect(await marks.claim(taken, alice, NOW + 5)).toBe(first);
    expect(await marks.kept('', NOW + 5)).toEqual({ marks: [taken], upTo: '' });
    expect((await marks.kept('', NOW + MARK_LIFE_MS)).marks).toEqual([]);
    expect(await marks.claim({ ...taken, attempt: second }, alice, NOW + 2 * MARK_LIFE_MS)).toBe(second);
  });

  it('with another attempt than here belong to nobody any more, whoever has them next', async () => {
    const marks = new StoredMarks(await namespaceOf());
    await marks.claim({ ...taken, attempt: second }, alice, NOW);
    await marks.take(taken, bob, NOW);
    for (const attempt of [first, second])
      expect(await marks.claim({ ...taken, attempt }, alice, NOW)).toBe(CONTESTED);
    await marks.take({ ...taken, attempt: second }, carol, NOW);
    expect(await marks.claim({ ...taken, attempt: second }, alice, NOW)).toBe(CONTESTED);
  });

  it('are given in parts, all of them once', async () => {
    const marks = new StoredMarks(await namespaceOf());
    for (let at = 0; at < 2_500; at++) await marks.take({ ...taken, mark: hex(at) }, bob, NOW);
    const given: string[] = [];
    let after = '';
    do {
      const part = await marks.kept(after, NOW);
      given.push(...part.marks.map(({ mark }) => mark));
      after = part.upTo;
    } while (after !== '');
    expect(given).toEqual(Array.from({ length: 2_500 }, (_, at) => hex(at)));
  });

  it('with a time to come do not stay for longer than others', async () => {
    const marks = new StoredMarks(await namespaceOf());
    await marks.take({ ...taken, atMs: NOW + 10 * MARK_LIFE_MS }, bob, NOW);
    expect(await marks.claim({ ...taken, attempt: second }, alice, NOW + 2 * MARK_LIFE_MS)).toBe(second);
  });

  it('are bounded for each member that hands over, and take no room of those that are claimed', async () => {
    const marks = new StoredMarks(await namespaceOf(), 10);
    for (let at = 0; at < 20; at++) await marks.take({ ...taken, mark: hex(at) }, bob, NOW);
    await expect(marks.take({ ...taken, mark: hex(99) }, bob, NOW)).rejects.toMatchObject({
      code: 'RING_MARKS_FULL',
    });
    await marks.take({ ...taken, mark: hex(98) }, carol, NOW);
    expect(await fill(marks, alice, id, 1000)).toBe(3);
  });
});
