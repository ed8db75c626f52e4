import { afterEach, describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { secretFormat } from '../../src/secrets/secret-format.ts';
import { eventually } from '../support/chain-fixtures.ts';
import { type RingNetwork, type RingPlace, ringNetwork, ringSecret } from '../support/ring-network.ts';

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
  it('X5, X6, X13: a write is read everywhere, after each node was restarted, one joined, and one drained and left', async () => {
    const net = await network(4);
    const [a, b, c, d] = net.places as [RingPlace, RingPlace, RingPlace, RingPlace];
    const secrets = [1, 2, 3].map((user) => ringSecret(user));
    for (const secret of secrets) expect(await write(a, secret)).toBe('written');
    for (const place of net.places)
      for (const secret of secrets) expect(await hexOf(read(place, secret))).toBe(toHex(secret));

    for (const place of net.places) {
      await place.stop();
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
});

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
