import { describe, expect, it } from 'vitest';
import { Memo } from '../../../src/bytes/memo.ts';

describe('Memo', () => {
  it('makes a value once, and removes the least recently used value', () => {
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

  it('does not keep an error, and does not remove a value because of an error', () => {
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

  it('finds a value that was set, and a new value replaces the old one', () => {
    const memo = new Memo<number>(2);
    expect(memo.find('a')).toBeUndefined();
    memo.set('a', 1);
    memo.set('a', 2);
    memo.set('b', 3);
    expect([memo.find('a'), memo.find('b')]).toEqual([2, 3]);
    expect(memo.values()).toEqual([2, 3]);
    memo.delete('a', 1);
    expect(memo.find('a')).toBe(2);
    memo.delete('a', 2);
    expect(memo.find('a')).toBeUndefined();
    memo.clear();
    expect(memo.values()).toEqual([]);
  });

  it('reports the removed value, and only that value', () => {
    const evicted: number[] = [];
    const memo = new Memo<number>(2, { onEvicted: (value) => evicted.push(value) });
    memo.set('a', 1);
    memo.set('b', 2);
    memo.find('a');
    memo.set('c', 3);
    expect(evicted).toEqual([2]);
    memo.set('a', 4);
    memo.delete('c');
    memo.clear();
    expect(evicted).toEqual([2]);
  });

  it('never holds more than its capacity, and is not emptied when it is full', () => {
    const memo = new Memo<number>(100);
    for (let key = 0; key < 1000; key++) {
      memo.set(`${key}`, key);
      expect(memo.values().length).toBe(Math.min(key + 1, 100));
    }
    expect(memo.values()).toEqual(Array.from({ length: 100 }, (_, at) => 900 + at));
  });

  describe('with a time to live', () => {
    it('a value is valid for this time after it was set last', () => {
      const memo = new Memo<string>(4, { ttlMs: 10 });
      memo.set('a', 'first', 100);
      expect(memo.find('a', 100)).toBe('first');
      expect(memo.find('a', 109)).toBe('first');
      expect(memo.find('a', 110)).toBeUndefined();
      memo.set('a', 'second', 110);
      memo.set('a', 'third', 115);
      expect(memo.find('a', 124)).toBe('third');
    });

    it('a value is valid for a caller that read the clock earlier', () => {
      const memo = new Memo<string>(4, { ttlMs: 10 });
      memo.set('a', 'value', 100);
      expect(memo.find('a', 99)).toBe('value');
    });

    it('expired values are removed first, then the value that was set first, used or not', () => {
      const memo = new Memo<number>(3, { ttlMs: 10 });
      memo.set('a', 1, 0);
      memo.set('b', 2, 5);
      memo.set('c', 3, 12);
      expect(memo.values()).toEqual([2, 3]);
      memo.set('d', 4, 13);
      memo.find('b', 13);
      memo.set('e', 5, 14);
      expect(memo.values()).toEqual([3, 4, 5]);
    });

    it.each([0, -1, Number.NaN])('refuses a time to live of %s', (ttlMs) => {
      expect(() => new Memo(1, { ttlMs })).toThrow(RangeError);
    });
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses a capacity of %s', (capacity) => {
    expect(() => new Memo(capacity)).toThrow(RangeError);
  });
});
