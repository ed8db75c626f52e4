import { describe, expect, it } from 'vitest';
import { countedSlots } from '../../../src/keyslots/open-generation.ts';

const revoked = (...platforms: readonly string[]) =>
  platforms.map((platform) => ({ platform, countsInPart: true }));
const good = (...platforms: readonly string[]) =>
  platforms.map((platform) => ({ platform, countsInPart: false }));

describe('slots of revoked platforms', () => {
  it.each([
    { t: 3, n: 5, most: 2 },
    { t: 2, n: 3, most: 1 },
    { t: 3, n: 4, most: 1 },
    { t: 4, n: 5, most: 1 },
    // None at all would lose the store.
    { t: 3, n: 3, most: 1 },
    { t: 1, n: 1, most: 1 },
  ])('together count for $most at $t of $n', ({ t, n, most }) => {
    expect(countedSlots(revoked('a', 'b', 'c', 'd', 'e'), { t, n })).toBe(most);
  });

  it('count beside those of others, which they take nothing from', () => {
    expect(countedSlots([...revoked('a', 'b', 'c'), ...good('d')], { t: 3, n: 5 })).toBe(3);
    expect(countedSlots([...revoked('a'), ...good('b', 'c', 'd')], { t: 3, n: 5 })).toBe(4);
  });

  it('are held to the limit of one platform too', () => {
    expect(countedSlots(revoked('a', 'a', 'a'), { t: 3, n: 9 })).toBe(2);
    expect(countedSlots([...good('a', 'a', 'a')], { t: 3, n: 9 })).toBe(2);
  });
});
