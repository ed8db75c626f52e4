import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import {
  judgeRequest,
  REQUEST_WINDOW_MS,
  type RequestCheck,
  type RequestStatement,
  signRequest,
} from '../../../src/secrets/signed-request.ts';
import { ALICE, BOB, NOW_MS, seedOf } from '../../support/secret-records.ts';

const content = utf8('content');
const statement: RequestStatement = {
  route: 'deploy',
  user: ALICE,
  node: BOB,
  timestampMs: NOW_MS,
  random: new Uint8Array(16).fill(5),
};
const signature = signRequest(seedOf(1), statement, content);

function nodeOf(change: Partial<RequestCheck> = {}) {
  const seen = new Set<string>();
  const check: RequestCheck = {
    node: BOB,
    route: 'deploy',
    nowMs: NOW_MS,
    wasSeen: (digest) => seen.size === seen.add(toHex(digest)).size,
    ...change,
  };
  return async (asked = statement, what = content, by = signature): Promise<string> => {
    try {
      await judgeRequest(asked, what, by, check);
      return 'none';
    } catch (error) {
      if (error instanceof LatchkeyError) return error.code;
      throw error;
    }
  };
}

describe('a signed request', () => {
  it('is taken once', async () => {
    const judge = nodeOf();
    expect([await judge(), await judge()]).toEqual(['none', 'SECRET_REQUEST_REPLAYED']);
  });

  it('is not taken again with another signature of the same statement', async () => {
    const judge = nodeOf();
    const again = signRequest(seedOf(1), statement, content);
    expect([await judge(), await judge(statement, content, again)]).toEqual([
      'none',
      'SECRET_REQUEST_REPLAYED',
    ]);
  });

  it('does not use up its place when it is refused', async () => {
    const judge = nodeOf();
    expect(await judge(statement, utf8('other'))).toBe('SECRET_SIGNATURE_INVALID');
    expect(await judge()).toBe('none');
  });

  it('of another node or route is refused', async () => {
    expect(await nodeOf({ node: ALICE })()).toBe('SECRET_OTHER_NODE');
    expect(await nodeOf({ route: 'delete' })()).toBe('SECRET_OTHER_NODE');
  });

  it('is refused too early and too late', async () => {
    for (const [offset, code] of [
      [REQUEST_WINDOW_MS, 'none'],
      [REQUEST_WINDOW_MS + 1, 'SECRET_REQUEST_STALE'],
      [-REQUEST_WINDOW_MS, 'none'],
      [-REQUEST_WINDOW_MS - 1, 'SECRET_REQUEST_STALE'],
    ] as const)
      expect(await nodeOf({ nowMs: NOW_MS + offset })()).toBe(code);
  });

  it('with any part changed is refused', async () => {
    const judge = (change: Partial<RequestStatement>, node = nodeOf()) => node({ ...statement, ...change });
    expect(await judge({ user: BOB })).toBe('SECRET_SIGNATURE_INVALID');
    expect(await judge({ timestampMs: NOW_MS + 1 })).toBe('SECRET_SIGNATURE_INVALID');
    expect(await judge({ random: new Uint8Array(16) })).toBe('SECRET_SIGNATURE_INVALID');
    expect(await judge({ node: ALICE }, nodeOf({ node: ALICE }))).toBe('SECRET_SIGNATURE_INVALID');
    expect(await judge({ route: 'delete' }, nodeOf({ route: 'delete' }))).toBe('SECRET_SIGNATURE_INVALID');
  });

  it('has 16 random bytes', () => {
    expect(() => signRequest(seedOf(1), { ...statement, random: new Uint8Array(15) }, content)).toThrow(
      RangeError,
    );
  });
});
