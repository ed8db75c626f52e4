import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  decodeExtensions,
  type Extensions,
  extensionBytes,
  extensionsToWire,
  MAX_EXTENSION_BYTES,
  MAX_EXTENSIONS,
  noExtensions,
  reservedExtensions,
} from '../../../src/protocol/extensions.ts';
import { decodeForgotten, decodeServerState } from '../../../src/protocol/slot-messages.ts';
import { codeOf } from '../../support/thrown.ts';

const name = fc.stringMatching(/^[a-z][A-Za-z0-9]{0,31}$/);
const value = fc.uint8Array({ minLength: 1, maxLength: 60 });
const extensions: fc.Arbitrary<Extensions> = fc
  .uniqueArray(fc.tuple(name, value), { maxLength: MAX_EXTENSIONS, selector: ([key]) => key })
  .map((entries) => new Map(entries));

const plain = (said: Extensions): unknown => [...said].map(([key, bytes]) => `${key}=${toHex(bytes)}`).sort();

describe('extensions', () => {
  it('are unchanged after encoding to JSON and decoding, with known and unknown names', () => {
    fc.assert(
      fc.property(extensions, (said) => {
        const json: unknown = JSON.parse(JSON.stringify(extensionsToWire(said)));
        expect(plain(decodeExtensions((json as ReturnType<typeof extensionsToWire>).extensions))).toEqual(
          plain(said),
        );
      }),
    );
  });

  it('have the same bytes in every order, and other bytes after any change', () => {
    fc.assert(
      fc.property(extensions, extensions, (a, b) => {
        const reversed = new Map([...a].reverse());
        expect(toHex(extensionBytes(reversed))).toBe(toHex(extensionBytes(a)));
        const same = JSON.stringify(plain(a)) === JSON.stringify(plain(b));
        expect(toHex(extensionBytes(a)) === toHex(extensionBytes(b))).toBe(same);
      }),
    );
  });

  it('are two zero bytes and no JSON field when they are absent', () => {
    expect(toHex(extensionBytes(noExtensions))).toBe('0000');
    expect(extensionsToWire(noExtensions)).toEqual({});
    expect(decodeExtensions(undefined).size).toBe(0);
  });

  it('have well-formed reserved names, and all of them fit into one message', () => {
    const all = new Map(reservedExtensions.map((key) => [key, new Uint8Array(MAX_EXTENSION_BYTES)]));
    expect(decodeExtensions(extensionsToWire(all).extensions).size).toBe(reservedExtensions.length);
  });

  const base64 = (length: number): string => Buffer.alloc(length).toString('base64');
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`name${index}`, base64(1)]));

  it.each([
    ['an empty object', {}],
    ['an empty value', { lineage: '' }],
    ['a value that is too long', { lineage: base64(MAX_EXTENSION_BYTES + 1) }],
    ['text that is no base64', { lineage: '!' }],
    ['base64 without padding', { lineage: 'AA' }],
    ['too many names', many(MAX_EXTENSIONS + 1)],
    ['a name in upper case', { Lineage: base64(1) }],
    ['a name of 33 letters', { ['a'.repeat(33)]: base64(1) }],
    ['a name with a hyphen', { 'audit-head': base64(1) }],
  ])('%s is refused', (_what, wire) => {
    expect(codeOf(() => decodeExtensions(wire))).toBe('FIELD_INVALID');
  });

  it('up to the limits are accepted', () => {
    expect(decodeExtensions(many(MAX_EXTENSIONS)).size).toBe(MAX_EXTENSIONS);
    expect(decodeExtensions({ ['a'.repeat(32)]: base64(MAX_EXTENSION_BYTES) }).size).toBe(1);
  });

  it('above the limits are not written: making them is misuse', () => {
    const broken = [
      new Map([['lineage', new Uint8Array(MAX_EXTENSION_BYTES + 1)]]),
      new Map([['lineage', new Uint8Array(0)]]),
      new Map([['No', Uint8Array.of(1)]]),
    ];
    for (const said of broken) {
      expect(() => extensionsToWire(said)).toThrow(RangeError);
      expect(() => extensionBytes(said)).toThrow(RangeError);
    }
  });
});

describe('an answer', () => {
  const state = {
    instanceId: `0x${'11'.repeat(16)}`,
    serverTimeMs: 1,
    draining: false,
    mac: `0x${'22'.repeat(32)}`,
  };

  it('may contain extensions with unknown names', () => {
    const said = { ...state, extensions: { ofTheFuture: 'AAEC' } };
    expect([...decodeServerState(said).state.extensions.keys()]).toEqual(['ofTheFuture']);
    const forgotten = { ...said, erased: true };
    expect([...decodeForgotten(forgotten).forgotten.extensions.keys()]).toEqual(['ofTheFuture']);
  });

  it.each([null, 5, 'AAEC', ['AAEC']])('must not contain %j in place of extensions', (said) => {
    expect(codeOf(() => decodeServerState({ ...state, extensions: said }))).toBe('FIELD_INVALID');
  });

  it.each([
    ['alone', '{"__proto__":"AAEC"}'],
    ['beside another name', '{"ofTheFuture":"AAEC","__proto__":"AAEC"}'],
    ['with a value that is no text', '{"ofTheFuture":"AAEC","__proto__":{"fleet":"AAEC"}}'],
  ])('must not contain the name __proto__, %s: no MAC would cover it', (_where, said) => {
    // Only JSON text makes a property of this name; in an object literal it would set the prototype.
    const answerOf = (fields: unknown): unknown =>
      JSON.parse(JSON.stringify(fields).replace('"extensions":0', `"extensions":${said}`));
    expect(codeOf(() => decodeServerState(answerOf({ ...state, extensions: 0 })))).toBe('FIELD_INVALID');
    const forgotten = answerOf({ ...state, erased: true, extensions: 0 });
    expect(codeOf(() => decodeForgotten(forgotten))).toBe('FIELD_INVALID');
  });

  it('must not contain other unknown fields, because no MAC would cover them', () => {
    expect(codeOf(() => decodeServerState({ ...state, fleet: 'AAEC' }))).toBe('FIELD_INVALID');
    expect(codeOf(() => decodeForgotten({ ...state, erased: true, fleet: 'AAEC' }))).toBe('FIELD_INVALID');
  });
});
