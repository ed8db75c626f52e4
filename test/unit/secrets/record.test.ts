import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { judgeQuota, judgeReplacement } from '../../../src/secrets/judge-write.ts';
import { compareRecords, decodeRecord, SecretRecord, signRecord } from '../../../src/secrets/record.ts';
import { secretFormat } from '../../../src/secrets/secret-format.ts';
import {
  decodeEntry,
  encodeEntry,
  hashValue,
  MAX_VALUE_BYTES,
  revealValue,
  saltValue,
  secretEntry,
} from '../../../src/secrets/value.ts';
import { BOB, NOW_MS, secretContent, seedOf, tombstoneContent } from '../../support/secret-records.ts';
import { codeOf } from '../../support/thrown.ts';

const random = (length: number) => new Uint8Array(length).fill(7);
const salted = saltValue(utf8('sk-live-1'), random);
let record: SecretRecord;
let tombstone: SecretRecord;

beforeAll(() => {
  record = signRecord(seedOf(1), secretContent({ valueHash: hashValue(salted) }));
  tombstone = signRecord(seedOf(1), tombstoneContent());
});

/** A copy of the record with one byte changed. */
const flipped = (at: number): Uint8Array =>
  Uint8Array.from(record.bytes, (byte, index) => (index === at ? byte ^ 1 : byte));

describe('a record', () => {
  it('is read as it was signed', () => {
    for (const each of [record, tombstone]) {
      const read = decodeRecord(each.bytes);
      expect(read.content).toEqual(each.content);
      expect([toHex(read.id), toHex(read.order)]).toEqual([toHex(each.id), toHex(each.order)]);
    }
  });

  it('with any byte changed is refused, whatever the byte', { timeout: 300_000 }, () => {
    // Every byte before the signature, and a sample of its own bytes: one verification takes a millisecond.
    for (let at = 0; at < record.bytes.length; at += at > record.bytes.length - 64 ? 9 : 3) {
      expect(['SECRET_RECORD_INVALID', 'SECRET_SIGNATURE_INVALID']).toContain(
        codeOf(() => decodeRecord(flipped(at))),
      );
    }
    expect(codeOf(() => decodeRecord(flipped(40)))).toBe('SECRET_SIGNATURE_INVALID');
  });

  it('truncated, longer, or of random bytes is refused by a code and nothing else', {
    timeout: 300_000,
  }, () => {
    for (const bytes of [record.bytes.subarray(0, 100), concatBytes(record.bytes, Uint8Array.of(0))])
      expect(codeOf(() => decodeRecord(bytes))).toMatch(/^SECRET_/);
    const head = record.bytes.subarray(0, 82);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, hasHead) => {
        try {
          decodeRecord(hasHead ? concatBytes(head, bytes) : bytes);
          return false;
        } catch (error) {
          return error instanceof LatchkeyError && error.code.startsWith('SECRET_');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('of another account is refused: the signature names the owner', () => {
    const foreign = { ...secretContent(), account: BOB };
    expect(codeOf(() => signRecord(seedOf(1), foreign))).toBe('SECRET_SIGNATURE_INVALID');
  });

  it.each([
    ['a version of 0', { version: 0 }],
    ['a version that JSON cannot carry', { version: Number.MAX_SAFE_INTEGER + 1 }],
    ['an expiry of 0', { expiresAtMs: 0 }],
    ['an origin in another form', { origin: 'https://API.example.com' }],
    ['an origin with its own port', { origin: 'https://api.example.com:443' }],
    ['an origin with a path', { origin: 'https://api.example.com/v1' }],
    ['another scheme', { origin: 'ftp://api.example.com' }],
    ['a prefix with a slash at its end', { pathPrefix: '/v1/' }],
    ['a prefix with dot segments', { pathPrefix: '/v1/../v2' }],
    ['no prefix', { pathPrefix: '' }],
    ['the hash of a tombstone', { valueHash: new Uint8Array(32).fill(255) }],
  ])('with %s is refused', (_, change) => {
    expect(codeOf(() => signRecord(seedOf(1), secretContent(change)))).toBe('SECRET_RECORD_INVALID');
  });

  it('cannot be made by hand', () => {
    expect(
      () => new SecretRecord(Symbol('SecretRecord') as never, record.content, record.bytes, record.bytes),
    ).toThrow(TypeError);
    expect(SecretRecord.isProof(record)).toBe(true);
    expect(SecretRecord.isProof({ ...record })).toBe(false);
    expect(SecretRecord.isProof(null)).toBe(false);
  });

  it('has the same id in every version, and another one for another owner, origin or prefix', () => {
    const idOf = (change: object, seed = 1) =>
      toHex(signRecord(seedOf(seed), { ...secretContent(change) }).id);
    const id = toHex(record.id);
    expect(idOf({ version: 9, expiresAtMs: NOW_MS + 1 })).toBe(id);
    expect(toHex(tombstone.id)).toBe(id);
    const others = [
      idOf({ origin: 'https://api.example.org' }),
      idOf({ pathPrefix: '/v2' }),
      idOf({ account: BOB }, 2),
    ];
    expect(new Set([id, ...others]).size).toBe(4);
  });
});

describe('the order of records (X7)', () => {
  const at = (version: number, change: object = {}) =>
    signRecord(seedOf(1), secretContent({ version, ...change }));

  it('is by version, then by hash; a tombstone is above a secret of its version and below the next', () => {
    const low = at(1, { valueHash: new Uint8Array(32).fill(1) });
    const high = at(1, { valueHash: new Uint8Array(32).fill(2) });
    const dead = signRecord(seedOf(1), tombstoneContent({ version: 1 }));
    const next = at(2, { valueHash: new Uint8Array(32).fill(0) });
    const sorted = [next, dead, high, low].sort(compareRecords);
    expect(sorted).toEqual([low, high, dead, next]);
  });

  it('is total: two records of one version and value that differ elsewhere are ordered, two signatures of one are not', () => {
    const [one, other] = [at(1), at(1, { expiresAtMs: NOW_MS + 5 })];
    expect(Math.sign(compareRecords(one, other))).toBe(-Math.sign(compareRecords(other, one)));
    expect(compareRecords(one, other)).not.toBe(0);
    const again = at(1);
    expect(toHex(again.bytes)).not.toBe(toHex(one.bytes));
    expect(compareRecords(one, again)).toBe(0);
  });
});

describe('an entry', () => {
  it('is read as it was written, and its value is a copy', () => {
    const bytes = encodeEntry(secretEntry(record, salted));
    const read = decodeEntry(bytes);
    bytes.fill(0);
    expect(new TextDecoder().decode(revealValue(read))).toBe('sk-live-1');
    expect(
      decodeEntry(encodeEntry(secretEntry(tombstone, new SecretBytes(new Uint8Array(0))))).record.order,
    ).toEqual(tombstone.order);
  });

  it.each([
    ['another value', () => secretEntry(record, saltValue(utf8('other'), random))],
    ['a tombstone with a value', () => secretEntry(tombstone, salted)],
    ['no value', () => secretEntry(record, new SecretBytes(new Uint8Array(0)))],
    ['a salt that is too short', () => shortSalt()],
  ])('with %s is refused', (_, make) => {
    expect(codeOf(make)).toBe('SECRET_VALUE_MISMATCH');
  });

  function shortSalt() {
    const short = new SecretBytes(new Uint8Array(31));
    return secretEntry(signRecord(seedOf(1), secretContent({ valueHash: hashValue(short) })), short);
  }

  it('holds a value of 64 KiB and no larger one', () => {
    const large = saltValue(new Uint8Array(MAX_VALUE_BYTES), random);
    const signed = signRecord(seedOf(1), secretContent({ valueHash: hashValue(large) }));
    expect(decodeEntry(encodeEntry(secretEntry(signed, large))).salted.length).toBe(MAX_VALUE_BYTES + 32);
    expect(codeOf(() => saltValue(new Uint8Array(MAX_VALUE_BYTES + 1), random))).toBe('SECRET_TOO_LARGE');
    const larger = new SecretBytes(new Uint8Array(MAX_VALUE_BYTES + 33));
    expect(codeOf(() => secretEntry(signed, larger))).toBe('SECRET_TOO_LARGE');
    expect(codeOf(() => decodeEntry(new Uint8Array(200_000)))).toBe('SECRET_TOO_LARGE');
  });

  it('of few or wrong bytes is refused by a code', () => {
    const bytes = encodeEntry(secretEntry(record, salted));
    for (const length of [0, 3, 4, 200, bytes.length - 1])
      expect(codeOf(() => decodeEntry(bytes.subarray(0, length)))).toMatch(/^SECRET_/);
  });
});

describe('a secret in the ring', () => {
  it('is placed by its id, ordered and kept by its record, and verified', () => {
    const bytes = encodeEntry(secretEntry(record, salted));
    const { expiresAtMs } = record.content;
    expect(secretFormat.read(bytes)).toEqual({ id: record.id, order: record.order, expiresAtMs, bytes });
    const last = bytes.length - 1;
    const changed = Uint8Array.from(bytes, (byte, index) => (index === last ? byte ^ 1 : byte));
    expect(codeOf(() => secretFormat.read(changed))).toBe('SECRET_VALUE_MISMATCH');
  });
});

describe('a write', () => {
  const at = (version: number, change: object = {}) =>
    signRecord(seedOf(1), secretContent({ version, ...change }));

  it('needs a larger version, or is the same record once more', () => {
    judgeReplacement(at(1), undefined, NOW_MS);
    judgeReplacement(at(2), at(1), NOW_MS);
    judgeReplacement(at(2), at(2), NOW_MS);
    judgeReplacement(signRecord(seedOf(1), tombstoneContent({ version: 3 })), at(2), NOW_MS);
    expect(codeOf(() => judgeReplacement(at(1), at(2), NOW_MS))).toBe('SECRET_VERSION_OLD');
    expect(
      codeOf(() => judgeReplacement(at(2, { pathPrefix: '/v1', expiresAtMs: NOW_MS + 9 }), at(2), NOW_MS)),
    ).toBe('SECRET_VERSION_OLD');
  });

  it('lasts as long as what it replaces, or an older copy could outlive the memory of its deletion', () => {
    const long = at(1, { expiresAtMs: NOW_MS + 9 });
    judgeReplacement(at(2, { expiresAtMs: NOW_MS + 9 }), long, NOW_MS);
    const short = { version: 2, expiresAtMs: NOW_MS + 8 };
    const gone = (change: typeof short) =>
      signRecord(seedOf(1), { ...tombstoneContent({ version: change.version }), ...change });
    for (const record of [at(2, short), gone(short)])
      expect(codeOf(() => judgeReplacement(record, long, NOW_MS))).toBe('SECRET_RECORD_INVALID');
    // Also after a deletion: what was deleted lasted at most as long as that.
    const deleted = gone({ version: 1, expiresAtMs: NOW_MS + 9 });
    expect(codeOf(() => judgeReplacement(at(2, short), deleted, NOW_MS))).toBe('SECRET_RECORD_INVALID');
  });

  it('of a record that has expired is refused', () => {
    expect(codeOf(() => judgeReplacement(at(1, { expiresAtMs: NOW_MS }), undefined, NOW_MS))).toBe(
      'SECRET_EXPIRED',
    );
  });

  it('is within the quota of its user', () => {
    const quota = { records: 2, bytes: 100 };
    judgeQuota({ records: 1, bytes: 40 }, 60, quota);
    expect(codeOf(() => judgeQuota({ records: 2, bytes: 0 }, 1, quota))).toBe('SECRET_QUOTA');
    expect(codeOf(() => judgeQuota({ records: 0, bytes: 41 }, 60, quota))).toBe('SECRET_QUOTA');
    expect(codeOf(() => judgeQuota({ records: 64, bytes: 0 }, 1))).toBe('SECRET_QUOTA');
    judgeQuota({ records: 63, bytes: 0 }, 1024 * 1024);
  });
});
