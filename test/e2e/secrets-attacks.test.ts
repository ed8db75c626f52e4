import { describe, expect, it, vi } from 'vitest';
import { startUpstream } from '../../devnet/tls-upstream.ts';
import { utf8 } from '../../src/bytes/concat.ts';
import { AccountId, type RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519PublicKey } from '../../src/crypto/sr25519.ts';
import { LatchkeyError, ProblemError } from '../../src/errors/latchkey-error.ts';
import type { FromNode, RingReply, RingRequest } from '../../src/ring/replication/messages.ts';
import { NodeExchange, NodeRefusal, type SecretOwner } from '../../src/secrets/client/node-exchange.ts';
import { SecretClient } from '../../src/secrets/client/secret-client.ts';
import { type SecretContent, signRecord } from '../../src/secrets/record.ts';
import { PLACEHOLDER } from '../../src/secrets/relay/outgoing-request.ts';
import { parseScope, secretId } from '../../src/secrets/scope.ts';
import type { SecretRoute } from '../../src/secrets/signed-request.ts';
import { encodeUse } from '../../src/secrets/use-request.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../src/secrets/value.ts';
import { ALICE, aclOf, BOB, secretContent, seedOf, tombstoneContent } from '../support/secret-records.ts';
import { looseSettings, type SecretMachine, SecretRingBench } from '../support/secret-ring.ts';

const LONG = { timeout: 120_000 };
const alice: SecretOwner = { account: ALICE, seed: seedOf(1) };
const ID = secretId(ALICE, secretContent());
const ownerOf = (byte: number): SecretOwner => ({
  account: AccountId.of(sr25519PublicKey(seedOf(byte).reveal())),
  seed: seedOf(byte),
});

type Secret = Extract<SecretContent, { kind: 'secret' }>;

/** An entry of a secret that its user signed. */
function secretBytes(change: Partial<Secret> = {}, seed = seedOf(1), value = 'sk-very-secret'): Uint8Array {
  const salted = saltValue(utf8(value), systemRandom);
  const content = secretContent({ ...change, valueHash: hashValue(salted) });
  return encodeEntry(secretEntry(signRecord(seed, content), salted));
}
const tombstoneBytes = (version: number): Uint8Array =>
  encodeEntry(
    secretEntry(signRecord(seedOf(1), tombstoneContent({ version })), new SecretBytes(new Uint8Array(0))),
  );

/** One request, straight to one node; gives the code of its refusal, or `none`. */
async function ask(
  bench: SecretRingBench,
  machine: SecretMachine,
  route: SecretRoute,
  body: Uint8Array,
  owner: SecretOwner = alice,
): Promise<string> {
  const exchange = new NodeExchange({
    owner,
    fetch: (url, init) => fetch(url, init),
    random: systemRandom,
    now: () => bench.nowMs,
    timeoutMs: 60_000,
  });
  try {
    await exchange.ask(bench.nodeOf(machine), route, body);
    return 'none';
  } catch (error) {
    const inner = error instanceof NodeRefusal ? error.error : error;
    return inner instanceof LatchkeyError ? inner.code : String(error);
  }
}

/** Makes a member lie to the others: its own answers are changed on the way. */
function corrupt(
  machine: SecretMachine,
  change: (request: RingRequest, reply: RingReply) => RingReply | Promise<RingReply>,
): void {
  const ring = machine.ring ?? expect.fail('the node is not running');
  const honest = ring.answer.bind(ring);
  ring.answer = async (from, request: FromNode<RingRequest>) => {
    const { status, message } = await honest(from, request);
    return { status, message: await change(request.message, message) };
  };
}

describe('a user with a valid signature', LONG, () => {
  it('writes no record of another account, and no record of another kind than the route', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    const ofBob = secretBytes({ account: BOB, acl: aclOf({ callers: [ALICE] }) }, seedOf(2));
    expect(await ask(bench, node, 'deploy', ofBob)).toBe('SECRET_RECORD_INVALID');
    expect(await ask(bench, node, 'deploy', tombstoneBytes(1))).toBe('SECRET_RECORD_INVALID');
    expect(await ask(bench, node, 'deploy', secretBytes())).toBe('none');
    expect(await ask(bench, node, 'update', tombstoneBytes(2))).toBe('SECRET_RECORD_INVALID');
    expect(await ask(bench, node, 'delete', secretBytes({ version: 2 }))).toBe('SECRET_RECORD_INVALID');
    expect([...bench.machines.values()].map(({ records }) => records.records.size)).toEqual([1, 1, 1, 1]);
  });

  it('writes at holders only', async () => {
    await using bench = await SecretRingBench.start(6);
    expect(await ask(bench, bench.stranger(ID), 'deploy', secretBytes())).toBe('SECRET_NOT_HOLDER');
    expect([...bench.machines.values()].filter(({ records }) => records.records.size > 0)).toEqual([]);
  });

  it('does not fit two secrets into the last place by sending both at once', async () => {
    const perUser = { records: 1, bytes: 1024 * 1024 };
    await using bench = await SecretRingBench.start(4, { ...looseSettings, perUser });
    const node = bench.holder(ID);
    const ring = node.ring ?? expect.fail('the node is not running');
    const write = ring.write.bind(ring);
    // Time for the others to come to their own write, if nothing holds them back.
    vi.spyOn(ring, 'write').mockImplementation(async (bytes) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return write(bytes);
    });
    const codes = await Promise.all(
      ['/a', '/b', '/c'].map((pathPrefix) => ask(bench, node, 'deploy', secretBytes({ pathPrefix }))),
    );
    expect(codes.sort()).toEqual(['SECRET_QUOTA', 'SECRET_QUOTA', 'none']);
  });

  it('learns that a newer record was there, which its node did not see when it looked', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    expect(await ask(bench, node, 'deploy', secretBytes({ version: 5 }))).toBe('none');
    const ring = node.ring ?? expect.fail('the node is not running');
    vi.spyOn(ring, 'read').mockResolvedValue({ entry: undefined });
    expect(await ask(bench, node, 'deploy', secretBytes({ version: 2 }))).toBe('SECRET_VERSION_OLD');
  });

  it('cannot delete for a shorter time than the secret lasts', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    const expiresAtMs = secretContent().expiresAtMs + 1;
    expect(await ask(bench, node, 'deploy', secretBytes({ expiresAtMs }))).toBe('none');
    expect(await ask(bench, node, 'delete', tombstoneBytes(2))).toBe('SECRET_RECORD_INVALID');
  });
});

describe('a node that lies to a client', LONG, () => {
  const lies: readonly (readonly [string, (genuine: Uint8Array) => Uint8Array])[] = [
    [
      'the largest version but one',
      (genuine) => {
        const forged = Uint8Array.from(genuine);
        new DataView(forged.buffer).setBigUint64(34, BigInt(Number.MAX_SAFE_INTEGER - 1));
        return forged;
      },
    ],
    [
      'the record of another user',
      () => {
        const content = secretContent({ account: BOB, version: Number.MAX_SAFE_INTEGER - 1 });
        return signRecord(seedOf(2), content).bytes;
      },
    ],
    [
      'another record of this user',
      () => signRecord(seedOf(1), secretContent({ pathPrefix: '/b', version: 2 ** 40 })).bytes,
    ],
  ];
  it.each(lies)('by %s, decides no version', async (_what, lie) => {
    await using bench = await SecretRingBench.start(4);
    const client = new SecretClient({
      owner: alice,
      directory: bench.directory(),
      fetch: (url, init) => fetch(url, init),
      random: systemRandom,
      now: () => bench.nowMs,
    });
    const wanted = { url: 'https://api.example.com/v1', value: utf8('v'), acl: aclOf() };
    const expiresAtMs = secretContent().expiresAtMs;
    expect(await client.deploy({ ...wanted, expiresAtMs })).toBe(1);
    const { index } = bench.holder(ID, 1);
    const recordOf = index.recordOf.bind(index);
    vi.spyOn(index, 'recordOf').mockImplementation(async (id) =>
      lie((await recordOf(id)) ?? new Uint8Array(0)),
    );
    expect(await client.update({ ...wanted, expiresAtMs })).toBe(2);
    const listed = await client.list();
    expect(listed.filter(({ pathPrefix }) => pathPrefix === '/v1').map(({ version }) => version)).toEqual([
      2,
    ]);
    expect(await client.delete(wanted.url, expiresAtMs)).toBe(3);
  });

  it('by a list that names no record, is believed only where no other node shows one', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    expect(await ask(bench, node, 'deploy', secretBytes({ version: 7 }))).toBe('none');
    for (const place of [0, 1, 2])
      vi.spyOn(bench.holder(ID, place).index, 'recordOf').mockResolvedValue(undefined);
    const directory = bench.directory();
    const fetchIt: typeof fetch = (url, init) => fetch(url, init);
    const parts = { owner: alice, directory, random: systemRandom, now: () => bench.nowMs };
    const client = new SecretClient({ ...parts, fetch: fetchIt });
    expect(await client.delete('https://api.example.com/v1', secretContent().expiresAtMs)).toBe(8);
  });
});

describe('a write that failed', LONG, () => {
  it('does not come back over a later one: no version is signed twice', async () => {
    await using bench = await SecretRingBench.start(4);
    const parts = {
      owner: alice,
      directory: bench.directory(),
      random: systemRandom,
      now: () => bench.nowMs,
    };
    const client = new SecretClient({ ...parts, fetch: (url, init) => fetch(url, init) });
    const wanted = { url: 'https://api.example.com/v1', value: utf8('v'), acl: aclOf() };
    const expiresAtMs = secretContent().expiresAtMs;
    expect(await client.deploy({ ...wanted, expiresAtMs })).toBe(1);
    for (const machine of bench.machines.values())
      vi.spyOn(machine.ring ?? expect.fail('the node is not running'), 'write').mockRejectedValueOnce(
        new ProblemError('RING_QUORUM_MISSING', 'too few'),
      );
    await expect(client.delete(wanted.url, expiresAtMs)).rejects.toMatchObject({
      code: 'RING_QUORUM_MISSING',
    });
    // A tombstone of version 2 may be at a holder that does not answer now.
    expect(await client.update({ ...wanted, expiresAtMs })).toBe(3);
  });
});

describe('a node that is not ready', LONG, () => {
  it('says so under the seal on every route that needs the ring', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    await bench.kill(node);
    await bench.boot(node);
    expect(await ask(bench, node, 'deploy', secretBytes())).toBe('RING_NOT_READY');
    expect(await ask(bench, node, 'delete', tombstoneBytes(2))).toBe('RING_NOT_READY');
    const use = useOf('https://api.example.com/v1/x');
    expect(await ask(bench, node, 'request', use)).toBe('RING_NOT_READY');
    await node.ring?.repair();
    expect(await ask(bench, node, 'deploy', secretBytes())).toBe('none');
  });
});

describe('a lying member', LONG, () => {
  it('does not put the record of another user in place of the one that was asked for', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    expect(await ask(bench, node, 'deploy', secretBytes())).toBe('none');
    const foreign = secretBytes({ account: BOB, version: 99 }, seedOf(2));
    for (const place of [1, 2, 3])
      corrupt(bench.holder(ID, place), (request, reply) =>
        request.kind === 'read' ? { kind: 'record', bytes: foreign } : reply,
      );
    const read = await node.ring?.read(ID).catch((error: unknown) => error);
    expect(read).toMatchObject({ code: 'RING_QUORUM_MISSING' });
    for (const place of [1, 2, 3]) delete (bench.holder(ID, place).ring as { answer?: unknown }).answer;
    expect(toHex((await node.ring?.read(ID))?.entry?.id ?? new Uint8Array(0))).toBe(toHex(ID));
  });

  it('does not stop a write with a record that is not newer, or of another id', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.holder(ID);
    expect(await ask(bench, node, 'deploy', secretBytes())).toBe('none');
    const lies = [secretBytes(), secretBytes({ account: BOB, version: 99 }, seedOf(2))];
    for (const [turn, bytes] of lies.entries()) {
      // The lie comes first: the other answers wait for it.
      let tell = (): void => undefined;
      const lied = new Promise<void>((resolve) => {
        tell = resolve;
      });
      corrupt(bench.holder(ID, 1), (request, reply) => {
        if (request.kind !== 'store') return reply;
        setTimeout(() => tell(), 50);
        return { kind: 'superseded', bytes };
      });
      for (const place of [2, 3])
        corrupt(bench.holder(ID, place), async (request, reply) => {
          if (request.kind === 'store') await lied;
          return reply;
        });
      expect(await ask(bench, node, 'update', secretBytes({ version: turn + 2 }))).toBe('none');
      for (const place of [1, 2, 3]) delete (bench.holder(ID, place).ring as { answer?: unknown }).answer;
    }
  });

  it('gets no mark for an id that this node does not hold under its configuration', async () => {
    await using bench = await SecretRingBench.start(6);
    const node = bench.stranger(ID);
    const from = bench.holder(ID);
    const status = from.ring?.status() ?? expect.fail('the node is not running');
    const configuration: [string[]] = [[toHex(from.member.account), toHex(node.member.account)]];
    const message: RingRequest = {
      kind: 'mark',
      configuration,
      id: toHex(ID),
      mark: 'ab'.repeat(32),
      attempt: 'cd'.repeat(16),
    };
    const reply = await node.ring?.answer(toHex(from.member.account), { status, message });
    expect(reply?.message).toEqual({ kind: 'refused', code: 'RING_OTHER_CONFIGURATION' });
    expect((await node.store.namespace('latchkey/ring-marks')).size).toBe(0);
  });
});

const useOf = (url: string, id: RecordId = ID): Uint8Array =>
  encodeUse({
    id,
    idempotencyKey: systemRandom(16),
    verb: 'GET',
    url,
    headers: [['authorization', PLACEHOLDER]],
    body: new Uint8Array(0),
  });

/** A ring, and an upstream by http that holds its answers back until it is told. */
async function httpWorld(change: Partial<typeof looseSettings> = {}) {
  const waiting: (() => void)[] = [];
  const held = { isHeld: false };
  const upstream = await startUpstream((_request, response) => {
    if (held.isHeld) waiting.push(() => response.end());
    else response.end();
  });
  const bench = await SecretRingBench.start(4, { ...looseSettings, ...change });
  const origin = `http://api.test:${upstream.port}`;
  return {
    bench,
    upstream,
    held,
    url: `${origin}/v1`,
    id: secretId(ALICE, parseScope(`${origin}/v1`)),
    secret: (acl: Partial<Secret['acl']> = {}, version = 1) =>
      secretBytes({ origin, version, acl: aclOf({ plainHttp: true, ...acl }) }),
    waiting,
    async [Symbol.asyncDispose]() {
      for (const end of waiting) end();
      await bench[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('callers of one owner', LONG, () => {
  it('do not hold the places of the secrets of others, however many they are', async () => {
    const bounds = { ...looseSettings.relay.bounds, maxConcurrent: 4, maxConcurrentPerOwner: 2 };
    await using w = await httpWorld({ relay: { ...looseSettings.relay, bounds } });
    const node = w.bench.holder(w.id);
    const crowd = Array.from({ length: 4 }, (_, at) => ownerOf(10 + at));
    expect(
      await ask(w.bench, node, 'deploy', w.secret({ callers: crowd.map(({ account }) => account) })),
    ).toBe('none');
    // Bob has a secret at a prefix of his own, at this node too: four members hold all.
    const ofBob = secretBytes(
      {
        account: BOB,
        origin: new URL(w.url).origin,
        acl: aclOf({ plainHttp: true, callers: [BOB] }),
      },
      seedOf(2),
    );
    const bob = { account: BOB, seed: seedOf(2) };
    const idOfBob = secretId(BOB, parseScope(w.url));
    expect(await ask(w.bench, node, 'deploy', ofBob, bob)).toBe('none');
    w.held.isHeld = true;
    const held = crowd.map((one) => ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id), one));
    await vi.waitFor(
      () => expect(w.bench.codes).toEqual(['ok', 'ok', 'SECRET_RELAY_BUSY', 'SECRET_RELAY_BUSY']),
      {
        timeout: 60_000,
      },
    );
    w.held.isHeld = false;
    expect(await ask(w.bench, node, 'request', useOf(`${w.url}/x`, idOfBob), bob)).toBe('none');
    await vi.waitFor(() => expect(w.waiting).toHaveLength(2), { timeout: 60_000 });
    for (const end of w.waiting.splice(0)) end();
    expect((await Promise.all(held)).sort()).toEqual([
      'SECRET_RELAY_BUSY',
      'SECRET_RELAY_BUSY',
      'none',
      'none',
    ]);
    // Its places are free again, refused requests included.
    expect(await ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id), crowd[0])).toBe('none');
  });
});

describe('a stranger', LONG, () => {
  it.each(['nothing', 'a secret', 'a deleted secret'])(
    'is refused after the same time where there is %s',
    async (what) => {
      await using w = await httpWorld();
      const node = w.bench.holder(w.id);
      if (what !== 'nothing') expect(await ask(w.bench, node, 'deploy', w.secret())).toBe('none');
      if (what === 'a deleted secret') {
        const salted = new SecretBytes(new Uint8Array(0));
        const end = { ...tombstoneContent(), origin: new URL(w.url).origin };
        expect(
          await ask(w.bench, node, 'delete', encodeEntry(secretEntry(signRecord(seedOf(1), end), salted))),
        ).toBe('none');
      }
      const ring = node.ring ?? expect.fail('the node is not running');
      const read = ring.read.bind(ring);
      // What there is to read takes its time.
      vi.spyOn(ring, 'read').mockImplementation(async (id) => {
        const found = await read(id);
        w.bench.nowMs += 10 + (found.entry?.bytes.length ?? 0);
        return found;
      });
      const startedAtMs = w.bench.nowMs;
      const bob = { account: BOB, seed: seedOf(2) };
      const code = await ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id), bob);
      expect([code, w.bench.nowMs - startedAtMs]).toEqual(['SECRET_CALLER_REFUSED', 1_000]);
    },
  );

  it('does not wait for the callers of a secret, whose host hangs', async () => {
    await using w = await httpWorld();
    const node = w.bench.holder(w.id);
    const limit = { count: 9, periodMs: 3_600_000 };
    expect(await ask(w.bench, node, 'deploy', w.secret({ limit }))).toBe('none');
    let answer = (_addresses: readonly string[]): void => undefined;
    const asked = new Promise<void>((resolve) => {
      w.bench.resolve = () => {
        resolve();
        return new Promise((found) => {
          answer = found;
        });
      };
    });
    const first = ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id));
    await asked;
    const bob = { account: BOB, seed: seedOf(2) };
    const refused = await ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id), bob);
    answer(['127.0.0.1']);
    expect([refused, await first]).toEqual(['SECRET_CALLER_REFUSED', 'none']);
  });
});

describe('a caller', LONG, () => {
  it.each([
    { maxConcurrent: 64, maxConcurrentPerUser: 1 },
    { maxConcurrent: 1, maxConcurrentPerUser: 64 },
    { maxConcurrentPerOwner: 1 },
  ])('has so many requests under way as %o allows, and a place again when one ends', async (bound) => {
    const bounds = { ...looseSettings.relay.bounds, ...bound };
    await using w = await httpWorld({ relay: { ...looseSettings.relay, bounds } });
    const node = w.bench.holder(w.id);
    expect(await ask(w.bench, node, 'deploy', w.secret())).toBe('none');
    w.held.isHeld = true;
    const first = ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id));
    await vi.waitFor(() => expect(w.waiting).toHaveLength(1), { timeout: 60_000 });
    expect(await ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id))).toBe('SECRET_RELAY_BUSY');
    w.held.isHeld = false;
    w.waiting.pop()?.();
    expect(await first).toBe('none');
    // A refused request gives its place back, too.
    expect(await ask(w.bench, node, 'request', useOf('http://api.test/v1/x', w.id))).toBe(
      'SECRET_SCOPE_MISMATCH',
    );
    expect(await ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id))).toBe('none');
  });

  it('is counted by the new periods when the user of the secret changes their length', async () => {
    await using w = await httpWorld();
    const node = w.bench.holder(w.id);
    const use = () => ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id));
    expect(await ask(w.bench, node, 'deploy', w.secret({ limit: { count: 1, periodMs: 1_000 } }))).toBe(
      'none',
    );
    expect([await use(), await use()]).toEqual(['none', 'SECRET_COUNT_EXHAUSTED']);
    const longer = w.secret({ limit: { count: 1, periodMs: 3_600_000 } }, 2);
    expect(await ask(w.bench, node, 'update', longer)).toBe('none');
    expect([await use(), await use()]).toEqual(['none', 'SECRET_COUNT_EXHAUSTED']);
  });

  it('is counted by the time of the chain: a host that sets its clock forward begins no new period', async () => {
    await using w = await httpWorld();
    const node = w.bench.holder(w.id);
    const use = () => ask(w.bench, node, 'request', useOf(`${w.url}/x`, w.id));
    const limited = w.secret({ limit: { count: 1, periodMs: 60_000 } });
    expect(await ask(w.bench, node, 'deploy', limited)).toBe('none');
    w.bench.blockMs = w.bench.nowMs;
    expect(await use()).toBe('none');
    w.bench.nowMs += 600_000;
    expect(await use()).toBe('SECRET_COUNT_EXHAUSTED');
    w.bench.blockMs += 60_000;
    expect(await use()).toBe('none');
  });
});

describe('a request whose digest the disk does not take', LONG, () => {
  it.each(['deploy', 'update', 'delete', 'request', 'list'] as const)(
    'to %s reads, writes and sends nothing',
    async (route) => {
      await using w = await httpWorld();
      const node = w.bench.holder(w.id);
      if (route !== 'deploy') expect(await ask(w.bench, node, 'deploy', w.secret())).toBe('none');
      const ring = node.ring ?? expect.fail('the node is not running');
      const done: string[] = [];
      const { read, write, mark } = ring;
      ring.read = (id) => {
        done.push('read');
        return read.call(ring, id);
      };
      ring.write = (bytes) => {
        done.push('write');
        return write.call(ring, bytes);
      };
      ring.mark = (...claim) => {
        done.push('mark');
        return mark.apply(ring, claim);
      };
      w.bench.resolve = async () => {
        done.push('resolve');
        return ['127.0.0.1'];
      };
      node.hooks.beforeWrite = (operations) => {
        if (operations.some(({ namespace }) => namespace === 'latchkey/secrets-seen'))
          throw new Error('the disk failed');
      };
      const origin = new URL(w.url).origin;
      const end = signRecord(seedOf(1), { ...tombstoneContent(), origin });
      const bodies = {
        deploy: w.secret(),
        update: w.secret({}, 2),
        delete: encodeEntry(secretEntry(end, new SecretBytes(new Uint8Array(0)))),
        request: useOf(`${w.url}/x`, w.id),
        list: new Uint8Array(0),
      };
      expect(await ask(w.bench, node, route, bodies[route])).toBe('INTERNAL');
      expect(done).toEqual([]);
    },
  );
});
