import { describe, expect, it } from 'vitest';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { folderDigest, KEYSLOTS } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';

const LONG = { timeout: 60_000 };

const standings = ({ state }: SimulatedNode): string[] =>
  'slots' in state
    ? state.slots.map(({ standing }) => (typeof standing === 'string' ? standing : standing.kind))
    : [];

const failuresLogged = ({ events }: SimulatedNode): string[] =>
  events
    .filter(({ event }) => event === 'slot.failed' || event === 'slot.lost')
    .map(({ fields }) => String(fields['reason']).split(' (')[0] ?? '');

describe('stories of one network', () => {
  it('K11 two of five servers are dead: the node opens', LONG, async () => {
    const { net, node, servers } = await formedNetwork(1);
    for (const server of servers.slice(0, 2)) await net.world.clock.until(server.kill());
    await restart(net, node);
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it('one server hangs and one lies: the node opens, and names the lying server', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2);
    net.world.wire.misbehaviour.set(servers[0]?.endpoint ?? '', 'hang');
    servers[1]?.startLying();
    await restart(net, node);
    await net.settle(15_000);
    expect(node.open).toBeDefined();
    expect(failuresLogged(node)).toContain('server lied');
    await endNetwork(net);
  });

  it('three servers are unreachable: locked at 2 of 3, unchanged, open when one is back', LONG, async () => {
    const { net, node, servers } = await formedNetwork(3);
    for (const server of servers.slice(0, 3)) net.world.wire.misbehaviour.set(server.endpoint, 'hang');
    await net.world.clock.until(node.kill());
    const before = folderDigest(node);
    node.start();
    await net.settle(300_000);
    expect(node.state).toMatchObject({ name: 'locked', have: 2, need: 3 });
    expect(folderDigest(node)).toBe(before);
    net.world.wire.misbehaviour.delete(servers[0]?.endpoint ?? '');
    await net.settle(25_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it('a server whose host hides a client refuses it: the invariants do not count on it', LONG, async () => {
    const { net, node, servers } = await formedNetwork(114, 4);
    const [hidden, silent] = servers;
    if (hidden === undefined || silent === undefined) throw new Error('a backed node has servers');
    const own = net.records.get(node);
    hidden.chain.forge = (records) => records.filter((record) => record !== own);
    net.publish();
    net.world.wire.misbehaviour.set(silent.endpoint, 'hang');
    await restart(net, node);
    await net.settle(15_000);
    expect(node.state).toMatchObject({ name: 'locked', have: 1, need: 2 });
    expect(await net.spareSlots(node)).toBe(-1);
    hidden.chain.forge = undefined;
    net.publish();
    expect(await net.spareSlots(node)).toBe(0);
    await net.settle(30_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it(
    'all servers restart one after another while the node runs; then it restarts and opens',
    LONG,
    async () => {
      const { net, node, servers } = await formedNetwork(4);
      for (const server of servers) {
        await restart(net, server);
        await net.settle(30_000);
        expect(node.state.name).toBe('backed');
      }
      await restart(net, node);
      await net.settle(5_000);
      expect(node.open).toBeDefined();
      await endNetwork(net);
    },
  );

  it('all servers lose their memory at once while the node runs: it is backed again', LONG, async () => {
    const { net, node, servers } = await formedNetwork(5);
    // They lose their keys and not their own stores, which depend on one another.
    for (const server of servers) server.memory?.wipe();
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await restart(net, node);
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it('of two instances of one account the older one stops writing permanently', LONG, async () => {
    const { net, node } = await formedNetwork(6);
    const copy = net.addTwin(node);
    copy.start();
    await net.settle(30_000);
    expect(copy.open).toBeDefined();
    expect(node.state.name).toBe('fenced');
    const write = async (machine: SimulatedNode) =>
      (await machine.open?.store.namespace('application'))?.put('a', new Uint8Array(1));
    await expect(net.world.clock.until(write(node))).rejects.toMatchObject({ code: 'NODE_FENCED' });
    await net.world.clock.until(write(copy));
    // Nothing that the older one sees or does not see later brings it back.
    for (const other of net.nodes.slice(1, 7)) net.world.wire.cut.add(`${node.name}>${other.endpoint}`);
    await net.settle(60_000);
    expect(node.state.name).toBe('fenced');
    expect(copy.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('a fenced older instance removes no key of the newer instance', LONG, async () => {
    const { net, node, servers } = await formedNetwork(7);
    const copy = net.addTwin(node);
    copy.start();
    await net.settle(10_000);
    await net.world.clock.until(copy.kill());
    // A server forgets, which would make the older instance enrol again and give up the slots of both.
    servers[0]?.memory?.wipe();
    await net.settle(60_000);
    copy.start();
    await net.settle(10_000);
    expect(copy.open).toBeDefined();
    await endNetwork(net);
  });

  it('servers change their addresses while the node is locked: it follows the chain', LONG, async () => {
    const { net, node, servers } = await formedNetwork(8);
    for (const server of servers) server.move(`10.9.0.${server.platform}:3001`);
    await restart(net, node);
    await net.settle(20_000);
    expect(node.state).toMatchObject({ name: 'locked' });
    for (const server of servers) await net.register(server);
    await net.settle(15_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it('a host that deletes the keyslot file locks the store, and nothing more', LONG, async () => {
    const { net, node } = await formedNetwork(9);
    await net.world.clock.until(node.kill());
    const keyslots = node.disk.files().get(KEYSLOTS);
    node.disk.tamper(KEYSLOTS, undefined);
    const before = folderDigest(node);
    node.start();
    await net.settle(60_000);
    expect(node.state).toMatchObject({ name: 'locked' });
    expect(node.state.name === 'locked' && node.state.reason).toContain('NODE_NEVER_BACKED');
    expect(folderDigest(node)).toBe(before);
    node.disk.tamper(KEYSLOTS, keyslots);
    await net.settle(20_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it(
    'a disk that is rolled back behind the deposited head is refused; the current disk opens',
    LONG,
    async () => {
      const { net, node } = await formedNetwork(10);
      const old = node.disk.clone();
      const values = await node.open?.store.namespace('application');
      for (let index = 0; index < 5; index++) await values?.put(`${index}`, new Uint8Array(10));
      await net.settle(20_000);
      await net.world.clock.until(node.kill());
      const current = node.disk;
      node.disk = old.afterKill();
      node.start();
      await net.settle(30_000);
      expect(node.state.name === 'locked' && node.state.reason).toContain('STORE_ROLLED_BACK');
      await net.world.clock.until(node.stop());
      node.disk = current;
      node.start();
      await net.settle(5_000);
      expect(node.open).toBeDefined();
      await endNetwork(net);
    },
  );

  it.each(['impersonate', 'redirect', 'replay', 'garbage', 'denies'] as const)(
    'two servers that %s stop no node, and all nodes are backed after the network is repaired',
    LONG,
    async (how) => {
      const { net, node, servers } = await formedNetwork(11);
      for (const server of servers.slice(0, 2)) net.world.wire.misbehaviour.set(server.endpoint, how);
      await restart(net, node);
      await net.settle(10_000);
      expect(node.open).toBeDefined();
      await net.settle(30_000);
      expect(standings(node).filter((standing) => standing === 'live').length).toBeGreaterThanOrEqual(3);
      net.world.wire.misbehaviour.clear();
      await net.settle(60_000);
      expect(node.state.name).toBe('backed');
      await endNetwork(net);
    },
  );
});
