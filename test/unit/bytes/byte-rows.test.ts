import { describe, expect, it } from 'vitest';
import { ByteRows } from '../../../src/bytes/byte-rows.ts';

const ROW_BYTES = 20;

describe('rows of bytes', () => {
  it('are apart, also across pages', () => {
    const rows = new ByteRows(ROW_BYTES);
    const taken = Array.from({ length: 3000 }, () => rows.take());
    for (const [index, row] of taken.entries()) {
      row.view().fill(index % 251);
      row.setNumber(8, index);
    }
    for (const [index, row] of taken.entries()) {
      expect(row.number(8)).toBe(index);
      expect([...row.view(0, 8), ...row.view(16)]).toEqual(Array(12).fill(index % 251));
      expect(row.view()).toHaveLength(ROW_BYTES);
    }
  });

  it('an erased row is zeroed, and cannot be used by who had it', () => {
    const rows = new ByteRows(ROW_BYTES);
    const row = rows.take();
    const bytes = row.view();
    bytes.fill(7);
    row.erase();
    expect([...bytes]).toEqual(Array(ROW_BYTES).fill(0));
    for (const use of [() => row.view(), () => row.number(0), () => row.setNumber(0, 1)]) {
      expect(use).toThrow(TypeError);
    }
  });

  it('an erased row is used again, by one only', () => {
    const rows = new ByteRows(ROW_BYTES);
    const first = rows.take();
    const memory = first.view();
    first.erase();
    first.erase();
    const next = rows.take();
    const other = rows.take();
    next.view().fill(1);
    expect([...memory]).toEqual(Array(ROW_BYTES).fill(1));
    expect([...other.view()]).toEqual(Array(ROW_BYTES).fill(0));
    expect(() => first.view()).toThrow(TypeError);
  });

  it('numbers are exact up to 2^53', () => {
    const row = new ByteRows(8).take();
    for (const value of [0, 1, Date.UTC(2026, 10, 30), Number.MAX_SAFE_INTEGER]) {
      row.setNumber(0, value);
      expect(row.number(0)).toBe(value);
    }
  });
});
