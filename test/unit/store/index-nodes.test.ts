import { describe, expect, it } from 'vitest';
import { Leaf, NODE_CAPACITY } from '../../../src/store/index/index-nodes.ts';

const overfull = (): Leaf => {
  const names = Array.from({ length: NODE_CAPACITY + 1 }, (_, index) => String(index).padStart(3, '0'));
  return new Leaf(
    {},
    names,
    names.map((_, index) => index),
    names.map((_, index) => index * 2),
  );
};

describe('an overfull leaf', () => {
  it('stays full when names come in order, so that memory is not half empty', () => {
    const left = overfull();
    const { right, separator } = left.split(true);
    expect([left.size, right.size, separator]).toEqual([NODE_CAPACITY, 1, '064']);
    expect([right.addresses, right.extents]).toEqual([[64], [128]]);
  });

  it('is split in half when names come in another order', () => {
    const left = overfull();
    const { right, separator } = left.split(false);
    expect([left.size, right.size, separator]).toEqual([32, 33, '032']);
    expect([left.extents.length, right.extents[0]]).toEqual([32, 64]);
  });
});
