import { describe, expect, it } from 'vitest';
import { runChecks } from '../../../src/conformance/check.ts';
import { ForeignServer } from '../../../src/conformance/foreign-server.ts';
import { knownServer } from '../../../src/conformance/known-server.ts';
import { serverChecks } from '../../../src/conformance/server-checks.ts';
import type { Fetch } from '../../../src/outbound/bounded-fetch.ts';
import { countingRandom, type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';

/** TDATTRIBUTES of a debug TD. */
const debugAttributes = Uint8Array.from([1, 0, 0, 0x10, 0, 0, 0, 0]);

/** An answer, as a broken server may change it. */
interface Said {
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  readonly json: Record<string, unknown>;
}
/** What a broken server says instead. `requests` are the bodies so far, the newest last. */
type Fault = (said: Said, former: readonly Said[]) => Partial<Said> | undefined;

/** A server of this project, seen through a fault. */
function serverWith(fault: Fault): { readonly world: KeyServerWorld; readonly fetch: Fetch } {
  const world = keyServerWorld();
  const former: Said[] = [];
  const fetchLike: Fetch = async (url, init) => {
    const answer = await world.handler(new Request(url, init));
    const path = new URL(url).pathname;
    const contentType = answer.headers.get('content-type') ?? '';
    // Every route answers an object.
    const said: Said = {
      path,
      status: answer.status,
      contentType,
      json: (await answer.json()) as Said['json'],
    };
    const changed = { ...said, ...fault(said, former) };
    former.push(said);
    const headers = { 'content-type': changed.contentType };
    return new Response(JSON.stringify(changed.json), { status: changed.status, headers });
  };
  return { world, fetch: fetchLike };
}

const random = countingRandom(4711);
async function failuresOf(fault: Fault): Promise<readonly string[]> {
  const { world, fetch: fetchLike } = serverWith(fault);
  const makeSubject = () =>
    new ForeignServer({
      url: 'http://server.test',
      account: world.account,
      x25519PublicKey: world.keyServer.identity.x25519PublicKey,
      fetch: fetchLike,
      quote: async ({ reportData, isDebug }) =>
        world.quote({ reportData, ...(isDebug ? { body: { tdAttributes: debugAttributes } } : {}) }),
      random,
      nowMs: () => world.clock.nowMs(),
    });
  const results = await runChecks(serverChecks, makeSubject);
  return results.filter(({ ok }) => !ok).map(({ name, reason }) => `${name}: ${reason}`);
}

/** A server that does not make the check behind a code: it answers with its last good answer of this route instead. */
const ignores =
  (code: string): Fault =>
  (said, former) =>
    said.json['code'] === code
      ? { status: 200, contentType: 'application/json', json: lastGood(said.path, former) }
      : undefined;
const lastGood = (path: string, former: readonly Said[]): Said['json'] =>
  former.findLast((other) => other.path === path && other.status === 200)?.json ?? {};
const flipped = (text: unknown, at: number): string => {
  const characters = String(text);
  return `${characters.slice(0, at)}${characters[at] === '0' ? '1' : '0'}${characters.slice(at + 1)}`;
};
const changes =
  (path: string, change: (json: Said['json'], former: readonly Said[]) => Said['json']): Fault =>
  (said, former) =>
    said.path === path && said.status === 200 ? { json: change(said.json, former) } : undefined;

const brokenServers: readonly (readonly [string, Fault, string])[] = [
  ['does not check challenges', ignores('CHALLENGE_INVALID'), 'challenge-invented'],
  ['does not check report data', ignores('REPORT_DATA_MISMATCH'), 'report-data-intent'],
  ['answers for others', ignores('SERVER_NOT_ADDRESSED'), 'not-addressed'],
  ['takes debug TDs', ignores('TD_DEBUG'), 'debug-td'],
  ['does not check the signature of quotes', ignores('QUOTE_SIGNATURE_INVALID'), 'quote-signature'],
  ['takes quotes that are cut off', ignores('QUOTE_TRUNCATED'), 'quote-cut'],
  ['does not ask for a proof', ignores('RECOVERY_PROOF_REQUIRED'), 'recover-proof'],
  ['does not check the proof', ignores('RECOVERY_PROOF_WRONG'), 'recover-proof'],
  ['makes keys where it should recover', ignores('KEY_UNKNOWN'), 'recover-unknown'],
  ['gives out unlinked slots', ignores('SLOT_UNLINKED'), 'recover-unlinked'],
  ['replaces keys silently', ignores('KEY_EXISTS'), 'create-again'],
  ['ignores unknown fields', ignores('FIELD_INVALID'), 'challenge-unknown-field'],
  ['takes points of small order', ignores('HPKE_PUBLIC_KEY_INVALID'), 'challenge-small-order'],
  ['takes old timestamps', ignores('TIMESTAMP_STALE'), 'timestamp-stale'],
  ['takes bodies of any size', ignores('BODY_TOO_LARGE'), 'body-too-large'],
  ['takes any media type', ignores('UNSUPPORTED_MEDIA_TYPE'), 'body-media-type'],
  ['knows every lineage', ignores('LINEAGE_UNKNOWN'), 'lineage-unknown'],
  [
    'tells the stranger that the MAC is wrong',
    (said) =>
      said.json['code'] === 'KEY_UNKNOWN'
        ? { status: 401, json: { ...said.json, status: 401, code: 'MAC_WRONG' } }
        : undefined,
    'mac-wrong',
  ],
  [
    'gives errors as plain JSON',
    (said) => (said.status >= 400 ? { contentType: 'application/json' } : undefined),
    'body-not-json',
  ],
  [
    'has another status in the body',
    (said) => (said.status >= 400 ? { json: { ...said.json, status: 500 } } : undefined),
    'body-not-json',
  ],
  [
    'seals badly',
    changes('/request-encryption-key', (json) => ({
      ...json,
      ciphertext: `${String(json['ciphertext']).startsWith('A') ? 'B' : 'A'}${String(json['ciphertext']).slice(1)}`,
    })),
    'plain-key',
  ],
  [
    'names another instance than it sealed',
    changes('/request-encryption-key', (json) => ({ ...json, instanceId: flipped(json['instanceId'], 5) })),
    'plain-key',
  ],
  [
    'seals well and names another server',
    changes('/request-encryption-key', (json) => ({ ...json, server: `0x${'11'.repeat(32)}` })),
    'plain-key',
  ],
  [
    'gives errors another type',
    (said) => (said.status >= 400 ? { json: { ...said.json, type: 'about:blank' } } : undefined),
    'body-not-json',
  ],
  ['adds a field', changes('/challenge', (json) => ({ ...json, note: 1 })), 'challenge-answer'],
  [
    'gives everybody one challenge',
    (() => {
      let first: unknown;
      return changes('/challenge', (json) => {
        first ??= json['nonce'];
        return { ...json, nonce: first };
      });
    })(),
    'challenge-differs',
  ],
  [
    'gives challenges that do not end',
    changes('/challenge', (json) => ({ ...json, expiresAtMs: Number(json['expiresAtMs']) + 86_400_000 })),
    'challenge-answer',
  ],
  [
    'says that it drains after the MAC was made',
    changes('/key-status', (json) => ({ ...json, draining: true })),
    'key-status',
  ],
  [
    'says that it erased what it kept',
    changes('/forget', (json) => ({ ...json, erased: true })),
    'forget-older',
  ],
  [
    'makes MACs of claims under another key',
    changes('/claim', (json) => ({ ...json, mac: flipped(json['mac'], 9) })),
    'claim-older',
  ],
  [
    'makes MACs of reservations under another key',
    changes('/reserve', (json) => ({ ...json, mac: flipped(json['mac'], 9) })),
    'reserve-and-claim',
  ],
  ['cuts the lineage off', changes('/lineage-status', (json) => ({ ...json, lineage: undefined })), 'forget'],
];

describe('a server that is reached over the network', () => {
  it('is asked for what is not known of it, and an answer that is no JSON is refused by its field', async () => {
    const page: Fetch = async () => new Response('<html>');
    await expect(knownServer('http://server.test', 'http://quotes.test', {}, page)).rejects.toMatchObject({
      code: 'FIELD_INVALID',
    });
  });
});

describe('the checks of a foreign server', () => {
  it('are all kept by a server of this project', async () => {
    expect(await failuresOf(() => undefined)).toEqual([]);
  });

  it('have names of their own', () => {
    const names = serverChecks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  const found = new Set<string>();
  it.each(brokenServers)('find one that %s', async (_, fault, check) => {
    const failures = (await failuresOf(fault)).map((failure) => failure.slice(0, failure.indexOf(':')));
    for (const name of failures) found.add(name);
    expect(failures).toContain(check);
  });

  it('each find at least one of these', () => {
    expect(serverChecks.map(({ name }) => name).filter((name) => !found.has(name))).toEqual([]);
  });
});
