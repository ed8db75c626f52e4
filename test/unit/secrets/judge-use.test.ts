import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { LatchkeyError, RefusalError } from '../../../src/errors/latchkey-error.ts';
import { decodeAcl, encodeAcl, MAX_ACL_BYTES, matchesPath } from '../../../src/secrets/acl.ts';
import { judgeUse, type SecretUse, type UseTime } from '../../../src/secrets/judge-use.ts';
import { isWithin, parseScope, parseTarget } from '../../../src/secrets/scope.ts';
import { ALICE, aclOf, BOB, NOW_MS, secretContent, tombstoneContent } from '../../support/secret-records.ts';
import { codeOf } from '../../support/thrown.ts';

const use = (change: Partial<SecretUse> & { readonly url?: string } = {}): SecretUse => {
  const { url = 'https://api.example.com/v1/models', ...rest } = change;
  const target = parseTarget(url);
  return { caller: ALICE, verb: 'GET', target, headers: ['authorization'], inBody: false, ...rest };
};
/** A clock that shows the time of the newest block. */
const at = (nowMs: number): UseTime => ({ nowMs, blockMs: nowMs });
const judged = (given: SecretUse, acl = aclOf(), nowMs = NOW_MS) =>
  codeOf(() => judgeUse(secretContent({ acl }), given, at(nowMs), undefined));

describe('the use of a secret', () => {
  it('is allowed when the ACL names all of it', () => {
    expect(judged(use())).toBe('none');
    expect(judged(use({ inBody: true }), aclOf({ body: true }))).toBe('none');
    expect(judged(use({ headers: [] }))).toBe('none');
  });

  it.each([
    ['another caller', use({ caller: BOB }), aclOf(), 'SECRET_CALLER_REFUSED'],
    ['another host', use({ url: 'https://evil.example.com/v1/x' }), aclOf(), 'SECRET_SCOPE_MISMATCH'],
    ['another port', use({ url: 'https://api.example.com:444/v1/x' }), aclOf(), 'SECRET_SCOPE_MISMATCH'],
    ['another scheme', use({ url: 'http://api.example.com/v1/x' }), aclOf(), 'SECRET_SCOPE_MISMATCH'],
    [
      'a path beside the prefix',
      use({ url: 'https://api.example.com/v10' }),
      aclOf(),
      'SECRET_SCOPE_MISMATCH',
    ],
    [
      'a way out of the prefix',
      use({ url: 'https://api.example.com/v1/%2e%2e/x' }),
      aclOf(),
      'SECRET_SCOPE_MISMATCH',
    ],
    ['another verb', use({ verb: 'DELETE' }), aclOf(), 'SECRET_VERB_REFUSED'],
    ['an unknown verb', use({ verb: 'get' }), aclOf(), 'SECRET_VERB_REFUSED'],
    ['another path', use(), aclOf({ paths: ['/v1/chat'] }), 'SECRET_PATH_REFUSED'],
    ['another header', use({ headers: ['x-key'] }), aclOf(), 'SECRET_PLACE_REFUSED'],
    ['the body', use({ inBody: true }), aclOf(), 'SECRET_PLACE_REFUSED'],
    ['an ACL that has expired', use(), aclOf({ expiresAtMs: NOW_MS }), 'SECRET_ACL_EXPIRED'],
  ])('is refused for %s', (_, given, acl, code) => {
    expect(judged(given, acl)).toBe(code);
  });

  it('by http needs a scope and an ACL that say so', () => {
    const target = use({ url: 'http://api.example.com/v1/x' });
    const plain = (plainHttp: boolean) =>
      secretContent({ origin: 'http://api.example.com', acl: aclOf({ plainHttp }) });
    expect(codeOf(() => judgeUse(plain(true), target, at(NOW_MS), undefined))).toBe('none');
    expect(codeOf(() => judgeUse(plain(false), target, at(NOW_MS), undefined))).toBe(
      'SECRET_PLAIN_HTTP_REFUSED',
    );
  });

  it('is refused of a secret that has expired or was deleted, and a stranger is not told which', () => {
    const expired = secretContent({ expiresAtMs: NOW_MS });
    expect(codeOf(() => judgeUse(expired, use(), at(NOW_MS), undefined))).toBe('SECRET_EXPIRED');
    expect(codeOf(() => judgeUse(expired, use(), at(NOW_MS - 1), undefined))).toBe('none');
    expect(codeOf(() => judgeUse(expired, use({ caller: BOB }), at(NOW_MS), undefined))).toBe(
      'SECRET_CALLER_REFUSED',
    );
    expect(codeOf(() => judgeUse(tombstoneContent(), use(), at(NOW_MS), undefined))).toBe('SECRET_NOT_FOUND');
  });
});

describe('the count of a period', () => {
  const content = secretContent({ acl: aclOf({ limit: { count: 2, periodMs: 1000 } }) });
  const period = NOW_MS / 1000;

  it('is used up, and begins again with the next period', () => {
    const first = judgeUse(content, use(), at(NOW_MS), undefined);
    const second = judgeUse(content, use(), at(NOW_MS + 1), first);
    expect([first, second]).toEqual([
      { period, used: 1 },
      { period, used: 2 },
    ]);
    expect(codeOf(() => judgeUse(content, use(), at(NOW_MS + 400), second))).toBe('SECRET_COUNT_EXHAUSTED');
    expect(judgeUse(content, use(), at(NOW_MS + 1000), second)).toEqual({ period: period + 1, used: 1 });
  });

  it('says when the next one begins', () => {
    const counted = { period, used: 2 };
    try {
      judgeUse(content, use(), at(NOW_MS + 400), counted);
      expect.fail('not refused');
    } catch (error) {
      expect(error instanceof RefusalError && error.retryAfterMs).toBe(600);
    }
  });

  it('is one of the chain: a clock that is set forward begins none', () => {
    const time = { nowMs: NOW_MS + 5000, blockMs: NOW_MS };
    expect(codeOf(() => judgeUse(content, use(), time, { period, used: 2 }))).toBe('SECRET_COUNT_EXHAUSTED');
  });

  it('does not begin again when the clock is set back', () => {
    const counted = { period, used: 2 };
    expect(codeOf(() => judgeUse(content, use(), at(NOW_MS - 5000), counted))).toBe('SECRET_COUNT_EXHAUSTED');
  });

  it('never allows more than the count in a period, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 60 }), (times) => {
        const allowed = new Map<number, number>();
        let counted: ReturnType<typeof judgeUse>;
        for (const time of times) {
          if (codeOf(() => judgeUse(content, use(), at(NOW_MS + time), counted)) !== 'none') continue;
          counted = judgeUse(content, use(), at(NOW_MS + time), counted);
          const number = counted?.period ?? -1;
          allowed.set(number, (allowed.get(number) ?? 0) + 1);
        }
        return [...allowed.values()].every((count) => count <= 2);
      }),
    );
  });
});

describe('an ACL', () => {
  it('is read as it was written, with and without its optional fields', () => {
    const whole = aclOf({ expiresAtMs: 5, limit: { count: 1, periodMs: 60_000 }, headers: [], body: true });
    for (const acl of [aclOf(), whole]) expect(decodeAcl(encodeAcl(acl))).toEqual(acl);
  });

  const json = new TextDecoder().decode(encodeAcl(aclOf()));
  it.each([
    ['no JSON', '{'],
    ['an unknown field', json.replace('{', '{"admin":true,')],
    [
      'another order of fields',
      JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(json) as object).reverse())),
    ],
    ['a space', json.replace(':', ': ')],
    ['no callers', json.replace(/"callers":\[[^\]]*\]/, '"callers":[]')],
    ['a caller in SS58', json.replace(/"0x[0-9a-f]*"/, '"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"')],
    ['a caller in upper case', json.replace(/0x[0-9a-f]*/, (hex) => `0x${hex.slice(2).toUpperCase()}`)],
    ['an unknown verb', json.replace('GET', 'TRACE')],
    ['a header in upper case', json.replace('authorization', 'Authorization')],
    ['a star within a segment', json.replace('/v1/**', '/v1/a*')],
    ['two stars before the end', json.replace('/v1/**', '/**/v1')],
    ['more than it may have', `${json}${' '.repeat(MAX_ACL_BYTES)}`],
  ])('with %s is refused', (_, text) => {
    expect(codeOf(() => decodeAcl(utf8(text)))).toBe('SECRET_RECORD_INVALID');
  });

  it('of any bytes is read or refused by its code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (bytes) => {
        try {
          decodeAcl(bytes);
        } catch (error) {
          return error instanceof LatchkeyError && error.code === 'SECRET_RECORD_INVALID';
        }
        return true;
      }),
    );
  });
});

describe('patterns of paths', () => {
  it.each([
    ['/v1/chat', '/v1/chat', true],
    ['/v1/chat', '/v1/chat/', false],
    ['/v1/chat', '/v1', false],
    ['/v1/*', '/v1/chat', true],
    // Many services read this as all of them, and two slashes as one.
    ['/v1/*', '/v1/', false],
    ['/v1/*/x', '/v1//x', false],
    ['/v1/*', '/v1/a/b', false],
    ['/v1/*/x', '/v1/a/x', true],
    ['/v1/**', '/v1/a/b', true],
    ['/v1/**', '/v1', false],
    ['/v1/**', '/v10/a', false],
    ['/**', '/', true],
    ['/**', '/a/b', true],
  ])('%s and %s: %s', (pattern, path, matches) => {
    expect(matchesPath(path, pattern)).toBe(matches);
  });

  it('without a star match themselves only', () => {
    const path = fc
      .array(fc.stringMatching(/^[a-z0-9]{0,4}$/), { maxLength: 4 })
      .map((parts) => `/${parts.join('/')}`);
    fc.assert(fc.property(path, path, (one, other) => matchesPath(one, other) === (one === other)));
  });
});

describe('URLs', () => {
  it('have one normal form', () => {
    expect(parseScope('HTTPS://API.Example.com:443/v1/')).toEqual({
      origin: 'https://api.example.com',
      pathPrefix: '/v1',
    });
    expect(parseScope('http://example.com:8080')).toEqual({
      origin: 'http://example.com:8080',
      pathPrefix: '/',
    });
    expect(parseTarget('https://0x7f.1/a/./b?q=%2f')).toEqual({ origin: 'https://127.0.0.1', path: '/a/b' });
  });

  it.each([
    'ftp://example.com/',
    'example.com',
    'https://user@example.com/',
    'https://:password@example.com/',
    'https://example.com./',
    'https://example.com/#part',
    'https://example.com/a%2fb',
    'https://example.com/a%5Cb',
    `https://example.com/${'a'.repeat(2048)}`,
  ])('%s is refused', (url) => {
    expect(codeOf(() => parseTarget(url))).toBe('FIELD_INVALID');
  });

  it('of a scope have no query', () => {
    expect(codeOf(() => parseScope('https://example.com/?a=1'))).toBe('FIELD_INVALID');
  });

  it('below a prefix are those of whole segments, and all of an origin when it has none', () => {
    const scope = parseScope('https://example.com/v1');
    const within = (url: string) => isWithin(parseTarget(url), scope);
    expect(['/v1', '/v1/', '/v1/x'].map((path) => within(`https://example.com${path}`))).toEqual([
      true,
      true,
      true,
    ]);
    expect(['/', '/v10', '/V1'].map((path) => within(`https://example.com${path}`))).toEqual([
      false,
      false,
      false,
    ]);
    expect(isWithin(parseTarget('https://example.com/x'), parseScope('https://example.com'))).toBe(true);
  });
});
