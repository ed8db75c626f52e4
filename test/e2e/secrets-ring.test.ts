import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { startUpstream, tlsIdentity, type Upstream } from '../../devnet/tls-upstream.ts';
import { utf8 } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { LatchkeyError, ProblemError } from '../../src/errors/latchkey-error.ts';
import type { Acl } from '../../src/secrets/acl.ts';
import { NodeExchange, NodeRefusal, type SecretOwner } from '../../src/secrets/client/node-exchange.ts';
import { SecretClient, type SecretRequest } from '../../src/secrets/client/secret-client.ts';
import { PLACEHOLDER } from '../../src/secrets/relay/outgoing-request.ts';
import { parseScope, secretId } from '../../src/secrets/scope.ts';
import { encodeUse } from '../../src/secrets/use-request.ts';
import { ALICE, aclOf, BOB, NOW_MS, seedOf } from '../support/secret-records.ts';
import { looseSettings, type SecretMachine, SecretRingBench } from '../support/secret-ring.ts';

const YEAR_MS = 365 * 86_400_000;
const VALUE = 'sk-very-secret';
const LONG = { timeout: 120_000 };
const alice: SecretOwner = { account: ALICE, seed: seedOf(1) };
const bob: SecretOwner = { account: BOB, seed: seedOf(2) };

const clientOf = (bench: SecretRingBench, owner = alice, refused: readonly SecretMachine[] = []) =>
  new SecretClient({
    owner,
    directory: bench.directory(refused),
    fetch: (url, init) => fetch(url, init),
    random: systemRandom,
    now: () => bench.nowMs,
  });

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => {
      const inner = error instanceof NodeRefusal ? error.error : error;
      return inner instanceof LatchkeyError ? inner.code : String(error);
    },
  );

/** An upstream with TLS that shows what it got, and a ring that may ask it. */
async function world(members: number, change: Partial<typeof looseSettings> = {}) {
  const identity = tlsIdentity(['api.test']);
  const seen: string[] = [];
  const upstream = await startUpstream((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.statusCode = 201;
    response.end(`for ${request.headers.authorization}`);
  }, identity);
  const relay = { ...looseSettings.relay, authorities: [identity.cert], ...change.relay };
  const bench = await SecretRingBench.start(members, { ...looseSettings, ...change, relay });
  const url = `https://api.test:${upstream.port}/v1`;
  const secret = (acl: Partial<Acl> = {}) => ({
    url,
    value: utf8(VALUE),
    acl: aclOf({ paths: ['/v1/**'], ...acl }),
    expiresAtMs: NOW_MS + YEAR_MS,
  });
  const use = (request: Partial<SecretRequest> = {}): SecretRequest => ({
    secretUrl: url,
    verb: 'GET',
    url: `${url}/models`,
    headers: [['Authorization', `Bearer ${PLACEHOLDER}`]],
    body: new Uint8Array(0),
    ...request,
  });
  return {
    bench,
    upstream,
    seen,
    url,
    id: secretId(ALICE, parseScope(url)),
    secret,
    use,
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await (upstream as Upstream)[Symbol.asyncDispose]();
    },
  };
}

/** One request, straight to one node. */
const exchangeOf = (bench: SecretRingBench, owner = alice) =>
  new NodeExchange({
    owner,
    fetch: (url, init) => fetch(url, init),
    random: systemRandom,
    now: () => bench.nowMs,
    timeoutMs: 60_000,
  });

describe('users of the ring', LONG, () => {
  it('deploy, use, change and delete a secret (X11)', async () => {
    await using w = await world(6);
    const client = clientOf(w.bench);
    expect(await client.deploy(w.secret())).toBe(1);
    const answer = await client.request(w.use());
    expect(answer.status).toBe(201);
    expect(Buffer.from(answer.body).toString()).toBe(`for Bearer ${VALUE}`);
    expect(answer.headers.filter(([name]) => name === 'set-cookie')).toHaveLength(2);
    expect(await client.update({ ...w.secret(), value: utf8('another') })).toBe(2);
    await client.request(w.use());
    expect(w.seen).toEqual([`GET /v1/models Bearer ${VALUE}`, 'GET /v1/models Bearer another']);
    expect(await client.list()).toMatchObject([{ kind: 'secret', version: 2, pathPrefix: '/v1' }]);
    expect(await client.delete(w.url, NOW_MS + 2 * YEAR_MS)).toBe(3);
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_NOT_FOUND');
    expect(await client.list()).toMatchObject([{ kind: 'tombstone', version: 3 }]);
    expect(w.seen).toHaveLength(2);
    // Neither the secret nor the ACL in what nodes log.
    expect(w.bench.logged.join()).not.toContain(VALUE);
    const renewed = { ...w.secret(), expiresAtMs: NOW_MS + 2 * YEAR_MS };
    expect(await codeOf(client.deploy(w.secret()))).toBe('SECRET_RECORD_INVALID');
    expect(await client.deploy(renewed)).toBe(5);
  });

  it('cost each holder one verification of a record, however often it is used', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret());
    for (const machine of w.bench.machines.values()) await machine.ring?.repair();
    for (let turn = 0; turn < 3; turn++) await client.request(w.use());
    expect([...w.bench.machines.values()].map(({ verified }) => verified)).toEqual([1, 1, 1, 1]);
    // After a restart it is verified again, and by the others not.
    const nearest = w.bench.holder(w.id);
    await w.bench.kill(nearest);
    await w.bench.boot(nearest);
    await nearest.ring?.repair();
    await client.request(w.use());
    expect([...w.bench.machines.values()].map(({ verified }) => verified).sort()).toEqual([1, 1, 1, 2]);
  });

  it('find the next nearest node when the nearest is dead or not accepted', async () => {
    await using w = await world(6);
    const nearest = w.bench.holder(w.id);
    expect(await clientOf(w.bench, alice, [nearest]).deploy(w.secret())).toBe(1);
    expect(w.bench.codes).not.toContain('SECRET_NOT_HOLDER');
    await w.bench.kill(nearest);
    expect((await clientOf(w.bench).request(w.use())).status).toBe(201);
    expect(await codeOf(clientOf(w.bench, alice, [...w.bench.machines.values()]).request(w.use()))).toBe(
      'NODE_UNREACHABLE',
    );
  });

  it('let others use a secret, and strangers learn nothing', async () => {
    await using w = await world(4);
    expect(await codeOf(clientOf(w.bench, bob).request(w.use({ owner: ALICE })))).toBe(
      'SECRET_CALLER_REFUSED',
    );
    const client = clientOf(w.bench);
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_NOT_FOUND');
    await client.deploy(w.secret({ callers: [BOB] }));
    expect((await clientOf(w.bench, bob).request(w.use({ owner: ALICE }))).status).toBe(201);
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_CALLER_REFUSED');
    expect(await clientOf(w.bench, bob).list()).toEqual([]);
    await client.delete(w.url, NOW_MS + YEAR_MS);
    expect(await codeOf(clientOf(w.bench, bob).request(w.use({ owner: ALICE })))).toBe(
      'SECRET_CALLER_REFUSED',
    );
  });

  it('are refused each by its own code, and the upstream hears nothing', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    expect(await codeOf(client.update(w.secret()))).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(client.delete(w.url, NOW_MS + YEAR_MS))).toBe('SECRET_NOT_FOUND');
    await client.deploy(w.secret({ expiresAtMs: NOW_MS + 1000 }));
    expect(await codeOf(client.deploy(w.secret()))).toBe('SECRET_EXISTS');
    const port = `${w.upstream.port}`;
    const refused: readonly (readonly [Partial<SecretRequest>, string])[] = [
      [{ verb: 'DELETE' }, 'SECRET_VERB_REFUSED'],
      [{ verb: 'TRACE' }, 'SECRET_VERB_UNKNOWN'],
      [{ url: `https://api.test:${port}/v2/x` }, 'SECRET_SCOPE_MISMATCH'],
      [{ url: `https://api.test:${port}/v1/../v2` }, 'SECRET_SCOPE_MISMATCH'],
      [{ url: `https://other.test:${port}/v1/x` }, 'SECRET_SCOPE_MISMATCH'],
      [{ url: `http://api.test:${port}/v1/x` }, 'SECRET_SCOPE_MISMATCH'],
      [{ headers: [['x-key', PLACEHOLDER]] }, 'SECRET_PLACE_REFUSED'],
      [{ verb: 'POST', body: utf8(PLACEHOLDER) }, 'SECRET_PLACE_REFUSED'],
      [{ headers: [['host', 'evil.test']] }, 'SECRET_HEADER_REFUSED'],
      [{ url: `https://user:pw@api.test:${port}/v1/x` }, 'FIELD_INVALID'],
    ];
    for (const [change, code] of refused) expect(await codeOf(client.request(w.use(change)))).toBe(code);
    w.bench.nowMs += 2000;
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_ACL_EXPIRED');
    w.bench.nowMs += YEAR_MS;
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_EXPIRED');
    expect(w.seen).toEqual([]);
  });

  it('do not reach addresses that are not allowed', async () => {
    await using w = await world(4, { relay: { ...looseSettings.relay, allowAddresses: [] } });
    const client = clientOf(w.bench);
    await client.deploy(w.secret());
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_ADDRESS_REFUSED');
    expect(w.seen).toEqual([]);
  });
});

describe('limits of a node', LONG, () => {
  it('are a quota for each user, a cap for all, a list, free space and a rate', async () => {
    const perUser = { records: 2, bytes: 100_000 };
    await using w = await world(4, { perUser });
    const client = clientOf(w.bench);
    const big = { ...w.secret(), value: new Uint8Array(65_536).fill(65) };
    await client.deploy(big);
    expect(await codeOf(client.deploy({ ...big, url: `${w.url}/b` }))).toBe('SECRET_QUOTA');
    await client.deploy({ ...w.secret(), url: `${w.url}/c` });
    expect(await codeOf(client.deploy({ ...w.secret(), url: `${w.url}/d` }))).toBe('SECRET_QUOTA');
    // A full user can change and delete.
    expect(await client.update(big)).toBe(2);
    expect(await client.delete(w.url, NOW_MS + YEAR_MS)).toBe(3);
    expect(await codeOf(client.deploy({ ...w.secret(), value: new Uint8Array(65_537) }))).toBe(
      'SECRET_TOO_LARGE',
    );
  });

  it.each([
    ['SECRET_USER_REFUSED', { users: [BOB] }],
    ['SECRET_RING_FULL', { maxRecords: 0 }],
    ['RATE_LIMITED', { rate: { burst: 1, perSecond: 0.001 } }],
  ])('refuse by %s', async (code, change) => {
    await using w = await world(4, change);
    expect(await codeOf(clientOf(w.bench).deploy(w.secret()))).toBe(code);
    expect([...w.bench.machines.values()].map(({ records }) => records.records.size)).toEqual([0, 0, 0, 0]);
  });

  it('do not hold a user off from replacing the last secret that there is room for', async () => {
    await using w = await world(4, { maxRecords: 1 });
    const client = clientOf(w.bench);
    expect(await client.deploy(w.secret())).toBe(1);
    expect(await client.update(w.secret())).toBe(2);
    expect(await codeOf(client.deploy({ ...w.secret(), url: `${w.url}/b` }))).toBe('SECRET_RING_FULL');
  });

  it('are those of the store of the node: where it has no room, the next holder is asked', async () => {
    await using w = await world(4);
    const asked: string[] = [];
    const full = async (id: string, bytes: number) => {
      asked.push(`${id} ${bytes > VALUE.length}`);
      throw new ProblemError('RING_FULL', 'no room');
    };
    w.bench.holder(w.id).requireRoom = full;
    expect(await clientOf(w.bench).deploy(w.secret())).toBe(1);
    expect(asked).toEqual([`${toHex(w.id)} true`]);
    for (const machine of w.bench.machines.values()) machine.requireRoom = full;
    expect(await codeOf(clientOf(w.bench).update(w.secret()))).toBe('RING_FULL');
    expect(await clientOf(w.bench).delete(w.url, NOW_MS + YEAR_MS)).toBe(2);
  });

  it('do not hold a user off from deleting', async () => {
    await using w = await world(4);
    await clientOf(w.bench).deploy(w.secret());
    w.bench.settings = { ...w.bench.settings, users: [], maxRecords: 0 };
    for (const machine of w.bench.machines.values()) {
      await w.bench.kill(machine);
      await w.bench.boot(machine);
    }
    for (const machine of w.bench.machines.values()) await machine.ring?.repair();
    expect(await clientOf(w.bench).delete(w.url, NOW_MS + YEAR_MS)).toBe(2);
  });
});

describe('a counted secret', LONG, () => {
  const limit = { count: 2, periodMs: 3_600_000 };

  it('is used as often as its user allows, by the nearest node only, also after a restart', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret({ limit }));
    await client.request(w.use());
    const nearest = w.bench.holder(w.id);
    await w.bench.kill(nearest);
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_NOT_HOLDER');
    await w.bench.boot(nearest);
    await nearest.ring?.repair();
    await client.request(w.use());
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_COUNT_EXHAUSTED');
    w.bench.nowMs -= limit.periodMs;
    expect(await codeOf(client.request(w.use()))).toBe('SECRET_COUNT_EXHAUSTED');
    w.bench.nowMs += 2 * limit.periodMs;
    await client.request(w.use());
    expect(w.seen).toHaveLength(3);
  });

  it('is counted once for each of two requests at once', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret({ limit: { ...limit, count: 3 } }));
    // All are judged before the first one is counted.
    let arrived = 0;
    let goOn = (): void => undefined;
    const all = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    w.bench.resolve = async () => {
      arrived += 1;
      if (arrived === 8) goOn();
      await all;
      return ['127.0.0.1'];
    };
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(client.request(w.use()))));
    expect(codes.filter((code) => code === 'none')).toHaveLength(3);
    expect(w.seen).toHaveLength(3);
  });

  it('is counted on the disk before it is used', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret({ limit }));
    w.bench.holder(w.id).hooks.beforeWrite = (operations) => {
      const names = operations.map((operation) => operation.namespace);
      if (names.includes('latchkey/secrets-counts')) throw new Error('the disk failed');
    };
    expect(await codeOf(client.request(w.use()))).not.toBe('none');
    expect(w.seen).toEqual([]);
  });
});

describe('a request that was begun', LONG, () => {
  it('is not made twice, whichever node is asked', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret());
    const idempotencyKey = systemRandom(16);
    await client.request(w.use({ idempotencyKey }));
    expect(await codeOf(client.request(w.use({ idempotencyKey })))).toBe('SECRET_OUTCOME_UNKNOWN');
    await w.bench.kill(w.bench.holder(w.id));
    expect(await codeOf(client.request(w.use({ idempotencyKey })))).toBe('SECRET_OUTCOME_UNKNOWN');
    expect(w.seen).toHaveLength(1);
    await client.request(w.use());
  });

  it('is unknown after a crash of its node in between', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret());
    const nearest = w.bench.holder(w.id);
    const idempotencyKey = systemRandom(16);
    // The upstream is asked, and the node dies before the answer.
    w.upstream.server.removeAllListeners('request');
    let asked = 0;
    w.upstream.server.on('request', () => {
      asked += 1;
      void w.bench.kill(nearest);
    });
    expect(await codeOf(client.request(w.use({ idempotencyKey })))).toBe('SECRET_OUTCOME_UNKNOWN');
    expect(asked).toBe(1);
  });

  it('needs a majority that remembers it', async () => {
    await using w = await world(4);
    const client = clientOf(w.bench);
    await client.deploy(w.secret());
    for (const place of [2, 3]) {
      w.bench.holder(w.id, place).hooks.beforeWrite = () => {
        throw new Error('the disk failed');
      };
    }
    const wanted = { ...w.use(), id: w.id, idempotencyKey: systemRandom(16) };
    const asked = exchangeOf(w.bench).ask(w.bench.nodeOf(w.bench.holder(w.id)), 'request', encodeUse(wanted));
    expect(await codeOf(asked)).toBe('RING_QUORUM_MISSING');
    expect(w.seen).toEqual([]);
  });
});

describe('a message to a node', LONG, () => {
  /** The body that a client sends, caught on its way. */
  async function caught(bench: SecretRingBench, machine: SecretMachine, owner = alice): Promise<RequestInit> {
    let init: RequestInit | undefined;
    const exchange = new NodeExchange({
      owner,
      fetch: async (_url, given) => {
        init = given;
        throw new Error('caught');
      },
      random: systemRandom,
      now: () => bench.nowMs,
      timeoutMs: 60_000,
    });
    await exchange.ask(bench.nodeOf(machine), 'list', new Uint8Array(0)).catch(() => undefined);
    return init ?? expect.fail('nothing was sent');
  }
  const post = async (bench: SecretRingBench, machine: SecretMachine, route: string, init: RequestInit) =>
    fetch(`http://${bench.nodeOf(machine).endpoint}/secrets/${route}`, {
      ...init,
      headers: { 'content-type': 'application/json', connection: 'close' },
    });
  const first = (bench: SecretRingBench): SecretMachine => bench.holder(new Uint8Array(32), 0);

  it('is taken once, also after a restart, and with a clock that was set back (X11)', async () => {
    await using bench = await SecretRingBench.start(4);
    const machine = first(bench);
    const init = await caught(bench, machine);
    expect((await post(bench, machine, 'list', init)).status).toBe(200);
    await post(bench, machine, 'list', init);
    await bench.kill(machine);
    await bench.boot(machine);
    await post(bench, machine, 'list', init);
    bench.nowMs += 60_000;
    await post(bench, machine, 'list', init);
    // A newer request lets the old ones be forgotten.
    await post(bench, machine, 'list', await caught(bench, machine));
    bench.nowMs -= 60_000;
    await post(bench, machine, 'list', init);
    await bench.kill(machine);
    await bench.boot(machine);
    await post(bench, machine, 'list', init);
    expect(bench.codes).toEqual([
      ...['ok', 'SECRET_REQUEST_REPLAYED', 'SECRET_REQUEST_REPLAYED', 'SECRET_REQUEST_STALE', 'ok'],
      ...['SECRET_REQUEST_STALE', 'SECRET_REQUEST_STALE'],
    ]);
  });

  it('opens at no other node and for no other route', async () => {
    await using bench = await SecretRingBench.start(4);
    const init = await caught(bench, first(bench));
    const other = await post(bench, bench.holder(new Uint8Array(32), 1), 'list', init);
    expect(other.status).toBe(400);
    expect(await other.json()).toMatchObject({ code: 'SECRET_SEALING_WRONG' });
    for (const route of ['deploy', 'update', 'delete', 'request'])
      expect((await post(bench, first(bench), route, init)).status).toBe(400);
    const changed = JSON.parse(`${init.body}`);
    const flipped = `${changed.ciphertext.slice(0, 40)}${changed.ciphertext[40] === 'A' ? 'B' : 'A'}${changed.ciphertext.slice(41)}`;
    const body = JSON.stringify({ ...changed, ciphertext: flipped });
    expect((await post(bench, first(bench), 'list', { ...init, body })).status).toBe(400);
    expect(bench.codes).toEqual([]);
  });

  it('is refused too early, too late, and by a wrong signature', async () => {
    await using bench = await SecretRingBench.start(4);
    const node = bench.nodeOf(first(bench));
    const late = await caught(bench, first(bench));
    bench.nowMs += 20_001;
    await post(bench, first(bench), 'list', late);
    const early = await caught(bench, first(bench));
    bench.nowMs -= 20_002;
    await post(bench, first(bench), 'list', early);
    const forged: SecretOwner = { account: ALICE, seed: seedOf(2) };
    expect(await codeOf(exchangeOf(bench, forged).ask(node, 'list', new Uint8Array(0)))).toBe(
      'SECRET_SIGNATURE_INVALID',
    );
    expect(bench.codes).toEqual(['SECRET_REQUEST_STALE', 'SECRET_REQUEST_STALE', 'SECRET_SIGNATURE_INVALID']);
    // Junk in the name of a user costs this user nothing.
    bench.settings = { ...looseSettings, rate: { burst: 1, perSecond: 0.001 } };
    await bench.kill(first(bench));
    await bench.boot(first(bench));
    for (let turn = 0; turn < 3; turn++)
      await codeOf(exchangeOf(bench, forged).ask(bench.nodeOf(first(bench)), 'list', new Uint8Array(0)));
    expect(await codeOf(exchangeOf(bench).ask(bench.nodeOf(first(bench)), 'list', new Uint8Array(0)))).toBe(
      'none',
    );
    expect(await codeOf(exchangeOf(bench).ask(bench.nodeOf(first(bench)), 'list', new Uint8Array(0)))).toBe(
      'RATE_LIMITED',
    );
  });

  it('costs its user nothing when somebody else sends it again', async () => {
    await using bench = await SecretRingBench.start(4, {
      ...looseSettings,
      rate: { burst: 2, perSecond: 0.001 },
    });
    const init = await caught(bench, first(bench));
    for (let turn = 0; turn < 4; turn++) await post(bench, first(bench), 'list', init);
    const replayed = 'SECRET_REQUEST_REPLAYED';
    expect(bench.codes).toEqual(['ok', replayed, replayed, replayed]);
    expect(await codeOf(exchangeOf(bench).ask(bench.nodeOf(first(bench)), 'list', new Uint8Array(0)))).toBe(
      'none',
    );
  });

  it('is refused by a node that does not hold the secret', async () => {
    await using w = await world(8);
    await clientOf(w.bench).deploy(w.secret());
    const body = encodeUse({ ...w.use(), id: w.id, idempotencyKey: systemRandom(16) });
    const stranger = w.bench.nodeOf(w.bench.stranger(w.id));
    expect(await codeOf(exchangeOf(w.bench).ask(stranger, 'request', body))).toBe('SECRET_NOT_HOLDER');
    expect(await codeOf(exchangeOf(w.bench).ask(stranger, 'request', utf8('{')))).toBe('BODY_NOT_JSON');
    expect(await codeOf(exchangeOf(w.bench).ask(stranger, 'list', new Uint8Array(31)))).toBe('FIELD_INVALID');
  });
});
