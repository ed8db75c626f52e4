import { describe, expect, it } from 'vitest';
import { Memo } from '../../../src/bytes/memo.ts';

describe('Memo', () => {
  it('makes a value once, and forgets the one unused for longest', () => {
    const made: string[] = [];
    const memo = new Memo<string>(2);
    const get = (key: string) =>
      memo.get(key, () => {
        made.push(key);
        return key.toUpperCase();
      });
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['A', 'B', 'A', 'C', 'A', 'B']);
    expect(made).toEqual(['a', 'b', 'c', 'b']);
  });

  it('remembers nothing of what throws, and forgets nothing for it', () => {
    const memo = new Memo<number>(1);
    memo.get('a', () => 1);
    const fail = () => {
      throw new RangeError('no');
    };
    expect(() => memo.get('b', fail)).toThrow(RangeError);
    expect(memo.get('b', () => 2)).toBe(2);
    memo.get('a', () => 3);
    expect(() => memo.get('b', fail)).toThrow(RangeError);
    expect(memo.get('a', fail)).toBe(3);
  });

  it.each([0, -1, 1.5, Number.NaN])('takes no capacity of %s', (capacity) => {
    expect(() => new Memo(capacity)).toThrow(RangeError);
  });
});
