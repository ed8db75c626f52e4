import { describe, expect, it } from 'vitest';
import {
  AccountId,
  BlockHash,
  InstanceId,
  KeyId,
  Mac,
  Nonce,
  ReportData,
  SlotId,
  X25519PublicKey,
} from '../../../src/bytes/fixed-bytes.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';

const types = { AccountId, BlockHash, InstanceId, KeyId, Mac, Nonce, ReportData, SlotId, X25519PublicKey };

describe.each(Object.entries(types))('%s', (name, type) => {
  const content = Uint8Array.from({ length: type.byteLength }, (_, at) => at + 1);

  it.each(kindsOfBytes)('made of a $kind has its own memory', ({ make }) => {
    const bytes = make(content);
    const value = type.of(bytes);
    bytes.fill(0);
    expect(value).toEqual(content);
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
  });

  it('refuses another length with a RangeError, and a value that is not bytes with a TypeError naming the type', () => {
    expect(() => type.of(content.subarray(1))).toThrow(RangeError);
    expect(() => type.of(detachedBytes(type.byteLength))).toThrow(TypeError);
    expect(() => type.of(detachedBytes(type.byteLength))).toThrow(new RegExp(`^${name} `));
    // What calling code without types can pass.
    expect(() => type.of([...content] as unknown as Uint8Array)).toThrow(TypeError);
  });
});
