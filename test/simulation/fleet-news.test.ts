import { afterEach, describe, expect, it } from 'vitest';
import { recoverStoreKey } from '../../src/boot/obtain/recovery.ts';
import { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import type { FleetRules } from '../../src/fleet/fleet-body.ts';
import type { Manifest } from '../../src/fleet/manifest.ts';
import { FLEET_EXTENSION } from '../../src/protocol/extensions.ts';
import { seededDice } from '../support/disk-dice.ts';
import { textOf } from '../support/fleet-texts.ts';
import { AuthorityWorld, network } from '../support/fleet-world.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';
import { simulatedVetter } from '../support/simulated-vetter.ts';

const LONG = { timeout: 300_000 };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const world = new AuthorityWorld();
const trust = {
  ...defaultTrust,
  chain: { ...defaultTrust.chain, genesisHash: toPrefixedHex(network) },
  authority: world.authority,
  platforms: { recover: 'bound', servers: 'registered', clients: 'any' },
} as const;

let net: SimulatedNetwork | undefined;
afterEach(async () => {
  await net?.close();
  net = undefined;
});

/** A network whose nodes watch manifests; each asks for them on its own only once a day. */
async function watchingNetwork(seed: number, count = 4, lookEveryMs = MINUTE_MS) {
  const formed = await formedNetwork(seed, count, trust, ({ world }) => {
    const healing = { ...world.config.healing, intervalMs: lookEveryMs };
    Object.assign(world.config, { fleet: { sources: [], files: [], intervalMs: DAY_MS }, healing });
  });
  net = formed.net;
  return formed;
}

let serial = 0;
const issue = ({ world: { clock } }: SimulatedNetwork, content: Partial<FleetRules>): Manifest =>
  world.issue(content, { serial: ++serial, issuedAtMs: clock.nowMs() });

/** Hands a manifest to one node. */
async function publish(node: SimulatedNode, manifest: Manifest): Promise<void> {
  const results = await node.fleet?.publish(JSON.parse(textOf(manifest)));
  expect(results?.manifests).toEqual([{ outcome: 'taken' }]);
}

const serials = ({ nodes }: SimulatedNetwork) => nodes.map(({ fleet }) => fleet?.report().manifest?.serial);
const storeKey = ({ open }: SimulatedNode) => toHex(open?.storeKey.reveal() ?? new Uint8Array(0));
const changes = ({ keyChanges }: SimulatedNode) => keyChanges;

describe('a manifest that one node has', () => {
  it(
    'reaches all others by the answers of its key server, long before they ask their sources',
    LONG,
    async () => {
      const { net, node } = await watchingNetwork(3201, 5, 8_000);
      await publish(node, issue(net, { trustHashes: [] }));
      await net.settle(2 * MINUTE_MS);
      expect(serials(net)).toEqual(Array(5).fill(serial));
      await endNetwork(net);
    },
  );

  it('reaches a node that was off by the grants of its recovery', LONG, async () => {
    const { net, node, file } = await watchingNetwork(3202);
    for (const server of net.nodes.slice(1)) await publish(server, issue(net, {}));
    await net.settle(MINUTE_MS);
    const { clock, wire, chain } = net.world;
    const client = new PeerClient({
      transport: wire.transportFrom('reader'),
      clock,
      random: (length) => dice.bytes(length),
      deadlineMs: 2_000,
    });
    const dice = seededDice(5);
    const shown: string[] = [];
    client.hearExtensions((_, extensions) =>
      shown.push(toHex(extensions.get(FLEET_EXTENSION) ?? new Uint8Array(0))),
    );
    const recover = async (): Promise<boolean> => {
      shown.length = 0;
      const tools = {
        client,
        clock,
        quotes: node.quotes,
        vetter: simulatedVetter(net.world, client),
        log: () => undefined,
      };
      const { ok } = await clock.until(
        recoverStoreKey(tools, {
          file,
          snapshot: await chain.snapshot(),
          minimumThreshold: 1,
          clockToleranceMs: 120_000,
          maxTimeJumpMs: 86_400_000,
          signal: new AbortController().signal,
        }),
      );
      return ok;
    };
    expect(await recover()).toBe(true);
    const newest = toHex(net.nodes[1]?.fleet?.extensions().get(FLEET_EXTENSION) ?? new Uint8Array(0));
    expect(new Set(shown)).toEqual(new Set([newest]));
    // Nothing is heard from answers that prove nothing.
    for (const { endpoint } of net.nodes) wire.misbehaviour.set(endpoint, 'impersonate');
    expect(await recover()).toBe(false);
    expect(shown).toEqual([]);
    wire.misbehaviour.clear();
  });
});

describe('a fleet that asks for new store keys', () => {
  const first = { id: '0x11111111111111111111111111111111', reason: 'a key of attestation was extracted' };
  const second = { id: '0x22222222222222222222222222222222', reason: 'another one' };

  it('gets one new key of each node for each id, spread over time, also over restarts', LONG, async () => {
    const { net, node } = await watchingNetwork(3211);
    const before = net.nodes.map(storeKey);
    await publish(node, issue(net, { rekey: first }));
    await net.settle(10 * MINUTE_MS);
    const early = net.nodes.map(changes);
    expect(early.some((count) => count === 0)).toBe(true);
    await net.settle(70 * MINUTE_MS);
    expect(net.nodes.map(changes)).toEqual(Array(4).fill(1));
    expect(net.nodes.filter((each, index) => storeKey(each) === before[index])).toEqual([]);
    expect(net.nodes.map(({ rekey }) => rekey?.report)).toEqual(Array(4).fill({ ...first, state: 'done' }));

    await restart(net, node);
    await expect(publish(node, issue(net, {}))).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    await net.settle(MINUTE_MS);
    await publish(node, issue(net, { rekey: first, trustHashes: [] }));
    await net.settle(90 * MINUTE_MS);
    expect(net.nodes.map(changes)).toEqual(Array(4).fill(1));

    await publish(node, issue(net, { rekey: second }));
    await net.settle(90 * MINUTE_MS);
    expect(net.nodes.map(changes)).toEqual(Array(4).fill(2));
    await endNetwork(net);
  });

  it('does not ask again after a crash between the change and the next look', LONG, async () => {
    const { net, node } = await watchingNetwork(3212);
    const before = storeKey(node);
    await publish(node, issue(net, { rekey: first }));
    // Until the change is under way, or just over.
    for (let waited = 0; waited < 90 * MINUTE_MS && changes(node) === 0; waited += 250)
      await net.world.clock.advance(250);
    expect(changes(node)).toBe(1);
    const changed = storeKey(node);
    expect(changed).not.toBe(before);
    await net.world.clock.until(node.kill());
    node.start();
    await net.settle(90 * MINUTE_MS);
    expect(storeKey(node)).toBe(changed);
    expect(node.rekey?.report?.state).toBe('done');
    expect(changes(node)).toBe(1);
    await endNetwork(net);
  });

  it('gets it also from a node that died in the middle of the change', LONG, async () => {
    const { net, node } = await watchingNetwork(3213);
    const before = storeKey(node);
    await publish(node, issue(net, { rekey: first }));
    const started = () => node.events.filter(({ event }) => event === 'rotation.started').length;
    for (let waited = 0; waited < 90 * MINUTE_MS && started() === 0; waited += 50)
      await net.world.clock.advance(50);
    await net.world.clock.advance(150);
    expect([started(), changes(node)]).toEqual([1, 0]);
    await net.world.clock.until(node.kill('lost'));
    node.start();
    await net.settle(90 * MINUTE_MS);
    expect(node.state.name).toBe('backed');
    expect(storeKey(node)).not.toBe(before);
    expect(node.rekey?.report?.state).toBe('done');
    await endNetwork(net);
  });

  it(
    'refuses no recovery: a node that cannot change its key waits, restarts, and changes it later',
    LONG,
    async () => {
      const { net, node, first: server } = await watchingNetwork(3214);
      const before = storeKey(node);
      await net.world.clock.until(server.kill());
      await publish(node, issue(net, { rekey: first }));
      await net.settle(90 * MINUTE_MS);
      expect(changes(node)).toBe(0);
      await restart(net, node);
      await net.settle(2 * MINUTE_MS);
      expect(storeKey(node)).toBe(before);
      expect(node.rekey?.report).toEqual({ ...first, state: 'waiting' });
      server.start();
      await net.settle(150 * MINUTE_MS);
      expect(net.nodes.map(({ rekey }) => rekey?.report?.state)).toEqual(Array(4).fill('done'));
      expect(storeKey(node)).not.toBe(before);
      await endNetwork(net);
    },
  );

  it('a disk from before the change is refused as ever, and changes no key', LONG, async () => {
    const { net, node } = await watchingNetwork(3215);
    const older = node.disk.clone();
    await publish(node, issue(net, { rekey: first }));
    await net.settle(90 * MINUTE_MS);
    await net.world.clock.until(node.kill());
    node.disk = older.afterKill();
    net.tampered.set(node, 'an older disk');
    node.start();
    await net.settle(10 * MINUTE_MS);
    expect(node.open).toBeUndefined();
    expect(changes(node)).toBe(1);
  });
});
