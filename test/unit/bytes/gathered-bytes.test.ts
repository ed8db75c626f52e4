import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatheredBytes } from '../../../src/bytes/gathered-bytes.ts';

describe('gathered bytes', () => {
  it('are the pieces one after another, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 6_000 }), { maxLength: 20 }), (pieces) => {
        const gathered = new GatheredBytes(200_000);
        expect(pieces.every((piece) => gathered.add(piece))).toBe(true);
        expect(Buffer.from(gathered.take())).toEqual(Buffer.concat(pieces));
      }),
    );
  });

  it('are never more than allowed', () => {
    const gathered = new GatheredBytes(10);
    expect(gathered.add(new Uint8Array(9).fill(1))).toBe(true);
    expect(gathered.add(new Uint8Array(2).fill(2))).toBe(false);
    expect(gathered.add(Uint8Array.of(3))).toBe(true);
    expect(gathered.add(Uint8Array.of(4))).toBe(false);
    expect([...gathered.take()]).toEqual([...new Array<number>(9).fill(1), 3]);
  });

  it('are memory of their own', () => {
    const gathered = new GatheredBytes(10);
    const piece = Uint8Array.of(1, 2);
    gathered.add(piece);
    piece.fill(9);
    const taken = gathered.take();
    gathered.add(Uint8Array.of(3));
    expect([...taken]).toEqual([1, 2]);
    expect(taken.buffer.byteLength).toBe(2);
  });
});
