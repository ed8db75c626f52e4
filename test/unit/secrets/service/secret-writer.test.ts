import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { toHex, toPrefixedHex } from '../../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { ProblemError } from '../../../../src/errors/latchkey-error.ts';
import type { SecretOwner } from '../../../../src/secrets/client/node-exchange.ts';
import { type SecretContent, signRecord } from '../../../../src/secrets/record.ts';
import { secretId } from '../../../../src/secrets/scope.ts';
import { secretFormat } from '../../../../src/secrets/secret-format.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../../../src/secrets/value.ts';
import { LoneRing, loneService, memberAt } from '../../../support/lone-secret-service.ts';
import {
  ALICE,
  BOB,
  NOW_MS,
  secretContent,
  seedOf,
  tombstoneContent,
} from '../../../support/secret-records.ts';

const alice: SecretOwner = { account: ALICE, seed: seedOf(1) };
const bob: SecretOwner = { account: BOB, seed: seedOf(2) };
const ID = secretId(ALICE, secretContent());
const LIFE_MS = secretContent().expiresAtMs;

type Secret = Extract<SecretContent, { kind: 'secret' }>;

function secret(change: Partial<Secret> = {}, seed = seedOf(1)): Uint8Array {
  const salted = saltValue(utf8('sk'), systemRandom);
  const content = secretContent({ ...change, valueHash: hashValue(salted) });
  return encodeEntry(secretEntry(signRecord(seed, content), salted));
}
function tombstone(version: number, expiresAtMs = LIFE_MS): Uint8Array {
  const record = signRecord(seedOf(1), { ...tombstoneContent({ version }), expiresAtMs });
  return encodeEntry(secretEntry(record, new SecretBytes(new Uint8Array(0))));
}

/** A node that holds all ids. */
const holding = (change: Parameters<typeof loneService>[2] = {}) => {
  const ring = new LoneRing([memberAt(BOB, 0)]);
  return loneService(BOB, ring, change).then((desk) => ({ ...desk, ring }));
};

describe('a write', () => {
  it('is that of the user who signed the request', async () => {
    const { ask, codeOf, ring } = await holding();
    const ofBob = secret({ account: BOB }, seedOf(2));
    expect(await ask(alice, 'deploy', ofBob)).toMatchObject({
      code: 'SECRET_RECORD_INVALID',
      field: 'account',
    });
    expect(ring.writes).toBe(0);
    expect(await codeOf(bob, 'deploy', ofBob)).toBe('none');
  });

  it.each([
    ['deploy', tombstone(9), 'a secret on the route deploy'],
    ['update', tombstone(9), 'a secret on the route update'],
    ['delete', secret({ version: 9 }), 'a tombstone on the route delete'],
  ] as const)('by %s is of its kind', async (route, entry, expected) => {
    const { ask, codeOf, ring } = await holding();
    await codeOf(alice, 'deploy', secret());
    expect(await ask(alice, route, entry)).toMatchObject({
      code: 'SECRET_RECORD_INVALID',
      field: 'kind',
      expected,
    });
    expect(ring.writes).toBe(1);
  });

  it('says what was written', async () => {
    const { ask } = await holding();
    expect(await ask(alice, 'deploy', secret({ version: 4 }))).toEqual({ id: toPrefixedHex(ID), version: 4 });
  });

  it('is taken by holders only, and by each of them', async () => {
    const places = (own: number, other: number) => [memberAt(BOB, own), memberAt(ALICE, other)];
    const [first = 0] = ID;
    const [near, far] = [first, first ^ 0xff];
    const ofOne = new LoneRing(places(far, near), 1);
    expect(await (await loneService(BOB, ofOne)).codeOf(alice, 'deploy', secret())).toBe('SECRET_NOT_HOLDER');
    expect(ofOne.writes).toBe(0);
    const ofTwo = new LoneRing(places(far, near), 2);
    expect(await (await loneService(BOB, ofTwo)).codeOf(alice, 'deploy', secret())).toBe('none');
    const nearest = new LoneRing(places(near, far), 1);
    expect(await (await loneService(BOB, nearest)).codeOf(alice, 'deploy', secret())).toBe('none');
  });

  it('of accounts that the operator does not list is refused, and their deletions are not', async () => {
    const onlyBob = await holding({ users: [BOB] });
    expect(await onlyBob.codeOf(alice, 'deploy', secret())).toBe('SECRET_USER_REFUSED');
    await onlyBob.ring.write(secret());
    expect(await onlyBob.codeOf(alice, 'update', secret({ version: 2 }))).toBe('SECRET_USER_REFUSED');
    expect(await onlyBob.codeOf(alice, 'delete', tombstone(2))).toBe('none');
    const both = await holding({ users: [BOB, ALICE] });
    expect(await both.codeOf(alice, 'deploy', secret())).toBe('none');
    const nobody = await holding({ users: [] });
    expect(await nobody.codeOf(alice, 'deploy', secret())).toBe('SECRET_USER_REFUSED');
  });
});

describe('the route of a write', () => {
  it('deploy is for what is not there, update and delete for what is', async () => {
    const { ask, codeOf } = await holding();
    expect(await codeOf(alice, 'update', secret())).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(alice, 'delete', tombstone(1))).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(alice, 'deploy', secret())).toBe('none');
    expect(await ask(alice, 'deploy', secret({ version: 2 }))).toMatchObject({
      code: 'SECRET_EXISTS',
      observed: 'version 1',
    });
    expect(await codeOf(alice, 'update', secret({ version: 2 }))).toBe('none');
    expect(await codeOf(alice, 'delete', tombstone(3))).toBe('none');
    expect(await codeOf(alice, 'update', secret({ version: 4 }))).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(alice, 'delete', tombstone(4))).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(alice, 'deploy', secret({ version: 4 }))).toBe('none');
  });

  it('takes the same record once more, on each of them', async () => {
    const { codeOf } = await holding();
    const [first, second, gone] = [secret(), secret({ version: 2 }), tombstone(3)];
    for (const turn of [1, 2]) expect([turn, await codeOf(alice, 'deploy', first)]).toEqual([turn, 'none']);
    for (const turn of [1, 2]) expect([turn, await codeOf(alice, 'update', second)]).toEqual([turn, 'none']);
    for (const turn of [1, 2]) expect([turn, await codeOf(alice, 'delete', gone)]).toEqual([turn, 'none']);
    expect(await codeOf(alice, 'update', second)).toBe('SECRET_NOT_FOUND');
  });

  it('deploy replaces a secret from the millisecond in which it expires', async () => {
    const { world, codeOf } = await holding();
    await codeOf(alice, 'deploy', secret({ expiresAtMs: NOW_MS + 10 }));
    const next = secret({ version: 2 });
    world.nowMs = NOW_MS + 9;
    expect(await codeOf(alice, 'deploy', next)).toBe('SECRET_EXISTS');
    world.nowMs = NOW_MS + 10;
    expect(await codeOf(alice, 'deploy', next)).toBe('none');
  });

  it('does not bring an older version back, nor one that has expired', async () => {
    const { world, codeOf, ring } = await holding();
    await codeOf(alice, 'deploy', secret({ version: 5 }));
    expect(await codeOf(alice, 'update', secret({ version: 4 }))).toBe('SECRET_VERSION_OLD');
    expect(await codeOf(alice, 'update', secret({ version: 5 }))).toBe('SECRET_VERSION_OLD');
    expect(await codeOf(alice, 'delete', tombstone(6, LIFE_MS - 1))).toBe('SECRET_RECORD_INVALID');
    world.nowMs = LIFE_MS;
    expect(await codeOf(alice, 'update', secret({ version: 6 }))).toBe('SECRET_EXPIRED');
    expect(ring.writes).toBe(1);
  });

  it('says so when the ring had a newer one', async () => {
    const { codeOf, ring } = await holding();
    ring.instead = { kind: 'superseded', by: secretFormat.read(secret({ version: 9 })) };
    expect(await codeOf(alice, 'deploy', secret())).toBe('SECRET_VERSION_OLD');
  });
});

describe('the room for a write', () => {
  const other = { pathPrefix: '/other' };

  it('of a user is filled exactly, and what is replaced does not count', async () => {
    const perUser = { records: 1, bytes: 100_000 };
    const { codeOf } = await holding({ perUser });
    expect(await codeOf(alice, 'deploy', secret())).toBe('none');
    expect(await codeOf(alice, 'deploy', secret(other))).toBe('SECRET_QUOTA');
    expect(await codeOf(alice, 'update', secret({ version: 2 }))).toBe('none');
    expect(await codeOf(bob, 'deploy', secret({ account: BOB }, seedOf(2)))).toBe('none');
  });

  it('of a user counts the bytes of whole entries', async () => {
    const { length } = secret();
    for (const [bytes, code] of [
      [length, 'none'],
      [length - 1, 'SECRET_QUOTA'],
    ] as const) {
      const { codeOf } = await holding({ perUser: { records: 9, bytes } });
      expect(await codeOf(alice, 'deploy', secret())).toBe(code);
    }
  });

  it('of all users is filled exactly, and what is there may be replaced', async () => {
    const { codeOf } = await holding({ maxRecords: 2 });
    expect(await codeOf(alice, 'deploy', secret())).toBe('none');
    expect(await codeOf(alice, 'deploy', secret(other))).toBe('none');
    expect(await codeOf(bob, 'deploy', secret({ account: BOB }, seedOf(2)))).toBe('SECRET_RING_FULL');
    expect(await codeOf(alice, 'update', secret({ version: 2 }))).toBe('none');
  });

  it('is asked of the store, for secrets and not for deletions', async () => {
    const { world, codeOf, ring } = await holding({ perUser: { records: 1, bytes: 100_000 }, maxRecords: 1 });
    const entry = secret();
    const asked: unknown[] = [];
    world.requireRoom = async (id, bytes) => void asked.push([id, bytes]);
    expect(await codeOf(alice, 'deploy', entry)).toBe('none');
    expect(asked).toEqual([[toHex(ID), entry.length]]);
    world.requireRoom = async () => {
      throw new ProblemError('RING_FULL', 'no room');
    };
    expect(await codeOf(alice, 'update', secret({ version: 2 }))).toBe('RING_FULL');
    expect(ring.writes).toBe(1);
    expect(await codeOf(alice, 'delete', tombstone(2))).toBe('none');
  });

  it('of one user is judged for one write after the other', async () => {
    const { codeOf, ring } = await holding({ perUser: { records: 1, bytes: 100_000 } });
    const write = ring.write;
    ring.write = async (bytes) => {
      // Until all of them have come so far, if nothing holds them back.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      return write(bytes);
    };
    const paths = ['/a', '/b', '/c'];
    const codes = await Promise.all(
      paths.map((pathPrefix) => codeOf(alice, 'deploy', secret({ pathPrefix }))),
    );
    expect(codes.sort()).toEqual(['SECRET_QUOTA', 'SECRET_QUOTA', 'none']);
  });
});
