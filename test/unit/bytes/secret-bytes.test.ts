import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';

const content = Uint8Array.from({ length: 32 }, (_, at) => at + 1);

describe.each(kindsOfBytes)('SecretBytes of a $kind', ({ make }) => {
  it('does not change the bytes of the caller when it is wiped', () => {
    const bytes = make(content);
    const secret = new SecretBytes(bytes);
    secret.wipe();
    expect([...bytes]).toEqual([...content]);
  });

  it('does not change when the caller changes its bytes', () => {
    const bytes = make(content);
    const secret = new SecretBytes(bytes);
    bytes.fill(0);
    expect(secret.reveal()).toEqual(content);
  });

  it('adopts bytes without a copy, and wipes them with the secret', () => {
    const bytes = make(content);
    const secret = SecretBytes.adopt(bytes);
    const revealed = secret.reveal();
    expect(revealed).toEqual(content);
    expect(revealed.buffer).toBe(bytes.buffer);
    secret.wipe();
    expect([...bytes]).toEqual([...new Uint8Array(32)]);
  });

  it('reveals a plain Uint8Array', () => {
    for (const secret of [new SecretBytes(make(content)), SecretBytes.adopt(make(content))])
      expect(Object.getPrototypeOf(secret.reveal())).toBe(Uint8Array.prototype);
  });
});

describe('SecretBytes', () => {
  it('made of a Buffer does not wipe the Buffer of the caller', () => {
    const buffer = randomBytes(32);
    const before = buffer.toString('hex');
    new SecretBytes(buffer).wipe();
    expect(buffer.toString('hex')).toBe(before);
  });

  it.each([
    ['a detached buffer', detachedBytes()],
    ['text', 'a password'],
    ['undefined', undefined],
  ])('refuses %s', (_, value) => {
    // What calling code without types can pass.
    const bytes = value as Uint8Array;
    expect(() => new SecretBytes(bytes)).toThrow(TypeError);
    expect(() => new SecretBytes(bytes)).toThrow(/^secret /);
    expect(() => SecretBytes.adopt(bytes)).toThrow(TypeError);
    expect(() => SecretBytes.adopt(bytes)).toThrow(/^secret /);
  });

  it('reveals nothing after it is wiped', () => {
    const secret = new SecretBytes(content);
    secret.wipe();
    expect(() => secret.reveal()).toThrow(TypeError);
  });
});
