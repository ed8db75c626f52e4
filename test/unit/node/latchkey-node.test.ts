import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AccountId, InstanceId, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { type Config, configSchema } from '../../../src/config/schema.ts';
import { NewsAnswers } from '../../../src/node/hear-news.ts';
import { provesNotEnrolled } from '../../../src/protocol/not-enrolled.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import { defaultTrust } from '../../support/simulated-network-world.ts';

const LONG = { timeout: 60_000 };
const instanceId = `0x${'11'.repeat(16)}`;
const somebody = encodeSs58(new Uint8Array(32).fill(9));
const hang = (): Promise<never> => new Promise(() => undefined);

let net: SimulatedNetwork;
beforeEach(() => {
  net = new SimulatedNetwork(880);
});
afterEach(async () => {
  await net.close();
});

/** Lets virtual time pass until something is so. */
async function eventually(condition: () => boolean, atMostMs = 60_000): Promise<void> {
  for (let waited = 0; !condition(); waited += 250) {
    if (waited > atMostMs) throw new Error('it never came');
    await net.world.clock.advance(250);
  }
}

describe('closing a node', () => {
  it('ends at once while the self-check hangs', LONG, async () => {
    await using lone = await loneNode(net.world, { beforeQuote: hang });
    await lone.node.start();
    await net.world.clock.advance(5_000);
    expect(lone.node.state.name).toBe('starting');
    await net.world.clock.until(lone.node.close(), 10);
    expect(lone.events.some(({ event }) => event === 'node.stopped')).toBe(true);
  });

  it('ends at once between two self-checks that fail', LONG, async () => {
    const beforeQuote = () => Promise.reject(new Error('no TDX here'));
    await using lone = await loneNode(net.world, { beforeQuote });
    await lone.node.start();
    await net.world.clock.advance(3_000);
    await net.world.clock.until(lone.node.close(), 10);
    const before = lone.events.filter(({ event }) => event === 'machine.refused').length;
    await net.world.clock.advance(30_000);
    expect(lone.events.filter(({ event }) => event === 'machine.refused')).toHaveLength(before);
  });

  it('ends an `unlock` on a machine that makes no quote', LONG, async () => {
    await using lone = await loneNode(net.world, { beforeQuote: hang });
    const unlocking = lone.node.unlockOnce(1);
    unlocking.catch(() => undefined);
    await net.world.clock.advance(1_000);
    await net.world.clock.until(lone.node.close(), 10);
    await expect(unlocking).rejects.toThrow();
  });

  it('may be requested twice, and during the start', LONG, async () => {
    await using lone = await loneNode(net.world, {});
    const starting = lone.node.start();
    const closings = [lone.node.close(), lone.node.close()];
    await Promise.all([starting, ...closings]);
    await expect(fetch(`${lone.node.addresses.listen}/healthz`)).rejects.toThrow();
  });
});

describe('a node that starts', () => {
  const shouts = async (changes: Partial<Config['trust']>, warning: string) => {
    const trust = { ...defaultTrust, ...changes };
    await using lone = await loneNode(net.world, {
      beforeQuote: hang,
      config: { trust },
    });
    await lone.node.start();
    return lone.events.filter(({ event }) => event === warning).length;
  };

  it('shouts in its log where any machine recovers the keys of all', LONG, async () => {
    const warning = 'trust.platforms-any';
    expect(await shouts({}, warning)).toBe(1);
    expect(await shouts({ platforms: { recover: 'any', clients: 'any' } }, warning)).toBe(1);
    expect(await shouts({ platforms: { recover: 'bound', clients: 'any' } }, warning)).toBe(0);
  });

  it('shouts in its log where endpoints of the chain choose the images', LONG, async () => {
    const measurement = { policy: 'chain' } as const;
    const checkpoint = {
      blockNumber: 1,
      blockHash: `0x${'11'.repeat(32)}`,
      authoritySetId: 0,
      authorities: [`0x${'22'.repeat(32)}`],
    };
    const chain = { ...defaultTrust.chain, checkpoint };
    const warning = 'trust.images-by-endpoints';
    expect(await shouts({ measurement }, warning)).toBe(1);
    expect(await shouts({ measurement, chain }, warning)).toBe(0);
    expect(await shouts({}, warning)).toBe(0);
  });
});

describe('a node that is locked', () => {
  it('answers 503 to a restarted server: it does not know its slots yet', LONG, async () => {
    await using lone = await loneNode(net.world, { beforeQuote: hang });
    await lone.node.start();
    const reply = await lone.post('/server-restarted', { server: somebody, instanceId });
    expect(reply).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED' } });
  });
});

describe('a node that is open', () => {
  /** A chain on which `server` alone has a record. */
  const recorded = (server: AccountId) => ({
    account: server,
    stash: server,
    x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(5)),
    endpoint: 'a:1',
    quote: new Uint8Array(0),
    active: true,
    signer: false,
  });

  async function openNode(lone: Awaited<ReturnType<typeof loneNode>>) {
    await lone.node.start();
    await eventually(() => lone.node.open !== undefined);
    if (lone.node.open === undefined) throw new Error('closed');
    return lone.node.open;
  }

  it.each([
    ['/server-restarted', { instanceId }],
    ['/server-draining', { nonce: instanceId }],
  ])('%s: signs only for servers with a present or former record on the chain', LONG, async (path, about) => {
    await using lone = await loneNode(net.world);
    await openNode(lone);
    const ask = () => lone.post(path, { server: somebody, ...about });
    expect(await ask()).toMatchObject({ status: 403, json: { code: 'SERVER_UNREGISTERED' } });
    net.world.chain.set({ servers: [recorded(AccountId.parse(somebody, 'server'))] });
    const signed = { status: 200, json: { enrolled: false, signature: expect.any(String) } };
    expect(await ask()).toMatchObject(signed);
    // A drained server leaves the chain before it is stopped.
    net.world.chain.set({ servers: [] });
    expect(await ask()).toMatchObject(signed);
  });

  it('signs that it has no slot at a server, only for the present start of that server', LONG, async () => {
    await using lone = await loneNode(net.world);
    const open = await openNode(lone);
    const client = open.identity.account;
    const server = AccountId.parse(somebody, 'server');
    const [first, second] = [1, 2].map((byte) => InstanceId.of(new Uint8Array(16).fill(byte)));
    if (first === undefined || second === undefined) throw new Error('no ids');
    const answers = new NewsAnswers({ records: { hasBeenRegistered: () => true }, now: () => 0 });
    const heard = answers.hear(open, { server, instanceId: first }, '192.0.2.1');
    const signature = heard.enrolled ? new Uint8Array(64) : heard.signature;
    expect(provesNotEnrolled(signature, { client, server, instanceId: first })).toBe(true);
    expect(provesNotEnrolled(signature, { client, server, instanceId: second })).toBe(false);
    expect(provesNotEnrolled(signature, { client: server, server, instanceId: first })).toBe(false);
    // A statement about a restart is none about a drain, nor the other way round.
    expect(provesNotEnrolled(signature, { client, server, nonce: first })).toBe(false);
    const toDrain = answers.hear(open, { server, nonce: first }, '192.0.2.1');
    const other = toDrain.enrolled ? new Uint8Array(64) : toDrain.signature;
    expect(provesNotEnrolled(other, { client, server, nonce: first })).toBe(true);
    expect(provesNotEnrolled(other, { client, server, nonce: second })).toBe(false);
    expect(provesNotEnrolled(other, { client, server, instanceId: first })).toBe(false);
  });
});

describe('healing continues when other parts fail', () => {
  /** A node with three servers; after the test has damaged the node, all of them lose their memory. */
  async function survives(harm: (lone: Awaited<ReturnType<typeof loneNode>>) => void): Promise<string[]> {
    await net.form(4);
    const { decryptions } = configSchema.parse({ ...net.world.config, decryptions: { port: 0 } });
    await using lone = await loneNode(net.world, { config: { decryptions } });
    harm(lone);
    await lone.node.start();
    await eventually(() => lone.node.state.name === 'backed');
    const before = lone.node.open?.book.newest?.generation ?? 0;
    for (const machine of net.nodes.slice(0, 2)) {
      await net.world.clock.until(machine.kill());
      machine.start();
    }
    await eventually(() => (lone.node.open?.book.newest?.generation ?? 0) > before);
    await eventually(() => lone.node.state.name === 'backed');
    return lone.events.map(({ event }) => event);
  }

  it(
    'the list of former clients and the decryption service: their namespaces cannot be created',
    LONG,
    async () => {
      const events = await survives(({ node, disk }) =>
        disk.inject(({ kind, path }) =>
          kind === 'write' && node.open !== undefined && path.startsWith('/data/node/store')
            ? { code: 'EIO' }
            : undefined,
        ),
      );
      expect(events).toContain('served.not-read');
      expect(events).toContain('decryptions.not-open');
    },
  );

  it('the metrics fail', LONG, async () => {
    const events = await survives(({ parts }) => {
      parts.metrics.slotsLive.set = () => {
        throw new Error('the registry is broken');
      };
    });
    expect(events).toContain('node.state-not-shown');
  });
});

describe('a store with servers that lost their memory', () => {
  it('reports it with metrics that fire the documented alerts', LONG, async () => {
    await net.form(4);
    const disk = new SimulatedDisk();
    {
      await using lone = await loneNode(net.world, { disk });
      await lone.node.start();
      await eventually(() => lone.node.state.name === 'backed');
    }
    for (const machine of net.nodes) {
      await net.world.clock.until(machine.kill());
      machine.start();
      await eventually(() => machine.state.name === 'backed', 600_000);
    }
    await using lone = await loneNode(net.world, { disk });
    await lone.node.start();
    await eventually(() => lone.node.state.name === 'locked');
    expect(lone.node.state).toMatchObject({ cause: 'keys-lost', have: 0, need: 3, n: 4 });
    const text = await lone.parts.metrics.text();
    expect(text).toContain('latchkey_slots_live 0');
    expect(text).toContain('latchkey_slots_wanted 4');
    expect(text).toContain('latchkey_slots_threshold 3');
  });
});

describe('unlock', () => {
  const nothingThere = (disk: SimulatedDisk): boolean =>
    [...disk.files().keys()].every((path) => !path.startsWith('/data/node/'));

  it('gives no key of a new node when no server keeps it', LONG, async () => {
    await using lone = await loneNode(net.world);
    const outcome = await net.world.clock.until(lone.node.unlockOnce(1));
    expect('identity' in outcome ? 'open' : outcome).toMatchObject({ name: 'locked' });
    expect(JSON.stringify('identity' in outcome ? {} : outcome)).toContain('NODE_NEVER_BACKED');
    expect(nothingThere(lone.disk)).toBe(true);
  });

  it('gives no key of a new node when fewer than n servers keep it', LONG, async () => {
    await net.form(5);
    for (const { endpoint } of net.nodes.slice(0, 2)) net.world.wire.misbehaviour.set(endpoint, 'hang');
    await using lone = await loneNode(net.world);
    const outcome = await net.world.clock.until(lone.node.unlockOnce(1));
    expect(JSON.stringify('identity' in outcome ? 'open' : outcome)).toContain('NODE_NEVER_BACKED');
    expect(nothingThere(lone.disk)).toBe(true);
  });

  it('opens when all servers are reachable, and again afterwards', LONG, async () => {
    await net.form(4);
    const disk = new SimulatedDisk();
    const keys: string[] = [];
    for (const _ of [1, 2]) {
      await using lone = await loneNode(net.world, { disk });
      const outcome = await net.world.clock.until(lone.node.unlockOnce(1));
      if (!('identity' in outcome)) throw new Error(`locked: ${JSON.stringify(outcome)}`);
      keys.push(Buffer.from(outcome.storeKey.reveal()).toString('hex'));
    }
    expect(new Set(keys).size).toBe(1);
  });
});
