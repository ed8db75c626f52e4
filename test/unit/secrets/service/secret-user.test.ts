import { describe, expect, it, vi } from 'vitest';
import { startUpstream } from '../../../../devnet/tls-upstream.ts';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { RecordId } from '../../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { EvidenceError, RefusalError } from '../../../../src/errors/latchkey-error.ts';
import type { Acl } from '../../../../src/secrets/acl.ts';
import type { SecretOwner } from '../../../../src/secrets/client/node-exchange.ts';
import { signRecord } from '../../../../src/secrets/record.ts';
import { PLACEHOLDER } from '../../../../src/secrets/relay/outgoing-request.ts';
import { parseScope, secretId } from '../../../../src/secrets/scope.ts';
import { requireHolder, requireNearest } from '../../../../src/secrets/service/secret-ring.ts';
import { decodeUse, encodeUse, type UseRequest } from '../../../../src/secrets/use-request.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../../../src/secrets/value.ts';
import { LoneRing, loneService, memberAt } from '../../../support/lone-secret-service.ts';
import {
  ALICE,
  aclOf,
  BOB,
  secretContent,
  seedOf,
  tombstoneContent,
} from '../../../support/secret-records.ts';
import { looseSettings } from '../../../support/secret-ring.ts';
import { codeOf as codeThrown } from '../../../support/thrown.ts';

const alice: SecretOwner = { account: ALICE, seed: seedOf(1) };
const bob: SecretOwner = { account: BOB, seed: seedOf(2) };
const HOUR_MS = 3_600_000;

/** `Promise.withResolvers`, which Node.js 20 does not have. */
function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** A service by http that counts what it hears, a secret of Alice for it, and a node that holds it. */
async function world(acl: Partial<Acl> = {}, settings: Parameters<typeof loneService>[2] = {}) {
  const heard: string[] = [];
  const upstream = await startUpstream((request, response) => {
    heard.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.statusCode = 203;
    response.end('done');
  });
  const url = `http://api.test:${upstream.port}/v1`;
  const scope = parseScope(url);
  const id = secretId(ALICE, scope);
  const salted = saltValue(utf8('sk'), systemRandom);
  const rules = aclOf({ plainHttp: true, ...acl });
  const content = secretContent({ ...scope, acl: rules, valueHash: hashValue(salted) });
  const secret = encodeEntry(secretEntry(signRecord(seedOf(1), content), salted));
  const ring = new LoneRing([memberAt(BOB, 0)]);
  const desk = await loneService(BOB, ring, settings);
  const use = (change: Partial<UseRequest> = {}) =>
    encodeUse({
      id,
      idempotencyKey: systemRandom(16),
      verb: 'GET',
      url: `${url}/x`,
      headers: [['authorization', PLACEHOLDER]],
      body: new Uint8Array(0),
      ...change,
    });
  const gone = encodeEntry(
    secretEntry(
      signRecord(seedOf(1), { ...tombstoneContent(), ...scope }),
      new SecretBytes(new Uint8Array(0)),
    ),
  );
  return {
    ...desk,
    ring,
    heard,
    url,
    id,
    use,
    gone,
    deploy: () => ring.write(secret),
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}

describe('the use of a secret at its node', () => {
  it('gives what the upstream said', async () => {
    await using w = await world();
    await w.deploy();
    expect(await w.ask(alice, 'request', w.use())).toMatchObject({ status: 203, body: 'ZG9uZQ==' });
    expect(w.heard).toEqual(['GET /v1/x sk']);
    expect(w.ring.marks.size).toBe(1);
  });

  it('is that of a holder', async () => {
    await using w = await world();
    await w.deploy();
    w.ring.view = { ...w.ring.view, placement: new LoneRing([memberAt(ALICE, 0)]).view.placement };
    expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_NOT_HOLDER');
    expect(w.heard).toEqual([]);
  });

  it('is made once for each key, of each caller', async () => {
    await using w = await world({ callers: [ALICE, BOB] });
    await w.deploy();
    const again = w.use({ idempotencyKey: new Uint8Array(16).fill(1) });
    expect(await w.codeOf(alice, 'request', again)).toBe('none');
    expect(await w.codeOf(alice, 'request', again)).toBe('SECRET_OUTCOME_UNKNOWN');
    expect(await w.codeOf(bob, 'request', again)).toBe('none');
    expect(w.heard).toHaveLength(2);
  });

  it('is judged again when its turn comes: what was exhausted meanwhile is refused', async () => {
    await using w = await world({ limit: { count: 1, periodMs: HOUR_MS } });
    await w.deploy();
    const codes = await Promise.all([1, 2, 3].map(() => w.codeOf(alice, 'request', w.use())));
    expect(codes.sort()).toEqual(['SECRET_COUNT_EXHAUSTED', 'SECRET_COUNT_EXHAUSTED', 'none']);
    expect(w.heard).toHaveLength(1);
    expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_COUNT_EXHAUSTED');
    w.world.nowMs += HOUR_MS;
    expect(await w.codeOf(alice, 'request', w.use())).toBe('none');
  });

  it('of one without a limit does not wait for another use', async () => {
    await using w = await world();
    await w.deploy();
    const mark = w.ring.mark;
    let arrived = 0;
    const both = deferred();
    w.ring.mark = async (...claim) => {
      arrived += 1;
      if (arrived === 2) both.resolve();
      await both.promise;
      return mark(...claim);
    };
    const codes = await Promise.all([1, 2].map(() => w.codeOf(alice, 'request', w.use())));
    expect(codes).toEqual(['none', 'none']);
  });

  it('with a limit is that of the nearest holder, without one that of each', async () => {
    for (const [acl, code] of [
      [{ limit: { count: 9, periodMs: HOUR_MS } }, 'SECRET_NOT_HOLDER'],
      [{}, 'none'],
    ] as const) {
      await using w = await world(acl);
      await w.deploy();
      const [first = 0] = w.id;
      const members = [memberAt(ALICE, first), memberAt(BOB, first ^ 0xff)];
      w.ring.view = { ...w.ring.view, placement: new LoneRing(members).view.placement };
      expect(await w.codeOf(alice, 'request', w.use())).toBe(code);
      expect(w.ring.marks.size).toBe(code === 'none' ? 1 : 0);
    }
  });

  it('has a place of its caller, and one of its owner', async () => {
    const one = (bounds: object) => ({
      relay: { ...looseSettings.relay, bounds: { ...looseSettings.relay.bounds, ...bounds } },
    });
    for (const bounds of [{ maxConcurrentPerUser: 1 }, { maxConcurrentPerOwner: 1 }]) {
      await using w = await world({}, one(bounds));
      await w.deploy();
      const [first, held] = [deferred(), deferred()];
      const mark = w.ring.mark;
      w.ring.mark = async (...claim) => {
        first.resolve();
        await held.promise;
        return mark(...claim);
      };
      const asked = w.codeOf(alice, 'request', w.use());
      await first.promise;
      expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_RELAY_BUSY');
      held.resolve();
      expect(await asked).toBe('none');
      expect(await w.codeOf(alice, 'request', w.use())).toBe('none');
    }
  });
});

describe('a secret that is not there', () => {
  it.each(['nothing', 'a tombstone'])('is missing for its owner, and not for others (%s)', async (what) => {
    await using w = await world();
    if (what === 'a tombstone') await w.ring.write(w.gone);
    expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_NOT_FOUND');
    expect(w.world.slept).toEqual([]);
    expect(await w.codeOf(bob, 'request', w.use())).toBe('SECRET_CALLER_REFUSED');
    expect(w.world.slept).toEqual([1000]);
  });

  it('is missing for its owner below its prefix only', async () => {
    await using w = await world();
    const origin = w.url.slice(0, -'/v1'.length);
    for (const [url, code] of [
      [`${origin}/v1`, 'SECRET_NOT_FOUND'],
      [`${origin}/v1/a/b`, 'SECRET_NOT_FOUND'],
      [`${origin}/v10`, 'SECRET_CALLER_REFUSED'],
      [`${origin}/`, 'SECRET_CALLER_REFUSED'],
      ['http://other.test/v1/x', 'SECRET_CALLER_REFUSED'],
    ] as const)
      expect([url, await w.codeOf(alice, 'request', w.use({ url }))]).toEqual([url, code]);
    const ofAll = secretId(ALICE, { origin, pathPrefix: '/' });
    expect(await w.codeOf(alice, 'request', w.use({ id: ofAll }))).toBe('SECRET_NOT_FOUND');
    expect(await w.codeOf(alice, 'request', w.use({ id: RecordId.of(new Uint8Array(32)) }))).toBe(
      'SECRET_CALLER_REFUSED',
    );
  });
});

describe('a stranger', () => {
  it('is refused a second after it came, whether there is a secret or not', async () => {
    await using w = await world();
    await w.deploy();
    const read = w.ring.read;
    for (const [tookMs, sleptMs] of [
      [0, 1000],
      [300, 700],
      [1000, 0],
      [5000, 0],
      [-5000, 1000],
    ] as const) {
      w.ring.read = async (id) => {
        w.world.nowMs += tookMs;
        return read(id);
      };
      w.world.slept.length = 0;
      expect(await w.codeOf(bob, 'request', w.use())).toBe('SECRET_CALLER_REFUSED');
      expect([tookMs, ...w.world.slept]).toEqual([tookMs, sleptMs]);
    }
    expect([w.heard, w.ring.marks.size]).toEqual([[], 0]);
  });

  it('waits for no other refusal, and for no fault that has the same code', async () => {
    await using w = await world();
    await w.deploy();
    expect(await w.codeOf(alice, 'request', w.use({ verb: 'DELETE' }))).toBe('SECRET_VERB_REFUSED');
    w.ring.read = () => Promise.reject(new EvidenceError('SECRET_CALLER_REFUSED', 'of another kind'));
    expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_CALLER_REFUSED');
    w.ring.read = () => Promise.reject(new RefusalError('SECRET_NOT_HOLDER', 'of another code'));
    expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_NOT_HOLDER');
    expect(w.world.slept).toEqual([]);
  });
});

describe('the content of a request', () => {
  it.each<[string, Uint8Array, string]>([
    ['no JSON', utf8('{'), 'BODY_NOT_JSON'],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'BODY_NOT_JSON'],
    ['another shape', utf8('{}'), 'FIELD_INVALID'],
  ])('that is %s is refused', (_, bytes, code) => {
    expect(codeThrown(() => decodeUse(bytes))).toBe(code);
  });

  it('names a verb that an ACL can name', async () => {
    await using w = await world();
    for (const verb of ['TRACE', 'CONNECT', 'get', 'GET ', ''])
      expect(codeThrown(() => decodeUse(w.use({ verb })))).toBe('SECRET_VERB_UNKNOWN');
    for (const verb of ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])
      expect(decodeUse(w.use({ verb })).verb).toBe(verb);
  });
});

describe('a ring without members', () => {
  it('has no holder, and no nearest one', () => {
    const ring = new LoneRing([]);
    const id = RecordId.of(new Uint8Array(32));
    expect(codeThrown(() => requireHolder(ring, BOB, id))).toBe('SECRET_NOT_HOLDER');
    expect(codeThrown(() => requireNearest(ring, BOB, id))).toBe('SECRET_NOT_HOLDER');
  });
});

it('a node that closes ends what is under way', async () => {
  await using w = await world();
  await w.deploy();
  const called = vi.fn(() => Promise.resolve(true));
  w.ring.mark = async () => {
    w.close();
    return called();
  };
  expect(await w.codeOf(alice, 'request', w.use())).toBe('SECRET_UPSTREAM_UNREACHABLE');
  expect(called).toHaveBeenCalledOnce();
});
