import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { u16BigEndian, u64BigEndian } from '../../../src/bytes/integers.ts';
import { encodeAcl } from '../../../src/secrets/acl.ts';
import { decodeRecord, MAX_RECORD_BYTES, peekRecord, SecretRecord } from '../../../src/secrets/record.ts';
import { secretId } from '../../../src/secrets/scope.ts';
import {
  decodeEntry,
  hashValue,
  MAX_ENTRY_BYTES,
  peekEntry,
  revealValue,
  saltValue,
  secretEntry,
} from '../../../src/secrets/value.ts';
import { ALICE, aclOf, NOW_MS } from '../../support/secret-records.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const part = (bytes: Uint8Array): Uint8Array => concatBytes(u16BigEndian(bytes.length), bytes);
const nothing = new Uint8Array(0);
const ofTombstone = new Uint8Array(32).fill(0xff);

const fields = {
  format: 1,
  account: ALICE as Uint8Array,
  kind: 0,
  version: 7n,
  expiresAtMs: BigInt(NOW_MS),
  hash: new Uint8Array(32).fill(3) as Uint8Array,
  origin: utf8('https://api.example.com'),
  pathPrefix: utf8('/v1'),
  acl: encodeAcl(aclOf()),
  /** In place of the three parts. */
  tail: undefined as Uint8Array | undefined,
  more: nothing,
};
type Fields = typeof fields;
const tombstone = { kind: 1, hash: ofTombstone, acl: nothing };

/** A record byte by byte, as a stranger can write it, with 64 bytes for its signature. */
function bytesOf(change: Partial<Fields> = {}): Uint8Array {
  const all = { ...fields, ...change };
  return concatBytes(
    Uint8Array.of(all.format),
    all.account,
    Uint8Array.of(all.kind),
    u64BigEndian(all.version),
    u64BigEndian(all.expiresAtMs),
    all.hash,
    all.tail ?? concatBytes(part(all.origin), part(all.pathPrefix), part(all.acl)),
    all.more,
    new Uint8Array(64),
  );
}

/** Every signature is good: what is refused is refused for its bytes. */
const read = (bytes: Uint8Array) => decodeRecord(bytes, () => true);
const refusal = (call: () => unknown) => thrownBy(call);

describe('the one encoding of a record', () => {
  it('is that of a secret, or of a tombstone', () => {
    expect(read(bytesOf()).content).toMatchObject({
      kind: 'secret',
      version: 7,
      origin: 'https://api.example.com',
    });
    expect(read(bytesOf(tombstone)).content).toMatchObject({
      kind: 'tombstone',
      version: 7,
      pathPrefix: '/v1',
    });
    for (const bytes of [bytesOf(), bytesOf(tombstone)])
      expect(peekRecord(bytes)).toEqual(read(bytes).content);
  });

  it.each<[string, Partial<Fields>, string]>([
    ['format 0', { format: 0 }, 'format'],
    ['format 2', { format: 2 }, 'format'],
    ['kind 2 with an ACL', { kind: 2 }, 'kind'],
    ['kind 2 without one', { kind: 2, acl: nothing }, 'kind'],
    ['kind 255', { ...tombstone, kind: 255 }, 'kind'],
    ['a tombstone that allows something', { ...tombstone, acl: fields.acl }, 'kind'],
    ['a secret without an ACL', { acl: nothing }, 'acl'],
    ['a secret of the hash of a tombstone', { hash: ofTombstone }, 'valueHash'],
    ['version 0', { version: 0n }, 'version'],
    ['a version of 2^53', { version: 2n ** 53n }, 'version'],
    ['the largest version', { version: 2n ** 64n - 1n }, 'version'],
    ['expiry 0', { expiresAtMs: 0n }, 'expiresAtMs'],
    ['an expiry of 2^53', { expiresAtMs: 2n ** 53n }, 'expiresAtMs'],
    ['an origin that is no UTF-8', { origin: Uint8Array.of(0xff) }, 'origin'],
    ['a prefix that is no UTF-8', { pathPrefix: Uint8Array.of(0x2f, 0xc0, 0x80) }, 'pathPrefix'],
    ['a byte order mark', { origin: utf8('\uFEFFhttps://api.example.com') }, 'origin'],
    ['a byte more', { more: Uint8Array.of(0) }, 'length'],
    ['many bytes more', { more: new Uint8Array(200) }, 'length'],
    ['no parts', { tail: nothing }, 'length'],
    ['half of a length', { tail: Uint8Array.of(0) }, 'length'],
    ['two parts', { tail: concatBytes(part(fields.origin), part(fields.pathPrefix)) }, 'length'],
    ['a part that is longer than the record', { tail: Uint8Array.of(0, 1) }, 'length'],
    [
      'a last part that is longer than the record',
      { tail: concatBytes(part(fields.origin), part(fields.pathPrefix), u16BigEndian(2), utf8('{')) },
      'length',
    ],
  ])(
    'is refused with %s, whoever signed it, also where the signature is not looked at',
    (_, change, field) => {
      const bytes = bytesOf(change);
      for (const call of [() => read(bytes), () => peekRecord(bytes)])
        expect(refusal(call)).toMatchObject({ code: 'SECRET_RECORD_INVALID', field });
    },
  );

  it('has the hash of no value in a tombstone, or one deletion would have many orders', () => {
    for (const hash of [
      fields.hash,
      new Uint8Array(32),
      Uint8Array.from(ofTombstone, (byte, at) => (at === 31 ? 0xfe : byte)),
    ])
      expect(refusal(() => read(bytesOf({ ...tombstone, hash })))).toMatchObject({
        code: 'SECRET_RECORD_INVALID',
        field: 'body',
      });
  });

  it('has numbers up to the largest that JSON carries, and not 0', () => {
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    expect(read(bytesOf({ version: most, expiresAtMs: most })).content).toMatchObject({
      version: Number.MAX_SAFE_INTEGER,
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    });
    expect(read(bytesOf({ version: 1n, expiresAtMs: 1n })).content).toMatchObject({
      version: 1,
      expiresAtMs: 1,
    });
  });

  it('has a length: one that is too long is refused before it is read', () => {
    const spare = MAX_RECORD_BYTES - bytesOf({ acl: nothing }).length;
    const fits = bytesOf({ acl: new Uint8Array(spare) });
    expect(fits.length).toBe(MAX_RECORD_BYTES);
    expect(refusal(() => read(fits))).toMatchObject({ field: 'acl' });
    expect(refusal(() => read(bytesOf({ acl: new Uint8Array(spare + 1) })))).toMatchObject({
      field: 'length',
    });
  });

  it('cut off anywhere is refused by a code', () => {
    const bytes = bytesOf();
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(codeOf(() => read(cut))).toBe('SECRET_RECORD_INVALID');
    }
  });

  it('is signed in all of its bytes, by its account', () => {
    const seen: number[] = [];
    decodeRecord(bytesOf(), (message, signature, account) => {
      seen.push(message.length, signature.length, account.length);
      return true;
    });
    const brackets = '<Bytes></Bytes>latchkey/v1/secret-record'.length;
    expect(seen).toEqual([brackets + bytesOf().length - 64, 64, 32]);
    expect(codeOf(() => decodeRecord(bytesOf(), () => false))).toBe('SECRET_SIGNATURE_INVALID');
  });
});

describe('what is a record', () => {
  it.each([undefined, null, 1, 'text', true, Symbol('SecretRecord'), {}, [], () => true])(
    '%s is none',
    (value) => {
      expect(SecretRecord.isProof(value)).toBe(false);
    },
  );

  it('one that was read is one, and cannot be changed', () => {
    const record = read(bytesOf());
    expect(SecretRecord.isProof(record)).toBe(true);
    expect(Object.isFrozen(record)).toBe(true);
  });
});

describe('an entry', () => {
  const entryOf = (record: Uint8Array, length = record.length) => {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, length);
    return concatBytes(head, record);
  };

  it('is looked into without its signature, wherever it lies in memory', () => {
    const entry = entryOf(bytesOf(tombstone));
    const shifted = concatBytes(Uint8Array.of(9, 9, 9), entry).subarray(3);
    for (const bytes of [entry, shifted]) {
      const { id, content } = peekEntry(bytes);
      expect(content).toMatchObject({ kind: 'tombstone', version: 7 });
      expect(id).toEqual(secretId(ALICE, { origin: 'https://api.example.com', pathPrefix: '/v1' }));
    }
  });

  it('whose length is shorter than its record is refused', () => {
    const record = bytesOf(tombstone);
    for (const length of [0, 1, record.length - 1])
      expect(codeOf(() => decodeEntry(entryOf(record, length), () => true))).toBe('SECRET_RECORD_INVALID');
  });

  it('of no or a part of a length is refused, whatever lies behind it in memory', () => {
    const record = bytesOf(tombstone);
    for (const length of [0, 1, 3, 4]) {
      expect(codeOf(() => decodeEntry(entryOf(record).subarray(0, length)))).toBe('SECRET_RECORD_INVALID');
      expect(codeOf(() => decodeEntry(new Uint8Array(length)))).toBe('SECRET_RECORD_INVALID');
    }
  });

  it('is too large above its bound, and is read at it', () => {
    expect(codeOf(() => decodeEntry(new Uint8Array(MAX_ENTRY_BYTES)))).toBe('SECRET_RECORD_INVALID');
    expect(codeOf(() => decodeEntry(new Uint8Array(MAX_ENTRY_BYTES + 1)))).toBe('SECRET_TOO_LARGE');
  });

  it('may hold a value of no bytes, and says which value it wants otherwise', () => {
    const empty = saltValue(nothing, (length) => new Uint8Array(length).fill(7));
    const record = read(bytesOf({ hash: hashValue(empty) }));
    expect(revealValue(secretEntry(record, empty))).toHaveLength(0);
    const other = saltValue(utf8('x'), (length) => new Uint8Array(length));
    expect(refusal(() => secretEntry(record, other))).toMatchObject({
      expected: expect.stringContaining('SHA-256'),
    });
    expect(refusal(() => secretEntry(read(bytesOf(tombstone)), other))).toMatchObject({
      expected: expect.stringContaining('no value'),
    });
  });
});
