import { describe, expect, it } from 'vitest';
import { parseBase64, toBase64 } from '../../../../src/bytes/base64.ts';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { AccountId, X25519PublicKey } from '../../../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../../src/bytes/ss58.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { generateX25519KeyPair } from '../../../../src/crypto/x25519.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import type { Fetch } from '../../../../src/outbound/bounded-fetch.ts';
import type { SecretNode } from '../../../../src/secrets/client/node-exchange.ts';
import { SecretClient } from '../../../../src/secrets/client/secret-client.ts';
import { type SecretRecord, signRecord } from '../../../../src/secrets/record.ts';
import { secretId } from '../../../../src/secrets/scope.ts';
import { bodyOf, openRequest, sealAnswer } from '../../../../src/secrets/sealed-messages.ts';
import type { SecretRoute } from '../../../../src/secrets/signed-request.ts';
import { decodeUse } from '../../../../src/secrets/use-request.ts';
import { decodeEntry, revealValue } from '../../../../src/secrets/value.ts';
import {
  ALICE,
  aclOf,
  BOB,
  NOW_MS,
  secretContent,
  seedOf,
  tombstoneContent,
} from '../../../support/secret-records.ts';

const URL_OF_SECRET = 'https://api.example.com/v1';
const ID = secretId(ALICE, secretContent());
const ID_TEXT = toPrefixedHex(ID);
const LIFE_MS = secretContent().expiresAtMs;

/** A node that says what a test wants, under its seal. */
interface FakeNode {
  readonly node: SecretNode;
  isAccepted: boolean;
  /** What the node heard. */
  readonly heard: { readonly route: SecretRoute; readonly body: Uint8Array }[];
  /** What it seals; what it throws goes over the network as a status 500. */
  says: (route: SecretRoute, body: Uint8Array) => unknown;
  readonly fetch: Fetch;
}

function fakeNode(byte: number): FakeNode {
  const x25519 = generateX25519KeyPair();
  const account = AccountId.of(new Uint8Array(32).fill(byte));
  const fake: FakeNode = {
    node: { account, x25519PublicKey: X25519PublicKey.of(x25519.publicKey), endpoint: `node-${byte}.test:1` },
    isAccepted: true,
    heard: [],
    says: () => ({ ok: { records: [], holders: {} } }),
    fetch: async (url, init) => {
      const route = url.slice(url.lastIndexOf('/') + 1) as SecretRoute;
      const { enc, ciphertext } = JSON.parse(String(init.body)) as { enc: string; ciphertext: string };
      const message = {
        enc: parsePrefixedHex(enc, 32, 'enc'),
        ciphertext: parseBase64(ciphertext, 'ciphertext'),
      };
      const signed = openRequest(route, message, { account, x25519 });
      const body = bodyOf(signed).slice();
      fake.heard.push({ route, body });
      const said = fake.says(route, body);
      if (said instanceof Response) return said;
      const answer = sealAnswer(utf8(JSON.stringify(said)), { message, signed }, { account, x25519 });
      return Response.json({ enc: toPrefixedHex(answer.enc), ciphertext: toBase64(answer.ciphertext) });
    },
  };
  return fake;
}

const problem = (code: string, status = 403, more: object = {}) => ({
  problem: { type: 't', title: 't', status, code, detail: `said ${code}`, instance: 'i', ...more },
});

/** A user and some nodes, of which the first one names all of them as holders, nearest first. */
function world(count: number) {
  const nodes = Array.from({ length: count }, (_, at) => fakeNode(at + 1));
  const holders = { [ID_TEXT]: nodes.map(({ node }) => encodeSs58(node.account)) };
  const listing = (records: readonly SecretRecord[], named: object = holders) => ({
    ok: { records: records.map(({ bytes }) => toBase64(bytes)), holders: named },
  });
  /** Answers of a good node that has these records. */
  const having =
    (records: readonly SecretRecord[], other: (route: SecretRoute) => unknown = () => ({ ok: {} })) =>
    (route: SecretRoute): unknown =>
      route === 'list' ? listing(records) : other(route);
  for (const each of nodes) each.says = having([]);
  const attested: string[] = [];
  const client = new SecretClient({
    owner: { account: ALICE, seed: seedOf(1) },
    directory: {
      nodes: async () => nodes.map(({ node }) => node),
      attest: async ({ endpoint }) => {
        attested.push(endpoint);
        const found = nodes.find(({ node }) => node.endpoint === endpoint);
        if (found?.isAccepted !== true) throw new Error('not attested');
      },
    },
    fetch: (url, init) => {
      const found = nodes.find(({ node }) => url.startsWith(`http://${node.endpoint}/secrets/`));
      if (found === undefined) throw new Error('no such host');
      return found.fetch(url, init);
    },
    random: systemRandom,
    now: () => NOW_MS,
  });
  const [first = fakeNode(1), second = fakeNode(2), third = fakeNode(3)] = nodes;
  return { client, nodes, first, second, third, listing, having, attested, holders };
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: unknown) => error,
  );
const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await failureOf(promise);
  return error instanceof LatchkeyError ? error.code : String(error);
};
const routes = ({ heard }: FakeNode) => heard.map(({ route }) => route);

const record = (version: number, change: object = {}) =>
  signRecord(seedOf(1), secretContent({ version, ...change }));
const newSecret = { url: URL_OF_SECRET, value: utf8('sk'), acl: aclOf(), expiresAtMs: LIFE_MS };
const use = {
  secretUrl: URL_OF_SECRET,
  verb: 'GET',
  url: `${URL_OF_SECRET}/x`,
  headers: [],
  body: new Uint8Array(0),
};

describe('a client that lists', () => {
  it('shows the newest record of each secret, by id, whichever node has it', async () => {
    const { client, first, second, having } = world(2);
    const paths = ['/a', '/b', '/c', '/d', '/e'];
    const ofPaths = paths.map((pathPrefix) => record(1, { pathPrefix }));
    first.says = having([record(3), ...ofPaths]);
    second.says = having([...ofPaths.toReversed(), record(4), record(2)]);
    const listed = await client.list();
    expect(listed.map(({ id }) => id)).toEqual(
      [ID_TEXT, ...ofPaths.map(({ id }) => toPrefixedHex(id))].sort(),
    );
    const { pathPrefix, origin } = secretContent();
    expect(listed).toContainEqual({
      ...{ id: ID_TEXT, kind: 'secret', version: 4, expiresAtMs: LIFE_MS, origin, pathPrefix },
    });
  });

  it('keeps the newer one when an older one comes after it', async () => {
    const { client, first, having } = world(1);
    const gone = signRecord(seedOf(1), tombstoneContent({ version: 9 }));
    first.says = having([record(2), gone, record(9), record(8)]);
    expect(await client.list()).toMatchObject([{ kind: 'tombstone', version: 9 }]);
  });

  it('believes no node that lists what its user did not sign, in nothing that it says', async () => {
    const ofBob = signRecord(seedOf(2), secretContent({ account: BOB, version: 99 }));
    const forged = record(50).bytes.slice();
    forged[41] = 51;
    for (const lie of [toBase64(ofBob.bytes), toBase64(forged), 'AA=', 'AAAA', '']) {
      const { client, first, second, having } = world(2);
      first.says = () => ({ ok: { records: [lie, toBase64(record(7).bytes)], holders: {} } });
      second.says = having([record(2)]);
      expect(await client.list()).toMatchObject([{ version: 2 }]);
      second.isAccepted = false;
      expect(['SECRET_RECORD_INVALID', 'NODE_UNREACHABLE']).toContain(await codeOf(client.list()));
    }
  });

  it('needs one node that answers, and says why each one did not', async () => {
    const { client, first, second, third, having } = world(3);
    first.isAccepted = false;
    second.says = () => new Response('not sealed', { status: 502 });
    third.says = having([record(1)]);
    expect(await client.list()).toHaveLength(1);
    third.says = () => {
      throw new Error('no connection');
    };
    expect(await failureOf(client.list())).toMatchObject({
      code: 'NODE_UNREACHABLE',
      observed: 'not attested; node-2.test:1 did not answer; node-3.test:1 did not answer',
    });
    // What a node refused under its seal tells most.
    second.says = () => problem('RATE_LIMITED', 429, { retryAfterMs: 5 });
    expect(await failureOf(client.list())).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 5 });
    const none = world(0);
    expect(await codeOf(none.client.list())).toBe('NODE_UNREACHABLE');
  });

  it('says what is no error, too', async () => {
    const { client, first } = world(1);
    first.isAccepted = false;
    const directory = { nodes: async () => [first.node], attest: () => Promise.reject('a text') };
    const owner = { account: ALICE, seed: seedOf(1) };
    const other = new SecretClient({
      owner,
      directory,
      fetch: first.fetch,
      random: systemRandom,
      now: () => NOW_MS,
    });
    expect(await failureOf(other.list())).toMatchObject({ code: 'NODE_UNREACHABLE', observed: 'a text' });
    expect(await failureOf(client.list())).toMatchObject({ observed: 'not attested' });
  });
});

describe('a client that writes', () => {
  it('signs the version after all that any holder shows', async () => {
    const { client, first, second, third, having } = world(3);
    first.says = having([record(2)]);
    second.says = having([record(6), record(99, { pathPrefix: '/other' })]);
    third.says = having([]);
    expect(await client.update(newSecret)).toBe(7);
    const sent = first.heard.find(({ route }) => route === 'update');
    const entry = decodeEntry(sent?.body ?? new Uint8Array(0));
    expect(entry.record.content).toMatchObject({ kind: 'secret', version: 7, account: ALICE });
    expect(revealValue(entry)).toEqual(utf8('sk'));
    expect(routes(second)).not.toContain('update');
  });

  it('signs no version twice, though no node shows the one that failed', async () => {
    const { client, first } = world(1);
    expect(await client.deploy(newSecret)).toBe(1);
    const fails = first.says;
    first.says = (route, body) =>
      route === 'deploy' ? problem('SECRET_RING_FULL', 503) : fails(route, body);
    expect(await codeOf(client.deploy(newSecret))).toBe('SECRET_RING_FULL');
    first.says = fails;
    expect(await client.delete(URL_OF_SECRET, LIFE_MS)).toBe(3);
    const { route, body } = first.heard.at(-1) ?? expect.fail('nothing heard');
    expect(route).toBe('delete');
    expect(decodeEntry(body)).toMatchObject({ record: { content: { kind: 'tombstone', version: 3 } } });
  });

  it('sends nothing to a node that is not attested', async () => {
    const { client, first, second, attested } = world(2);
    first.isAccepted = false;
    expect(await client.deploy(newSecret)).toBe(1);
    expect(first.heard).toEqual([]);
    expect(routes(second)).toContain('deploy');
    expect(attested).toContain(first.node.endpoint);
  });
});

describe('a client that looks for the holders', () => {
  it('takes them in the order in which an attested node names them, and only registered ones', async () => {
    const { client, first, second, third, listing } = world(3);
    const named = [encodeSs58(BOB), ...[third, first].map(({ node }) => encodeSs58(node.account))];
    first.says = (route) => (route === 'list' ? listing([], { [ID_TEXT]: named }) : { ok: {} });
    await client.deploy(newSecret);
    expect([routes(first), routes(second), routes(third)]).toEqual([
      ['list', 'list', 'list'],
      [],
      ['list', 'deploy'],
    ]);
  });

  it('asks the next node when one names none that is registered, or none for this id', async () => {
    for (const named of [{}, { [ID_TEXT]: [] }, { [ID_TEXT]: [encodeSs58(BOB)] }, { other: [] }]) {
      const { client, first, second, listing } = world(2);
      first.says = () => listing([], named);
      second.says = (route) =>
        route === 'list' ? listing([], { [ID_TEXT]: [encodeSs58(second.node.account)] }) : { ok: {} };
      expect(await client.deploy(newSecret)).toBe(1);
      expect(routes(first)).not.toContain('deploy');
    }
  });

  it('fails when no node names any', async () => {
    const { client, first, listing } = world(1);
    first.says = () => listing([], {});
    expect(await failureOf(client.deploy(newSecret))).toMatchObject({
      code: 'NODE_UNREACHABLE',
      observed: '',
    });
    first.says = () => ({ ok: { records: 'none' } });
    expect(await codeOf(client.deploy(newSecret))).toBe('NODE_UNREACHABLE');
  });
});

describe('a client that asks the holders', () => {
  const relayed = { ok: { status: 201, headers: [['a', 'b']], body: toBase64(utf8('yes')) } };

  it('gives what the upstream said', async () => {
    const { client, first, having } = world(1);
    first.says = having([], () => relayed);
    const idempotencyKey = new Uint8Array(16).fill(9);
    expect(
      await client.request({ ...use, idempotencyKey, owner: BOB }).catch((error) => error),
    ).toMatchObject({
      code: 'NODE_UNREACHABLE',
    });
    expect(await client.request({ ...use, idempotencyKey })).toEqual({
      status: 201,
      headers: [['a', 'b']],
      body: utf8('yes'),
    });
    const asked = decodeUse(first.heard.at(-1)?.body ?? new Uint8Array(0));
    expect(asked).toMatchObject({ id: ID, idempotencyKey, verb: 'GET', url: use.url });
    await client.request(use);
    expect(decodeUse(first.heard.at(-1)?.body ?? new Uint8Array(0)).idempotencyKey).not.toEqual(
      idempotencyKey,
    );
  });

  it.each([
    ...[
      'RING_NOT_READY',
      'RING_NOT_MEMBER',
      'RING_OTHER_CONFIGURATION',
      'RING_QUORUM_MISSING',
      'RATE_LIMITED',
    ],
    ...['SECRET_NOT_HOLDER', 'SECRET_RELAY_BUSY', 'SECRET_RING_FULL', 'SECRET_USER_REFUSED', 'SECRET_QUOTA'],
    ...['RING_FULL', 'INTERNAL', 'A_CODE_OF_TOMORROW'],
  ])('goes on to the next one after %s, which is of one node', async (code) => {
    const { client, first, second, having } = world(2);
    first.says = having([], () => problem(code, 500));
    second.says = having([], () => relayed);
    expect(await client.request(use)).toMatchObject({ status: 201 });
    second.says = having([], () => new Response('', { status: 500 }));
    expect(await codeOf(client.request(use))).toBe(code === 'A_CODE_OF_TOMORROW' ? 'INTERNAL' : code);
  });

  it.each(['SECRET_CALLER_REFUSED', 'SECRET_OUTCOME_UNKNOWN', 'SECRET_UPSTREAM_TIMEOUT', 'SECRET_NOT_FOUND'])(
    'does not ask another one after %s',
    async (code) => {
      const { client, first, second, having } = world(2);
      first.says = having([], () => problem(code));
      second.says = having([], () => relayed);
      expect(await codeOf(client.request(use))).toBe(code);
      expect(routes(second)).not.toContain('request');
    },
  );

  it('believes nothing that is not sealed by the node to this request', async () => {
    const { client, first, second, having } = world(2);
    second.says = having([], () => relayed);
    const forged = Response.json({ enc: `0x${'09'.repeat(32)}`, ciphertext: toBase64(new Uint8Array(80)) });
    for (const lie of [forged, Response.json({ problem: 1 }), new Response('{'), Response.json(relayed)]) {
      first.says = having([], () => lie.clone());
      expect(await client.request(use)).toMatchObject({ status: 201 });
    }
    second.isAccepted = false;
    expect(await failureOf(client.request(use))).toMatchObject({ code: 'NODE_UNREACHABLE' });
  });
});

describe('a refusal under the seal', () => {
  it('comes with all that the node said of it, and with nothing else', async () => {
    const said = { field: 'f', expected: 'e', observed: 'o', hint: 'h', retryAfterMs: 7 };
    for (const name of Object.keys(said) as (keyof typeof said)[]) {
      const { client, first, having } = world(1);
      first.says = having([], () => problem('SECRET_NOT_FOUND', 404, { [name]: said[name] }));
      const error = await failureOf(client.request(use));
      if (!(error instanceof LatchkeyError)) throw error;
      const { field, expected, observed, hint, retryAfterMs } = error;
      const nothing = { field: undefined, expected: undefined, observed: undefined, hint: undefined };
      expect({ field, expected, observed, hint, retryAfterMs }).toEqual({
        ...{ ...nothing, retryAfterMs: undefined },
        [name]: said[name],
      });
      expect(error.message).toBe('said SECRET_NOT_FOUND');
    }
  });

  it.each([
    [499, 'refusal'],
    [500, 'problem'],
    [503, 'problem'],
    [400, 'refusal'],
  ])('of status %i is a %s', async (status, family) => {
    const { client, first, having } = world(1);
    first.says = having([], () => problem('SECRET_NOT_FOUND', status));
    expect(await failureOf(client.request(use))).toMatchObject({ family });
  });

  it('with a code that this program does not know, or that is a name of every object, is INTERNAL', async () => {
    for (const code of ['toString', '__proto__', 'NEW_CODE']) {
      const { client, first, having } = world(1);
      first.says = having([], () => problem(code));
      expect(await codeOf(client.request(use))).toBe('INTERNAL');
    }
  });
});
