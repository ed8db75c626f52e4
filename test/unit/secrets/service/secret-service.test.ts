import { describe, expect, it } from 'vitest';
import { toBase64 } from '../../../../src/bytes/base64.ts';
import { concatBytes, utf8 } from '../../../../src/bytes/concat.ts';
import { X25519PublicKey } from '../../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../../src/bytes/ss58.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { generateX25519KeyPair } from '../../../../src/crypto/x25519.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import type { SecretOwner } from '../../../../src/secrets/client/node-exchange.ts';
import { signRecord } from '../../../../src/secrets/record.ts';
import { secretId } from '../../../../src/secrets/scope.ts';
import { openRequest, sealRequest } from '../../../../src/secrets/sealed-messages.ts';
import { MAX_ASKED_IDS } from '../../../../src/secrets/service/secret-service.ts';
import { UserIndex } from '../../../../src/secrets/service/user-index.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../../../src/secrets/value.ts';
import { LoneRing, loneService, memberAt } from '../../../support/lone-secret-service.ts';
import { MemoryReplicaStore } from '../../../support/ring-records.ts';
import { ALICE, BOB, NOW_MS, secretContent, seedOf } from '../../../support/secret-records.ts';
import { codeOf as codeThrown } from '../../../support/thrown.ts';

const alice: SecretOwner = { account: ALICE, seed: seedOf(1) };
const bob: SecretOwner = { account: BOB, seed: seedOf(2) };
const nothing = new Uint8Array(0);

function secret(pathPrefix: string, account = ALICE, seed = seedOf(1)) {
  const salted = saltValue(utf8('sk'), systemRandom);
  const record = signRecord(seed, secretContent({ account, pathPrefix, valueHash: hashValue(salted) }));
  return { id: record.id, text: toBase64(record.bytes), entry: encodeEntry(secretEntry(record, salted)) };
}

const holding = async (change: Parameters<typeof loneService>[2] = {}) => {
  const ring = new LoneRing([memberAt(BOB, 0), memberAt(ALICE, 255)]);
  return { ...(await loneService(BOB, ring, change)), ring };
};

describe('a list', () => {
  it('has all records of its user, or those that are asked for, and who holds them', async () => {
    const { ask, ring } = await holding();
    const [a, b, ofBob] = [secret('/a'), secret('/b'), secret('/a', BOB, seedOf(2))];
    for (const { entry } of [a, b, ofBob]) await ring.write(entry);
    const sorted = [a, b].sort((one, other) => (toPrefixedHex(one.id) < toPrefixedHex(other.id) ? -1 : 1));
    expect(await ask(alice, 'list', nothing)).toEqual({
      records: sorted.map(({ text }) => text),
      holders: {},
    });
    const holders = ring.view.placement.replicasOf(a.id).map(({ account }) => encodeSs58(account));
    expect(holders).toHaveLength(2);
    expect(await ask(alice, 'list', a.id)).toEqual({
      records: [a.text],
      holders: { [toPrefixedHex(a.id)]: holders },
    });
    // The record of another user is not shown, though its holders are.
    expect(await ask(alice, 'list', ofBob.id)).toMatchObject({ records: [] });
    expect(await ask(bob, 'list', nothing)).toMatchObject({ records: [ofBob.text] });
  });

  it('leaves out what is gone meanwhile', async () => {
    const { ask, ring } = await holding();
    const { entry } = secret('/a');
    await ring.write(entry);
    ring.store.records.clear();
    expect(await ask(alice, 'list', nothing)).toEqual({ records: [], holders: {} });
  });

  it('is of 64 whole ids at most', async () => {
    const { codeOf } = await holding();
    const ids = (count: number) => systemRandom(32 * count);
    expect(await codeOf(alice, 'list', ids(MAX_ASKED_IDS))).toBe('none');
    expect(await codeOf(alice, 'list', ids(MAX_ASKED_IDS + 1))).toBe('FIELD_INVALID');
    for (const length of [1, 31, 33, 32 * MAX_ASKED_IDS + 1])
      expect(await codeOf(alice, 'list', systemRandom(length))).toBe('FIELD_INVALID');
  });
});

describe('a request', () => {
  it('is taken once, and its answer is counted by its code', async () => {
    const { service, world, codeOf } = await holding();
    expect(await codeOf(alice, 'list', nothing)).toBe('none');
    const [first] = world.sent;
    await service.answer('list', first?.body, 'request-2');
    expect(world.codes).toEqual(['ok', 'SECRET_REQUEST_REPLAYED']);
  });

  it('takes one token of its user, and a copy of it none', async () => {
    const { service, world, ask, codeOf } = await holding({ rate: { burst: 2, perSecond: 1 } });
    expect(await codeOf(alice, 'list', nothing)).toBe('none');
    const [first] = world.sent;
    for (let turn = 0; turn < 5; turn++) await service.answer('list', first?.body, 'again');
    expect(await codeOf(alice, 'list', nothing)).toBe('none');
    expect(await ask(alice, 'list', nothing)).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 1000 });
    expect(await codeOf(bob, 'list', nothing)).toBe('none');
    world.nowMs += 1000;
    expect(await codeOf(alice, 'list', nothing)).toBe('none');
  });

  it.each([
    ['of another body', { enc: '0x', ciphertext: '' }, 'FIELD_INVALID'],
    [
      'that does not open',
      { enc: `0x${'09'.repeat(32)}`, ciphertext: toBase64(new Uint8Array(300)) },
      'SECRET_SEALING_WRONG',
    ],
    ['with another field', { enc: `0x${'09'.repeat(32)}`, ciphertext: '', more: 1 }, 'FIELD_INVALID'],
  ])('%s is refused without an answer', async (_, body, code) => {
    const { service, world } = await holding();
    const refused = await service.answer('list', body, 'r').then(
      () => 'none',
      (error: unknown) => (error instanceof LatchkeyError ? error.code : error),
    );
    expect([refused, world.codes]).toEqual([code, []]);
  });
});

describe('a failure that nobody expected', () => {
  it.each<[string, unknown, object]>([
    ['an error', new RangeError('sk-secret'), { error: 'RangeError' }],
    ['a text', 'sk-secret', { error: 'string', at: [] }],
    ['nothing', null, { error: 'object', at: [] }],
    [
      'an error without a stack',
      Object.assign(new Error('sk-secret'), { stack: undefined }),
      { error: 'Error', at: [] },
    ],
  ])('is logged with its kind and its place, and nothing of its text (%s)', async (_, reason, logged) => {
    const { ask, world, ring } = await holding();
    ring.read = () => Promise.reject(reason);
    expect(await ask(alice, 'deploy', secret('/a').entry)).toMatchObject({ code: 'INTERNAL' });
    expect(world.logged).toMatchObject([
      { level: 'error', event: 'secrets.failed', requestId: 'request-1', ...logged },
    ]);
    expect(JSON.stringify(world.logged)).not.toContain('sk-secret');
    if (reason instanceof RangeError) expect(JSON.stringify(world.logged)).toContain('    at ');
  });

  it('is not what every refusal is', async () => {
    const { codeOf, world } = await holding();
    expect(await codeOf(alice, 'update', secret('/a').entry)).toBe('SECRET_NOT_FOUND');
    expect(world.logged).toEqual([]);
  });
});

describe('a sealed request', () => {
  it('has a new key each time, unless a test gives one', () => {
    const node = generateX25519KeyPair();
    const statement = {
      route: 'list',
      user: ALICE,
      node: BOB,
      timestampMs: NOW_MS,
      random: new Uint8Array(16),
    } as const;
    const keys = {
      node: X25519PublicKey.of(node.publicKey),
      answerKey: generateX25519KeyPair(),
      seed: seedOf(1),
    };
    const ephemeral = generateX25519KeyPair();
    const [one, other, given] = [keys, keys, { ...keys, ephemeral }].map(
      (each) => sealRequest(statement, nothing, each).message,
    );
    expect(one?.enc).not.toEqual(other?.enc);
    expect(given?.enc).toEqual(ephemeral.publicKey);
    const opened = { account: BOB, x25519: node };
    for (const message of [one, given])
      expect(codeThrown(() => openRequest('list', message ?? expect.fail('none'), opened))).toBe('none');
    const damaged = { enc: ephemeral.publicKey, ciphertext: concatBytes(new Uint8Array(400)) };
    expect(codeThrown(() => openRequest('list', damaged, opened))).toBe('SECRET_SEALING_WRONG');
  });
});

describe('the index of users', () => {
  it('has the records of a user in the order of their ids, and keeps those that are not deleted', async () => {
    const index = new UserIndex();
    const store = index.around(new MemoryReplicaStore());
    const scopes = Array.from({ length: 12 }, (_, at) => `/${at}`);
    const secrets = scopes.map((prefix) => secret(prefix));
    const names = secrets.map(({ id }) => toPrefixedHex(id).slice(2));
    for (const [at, { entry }] of secrets.entries()) await store.put(names[at] ?? '', entry);
    expect(index.of(ALICE).map(({ id }) => id)).toEqual([...names].sort());
    await store.delete(names[3] ?? '');
    await store.delete('another');
    expect(index.of(ALICE).map(({ id }) => id)).toEqual(names.filter((_, at) => at !== 3).sort());
    expect(index.size).toBe(11);
    expect(index.has(toPrefixedHex(secretId(ALICE, secretContent({ pathPrefix: '/4' }))).slice(2))).toBe(
      true,
    );
  });
});
