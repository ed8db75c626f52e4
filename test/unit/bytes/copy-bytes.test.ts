import { describe, expect, it } from 'vitest';
import { copyBytes } from '../../../src/bytes/copy-bytes.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';

const content = Uint8Array.from({ length: 32 }, (_, at) => at + 1);

describe.each(kindsOfBytes)('copyBytes of a $kind', ({ make }) => {
  it('gives a plain Uint8Array with its own memory', () => {
    const original = make(content);
    const copy = copyBytes(original);
    expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
    expect(copy).toEqual(content);
    expect(copy.buffer).not.toBe(original.buffer);
    expect(copy.buffer.byteLength).toBe(content.length);
    copy.fill(0);
    expect([...original]).toEqual([...content]);
    original.fill(9);
    expect(copy.every((byte) => byte === 0)).toBe(true);
  });

  it('copies an empty array', () => {
    expect(copyBytes(make(new Uint8Array(0)))).toEqual(new Uint8Array(0));
  });
});

describe('copyBytes refuses', () => {
  it('a detached buffer, naming the argument', () => {
    expect(() => copyBytes(detachedBytes(), 'storeKey')).toThrow(TypeError);
    expect(() => copyBytes(detachedBytes(), 'storeKey')).toThrow(/^storeKey /);
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['text', 'secret text'],
    ['a number', 32],
    ['a list of numbers', [1, 2, 3]],
    ['an ArrayBuffer', new ArrayBuffer(32)],
    ['16-bit numbers', new Uint16Array(16)],
    ['clamped bytes', new Uint8ClampedArray(32)],
    ['a DataView', new DataView(new ArrayBuffer(32))],
    ['an object that claims to be bytes', { length: 32, [Symbol.toStringTag]: 'Uint8Array' }],
    ['an object made from the prototype', Object.create(Uint8Array.prototype)],
  ])('%s, naming the argument and not its value', (_, value) => {
    // What calling code without types can pass.
    const call = () => copyBytes(value as Uint8Array, 'storeKey');
    expect(call).toThrow(TypeError);
    expect(call).toThrow(/^storeKey must be a Uint8Array, got (?!.*secret text)/);
  });
});
