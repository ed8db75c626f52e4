import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { type Acl, decodeAcl, encodeAcl, MAX_ACL_BYTES } from '../../../src/secrets/acl.ts';
import { judgeUse } from '../../../src/secrets/judge-use.ts';
import { judgeQuota, judgeReplacement } from '../../../src/secrets/judge-write.ts';
import { signRecord } from '../../../src/secrets/record.ts';
import { MAX_URL_CHARACTERS, parseTarget } from '../../../src/secrets/scope.ts';
import {
  ALICE,
  aclOf,
  BOB,
  NOW_MS,
  secretContent,
  seedOf,
  tombstoneContent,
} from '../../support/secret-records.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const times = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));
const callers = (count: number) => times(count, (at) => AccountId.of(new Uint8Array(32).fill(at)));
const paths = (count: number) => times(count, (at) => `/${at}`);
const headers = (count: number) => times(count, (at) => `h${at}`);
const read = (change: Partial<Acl>) => codeOf(() => decodeAcl(encodeAcl(aclOf(change))));
const most = Number.MAX_SAFE_INTEGER;

describe('the bounds of an ACL', () => {
  it.each<[string, Partial<Acl>, Partial<Acl>]>([
    ['callers', { callers: callers(64) }, { callers: callers(65) }],
    ['one caller', { callers: callers(1) }, { callers: [] }],
    ['verbs', { verbs: times(7, () => 'GET' as const) }, { verbs: times(8, () => 'GET' as const) }],
    ['one verb', { verbs: ['GET'] }, { verbs: [] }],
    ['paths', { paths: paths(64) }, { paths: paths(65) }],
    ['one path', { paths: ['/'] }, { paths: [] }],
    ['characters of a path', { paths: [`/${'a'.repeat(511)}`] }, { paths: [`/${'a'.repeat(512)}`] }],
    ['headers', { headers: headers(16) }, { headers: headers(17) }],
    ['characters of a header', { headers: ['a'.repeat(64)] }, { headers: ['a'.repeat(65)] }],
    ['one character of a header', { headers: ['a'] }, { headers: [''] }],
    ['its expiry at least', { expiresAtMs: 1 }, { expiresAtMs: 0 }],
    ['its expiry at most', { expiresAtMs: most }, { expiresAtMs: most + 1 }],
    ['a whole expiry', { expiresAtMs: 2 }, { expiresAtMs: 1.5 }],
    ['the count', { limit: { count: 1, periodMs: 1 } }, { limit: { count: 0, periodMs: 1 } }],
    ['the period', { limit: { count: most, periodMs: most } }, { limit: { count: 1, periodMs: 0 } }],
  ])('hold for %s', (_, fits, exceeds) => {
    expect(read(fits)).toBe('none');
    expect(read(exceeds)).toBe('SECRET_RECORD_INVALID');
  });

  it('hold for its bytes', () => {
    const fill = (spare: number) => {
      // Long patterns, then one that fills the rest.
      const long = times(32, (at) => `/${'a'.repeat(500)}${at + 10}`);
      const empty = encodeAcl(aclOf({ paths: [...long, '/'] })).length;
      return encodeAcl(aclOf({ paths: [...long, `/${'b'.repeat(MAX_ACL_BYTES - empty + spare)}`] }));
    };
    expect(fill(0).length).toBe(MAX_ACL_BYTES);
    expect(codeOf(() => decodeAcl(fill(0)))).toBe('none');
    expect(codeOf(() => decodeAcl(fill(1)))).toBe('SECRET_RECORD_INVALID');
  });
});

describe('the judgement of a use', () => {
  const target = parseTarget('https://api.example.com/v1/models');
  const use = { caller: ALICE, verb: 'GET', target, headers: ['authorization'], inBody: false };
  const at = (nowMs: number) => ({ nowMs, blockMs: nowMs });
  const judge = (change: Partial<Acl>, asked: Partial<typeof use> = {}, nowMs = NOW_MS) =>
    thrownBy(() =>
      judgeUse(secretContent({ acl: aclOf(change) }), { ...use, ...asked }, at(nowMs), undefined),
    );

  it('lets an ACL be used until the millisecond in which it expires', () => {
    expect(judge({ expiresAtMs: NOW_MS + 1 })).toBeUndefined();
    expect(judge({ expiresAtMs: NOW_MS })).toMatchObject({ code: 'SECRET_ACL_EXPIRED' });
    expect(judge({ expiresAtMs: NOW_MS - 1 })).toMatchObject({ code: 'SECRET_ACL_EXPIRED' });
  });

  it('says which place is refused, and which are allowed', () => {
    expect(judge({}, { headers: ['x-key'] })).toMatchObject({
      field: 'headers',
      expected: 'headers authorization',
    });
    expect(judge({}, { inBody: true })).toMatchObject({ field: 'body', expected: 'headers authorization' });
    expect(judge({ body: true }, { headers: ['x-key'], inBody: true })).toMatchObject({
      field: 'headers',
      expected: 'headers authorization and body',
    });
  });

  it('looks for each of several callers, verbs, paths and headers', () => {
    const wide = {
      callers: [BOB, ALICE],
      verbs: ['PUT', 'GET'],
      paths: ['/x', '/v1/*'],
      headers: ['a', 'b'],
    } as const;
    expect(judge(wide, { headers: ['b', 'a'] })).toBeUndefined();
    expect(judge(wide, { headers: ['b', 'c'] })).toMatchObject({ code: 'SECRET_PLACE_REFUSED' });
    expect(judge(wide, { headers: ['c', 'b'] })).toMatchObject({ code: 'SECRET_PLACE_REFUSED' });
  });

  it('allows the last use of a period and not one more', () => {
    const content = secretContent({ acl: aclOf({ limit: { count: 3, periodMs: 1000 } }) });
    const period = NOW_MS / 1000;
    const last = judgeUse(content, use, at(NOW_MS), { period, used: 2 });
    expect(last).toEqual({ period, used: 3 });
    expect(codeOf(() => judgeUse(content, use, at(NOW_MS), last))).toBe('SECRET_COUNT_EXHAUSTED');
  });
});

describe('the judgement of a write', () => {
  const long = secretContent().expiresAtMs;
  const secret = (version: number, expiresAtMs = long) =>
    signRecord(seedOf(1), secretContent({ version, expiresAtMs }));

  it('says whether a record or a deletion ends too early', () => {
    const gone = signRecord(seedOf(1), { ...tombstoneContent(), expiresAtMs: long - 1 });
    expect(thrownBy(() => judgeReplacement(gone, secret(1), NOW_MS))).toMatchObject({
      code: 'SECRET_RECORD_INVALID',
      message: 'the deletion expires before the one that it replaces',
    });
    expect(thrownBy(() => judgeReplacement(secret(2, long - 1), secret(1), NOW_MS))).toMatchObject({
      code: 'SECRET_RECORD_INVALID',
      message: 'the record expires before the one that it replaces',
    });
  });

  it('takes a record that lasts one more millisecond', () => {
    expect(codeOf(() => judgeReplacement(secret(1, NOW_MS + 1), undefined, NOW_MS))).toBe('none');
    expect(codeOf(() => judgeReplacement(secret(1, NOW_MS), undefined, NOW_MS))).toBe('SECRET_EXPIRED');
  });

  it('fills a quota exactly', () => {
    const quota = { records: 1, bytes: 10 };
    expect(codeOf(() => judgeQuota({ records: 0, bytes: 0 }, 10, quota))).toBe('none');
    expect(codeOf(() => judgeQuota({ records: 0, bytes: 0 }, 11, quota))).toBe('SECRET_QUOTA');
    expect(codeOf(() => judgeQuota({ records: 1, bytes: 0 }, 0, quota))).toBe('SECRET_QUOTA');
  });
});

it('a URL has at most 2,048 characters', () => {
  const url = `https://a.test/${'b'.repeat(MAX_URL_CHARACTERS - 'https://a.test/'.length)}`;
  expect(codeOf(() => parseTarget(url))).toBe('none');
  expect(codeOf(() => parseTarget(`${url}b`))).toBe('FIELD_INVALID');
});
