import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { secretFormat } from '../../src/secrets/secret-format.ts';
import { eventually } from '../support/chain-fixtures.ts';
import { type RingNetwork, type RingPlace, ringNetwork, ringSecret } from '../support/ring-network.ts';
import { ALICE } from '../support/secret-records.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function network(count: number, replicas?: number): Promise<RingNetwork> {
  const net = await ringNetwork(count, replicas);
  open.push(net);
  return net;
}

/** Writes a secret through a node, as often as it takes: a write whose outcome is unknown may be repeated. */
const write = (place: RingPlace, bytes: Uint8Array): Promise<string> =>
  eventually(async () => {
    const written = await place.ring.write(bytes).catch(() => undefined);
    return written?.kind;
  });

/** What a node reads of the record that these bytes are of. */
const read = (place: RingPlace, bytes: Uint8Array): Promise<Uint8Array> =>
  eventually(
    async () => (await place.ring.read(secretFormat.read(bytes).id).catch(() => undefined))?.entry?.bytes,
  );

const hexOf = async (bytes: Promise<Uint8Array>): Promise<string> => toHex(await bytes);

describe('a ring of real nodes', { timeout: 240_000 }, () => {
  it('X5, X6, X12, X13: a write is read everywhere, after each node was restarted, one joined, and one drained and left', async () => {
    const net = await network(4);
    const [a, b, c, d] = net.places as [RingPlace, RingPlace, RingPlace, RingPlace];
    const secrets = [1, 2, 3].map((user) => ringSecret(user));
    for (const secret of secrets) expect(await write(a, secret)).toBe('written');
    for (const place of net.places)
      for (const secret of secrets) expect(await hexOf(read(place, secret))).toBe(toHex(secret));

    for (const place of net.places) {
      await net.untilHealed();
      await place.stop();
      // X12, I7: the value is on no disk in clear.
      for (const file of filesBelow(place.folder))
        expect(readFileSync(file).includes('key of user')).toBe(false);
      await place.start();
      await place.until('serving');
    }
    for (const secret of secrets) expect(await hexOf(read(b, secret))).toBe(toHex(secret));

    const joining = await net.add();
    await joining.start();
    await joining.until('serving');
    for (const secret of secrets) expect(await hexOf(read(joining, secret))).toBe(toHex(secret));

    const newer = ringSecret(1, 2);
    expect(await write(joining, newer)).toBe('written');
    expect(await hexOf(read(c, newer))).toBe(toHex(newer));

    await fetchDrain(d);
    await eventually(() => (d.membership.report().handedOver === true ? true : undefined));
    net.chain.removeServer(d.stash);
    await d.until('no-member');
    await d.stop();
    const all = [newer, ...secrets.slice(1)];
    for (const place of [a, b, c, joining]) {
      await place.until('serving');
      for (const secret of all) expect(await hexOf(read(place, secret))).toBe(toHex(secret));
    }
  });

  it('X10: messages that are forged, repeated, or of a stranger are refused over HTTP', async () => {
    const net = await network(3);
    const [a, b, c] = net.places as [RingPlace, RingPlace, RingPlace];
    const sent: { readonly url: string; readonly init: RequestInit }[] = [];
    a.fetch = (url, init) => {
      if (url.startsWith(b.url)) sent.push({ url, init });
      return fetch(url, init);
    };
    await b.stop();
    await b.start();
    await b.until('serving');
    const find = (path: string) => eventually(() => sent.find(({ url }) => url.includes(path)));
    const message = await find('/ring/message/');
    const codeFrom = async (url: string, init: RequestInit): Promise<unknown> => {
      const answer = await fetch(url, init);
      return answer.ok ? 'ok' : Reflect.get(Object(await answer.json()), 'code');
    };
    // The session is of the process before or of this one: either way a second time it is not taken.
    expect(['CHANNEL_MESSAGE_REPLAYED', 'CHANNEL_SESSION_UNKNOWN']).toContain(
      await codeFrom(message.url, message.init),
    );
    const live = await eventually(async () => {
      const found = sent.findLast(({ url }) => url.includes('/ring/message/'));
      return found !== undefined && (await codeFrom(found.url, found.init)) === 'CHANNEL_MESSAGE_REPLAYED'
        ? found
        : undefined;
    });
    const forged = new Uint8Array(live.init.body as Uint8Array<ArrayBuffer>);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(await codeFrom(live.url, { ...live.init, body: forged })).toBe('CHANNEL_MESSAGE_INVALID');
    // A session of another node, and none at all.
    const id = live.url.split('/').at(-1) ?? '';
    expect(await codeFrom(`${c.url}/ring/message/${id}`, live.init)).toBe('CHANNEL_SESSION_UNKNOWN');
    const many = { ...live.init, body: new Uint8Array(100_000) };
    expect(await codeFrom(`${b.url}/ring/message/${'ab'.repeat(16)}`, many)).toBe('BODY_TOO_LARGE');

    const opening = await find('/ring/open');
    const json: unknown = JSON.parse(String(opening.init.body));
    const changed = (change: object): RequestInit => ({
      ...opening.init,
      body: JSON.stringify({ ...Object(json), ...change }),
    });
    const { attestation: ofC } = { attestation: await (await fetch(`${c.url}/attestation`)).json() };
    // The attestation of a member is public; without the member's key it opens nothing.
    expect(await codeFrom(`${b.url}/ring/open`, changed({ attestation: ofC }))).toBe(
      'CHANNEL_HANDSHAKE_INVALID',
    );
    const stranger = { ...Object(ofC), server: `0x${'07'.repeat(32)}` };
    expect(await codeFrom(`${b.url}/ring/open`, changed({ attestation: stranger }))).toBe('RING_NOT_MEMBER');
    const otherKey = { ...Object(ofC), x25519PublicKey: `0x${'07'.repeat(32)}` };
    expect(await codeFrom(`${b.url}/ring/open`, changed({ attestation: otherKey }))).toBe(
      'CHANNEL_PEER_UNPROVEN',
    );
  });

  it('I5: a node that cannot compare with the others serves nothing, and holds nobody up', async () => {
    const net = await network(4);
    const [a, b] = net.places as [RingPlace, RingPlace];
    const secret = ringSecret(1);
    expect(await write(a, secret)).toBe('written');
    const cut = await net.add();
    cut.fetch = () => Promise.reject(new Error('cut off'));
    await cut.start();
    await cut.until('joining');
    await expect(cut.ring.read(secretFormat.read(secret).id)).rejects.toMatchObject({
      code: 'RING_NOT_READY',
    });
    expect((await fetch(`${cut.url}/readyz`)).status).toBe(503);
    expect(await hexOf(read(b, secret))).toBe(toHex(secret));
    cut.fetch = (url, init) => fetch(url, init);
    await cut.until('serving');
    expect(await hexOf(read(cut, secret))).toBe(toHex(secret));
  });

  it('a fenced node answers no member: a newer instance may know of later writes', async () => {
    const net = await network(4);
    const [a, b, c, d] = net.places as [RingPlace, RingPlace, RingPlace, RingPlace];
    const secret = ringSecret(1);
    expect(await write(a, secret)).toBe('written');
    expect(await hexOf(read(d, secret))).toBe(toHex(secret));
    for (const place of [b, c]) place.node.open?.store.fence('a newer instance has claimed the account');
    await a.stop();
    // Two answers make a read; d has its own one alone.
    await expect(d.ring.read(secretFormat.read(secret).id)).rejects.toThrow();
  });

  it('takes records of listed users only, whoever brings them', async () => {
    const net = await ringNetwork(2, 3, { config: { secrets: { users: [encodeSs58(ALICE)] } } });
    open.push(net);
    const [a] = net.places as [RingPlace];
    expect(await write(a, ringSecret(1))).toBe('written');
    await expect(a.ring.write(ringSecret(2))).rejects.toMatchObject({ code: 'RING_RECORD_REFUSED' });
  });

  it('a disk that an operator accepted although it is older counts as no answer until it is repaired', async () => {
    const net = await network(3);
    const [a] = net.places as [RingPlace];
    const secret = ringSecret(1);
    expect(await write(a, secret)).toBe('written');
    await a.stop();
    await a.start({ acceptRolledBackStore: true });
    await a.until('serving');
    const opened = a.events.filter(({ event }) => event === 'ring.member');
    expect(opened.map(({ fields }) => fields['complete'] === -1)).toEqual([true, true]);
    expect(await hexOf(read(a, secret))).toBe(toHex(secret));
  });
});

/** All files of a folder. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());

/** Starts the drain of a node, as its agent does. */
async function fetchDrain(place: RingPlace): Promise<void> {
  const { request } = await import('node:http');
  await new Promise<void>((resolve, reject) => {
    const asking = request(
      { socketPath: place.node.addresses.agent.slice(5), method: 'PUT', path: '/drain' },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve());
      },
    );
    asking.on('error', reject);
    asking.end();
  });
}
