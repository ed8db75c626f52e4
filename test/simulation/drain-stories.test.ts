import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import type { Drain } from '../../src/node/drain.ts';
import { countClients } from '../../src/node/serving.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { fileOf, keptSlots, machinesOf } from '../support/slot-picture.ts';

const LONG = { timeout: 120_000 };

function drainOf({ serving, name }: SimulatedNode): Drain {
  if (serving === undefined) throw new Error(`${name} does not serve`);
  return serving.drain;
}

/** Accounts with a key at a server. */
const clientsOf = ({ keyServer }: SimulatedNode): number =>
  new Set([...(keyServer?.vault.keys() ?? [])].map(({ account }) => toHex(account))).size;

const namesIn = (nodes: readonly SimulatedNode[]): readonly string[] => nodes.map(({ state }) => state.name);

/** The keyslot files of all nodes name these servers nowhere, and all their slots live. */
async function expectAllLiveWithout(net: SimulatedNetwork, gone: readonly SimulatedNode[]): Promise<void> {
  for (const node of net.nodes.filter(({ isRunning }) => isRunning)) {
    const file = await fileOf(node);
    const [newest] = file.generations;
    expect(file.generations).toHaveLength(1);
    expect(newest.slots.every(({ confirmed }) => confirmed)).toBe(true);
    expect(keptSlots(net, file, newest)).toBe(newest.n);
    for (const server of gone) expect(machinesOf(net, newest)).not.toContain(server);
  }
}

const generationsOf = async (nodes: readonly SimulatedNode[]): Promise<readonly number[]> =>
  Promise.all(nodes.map(async (node) => (await fileOf(node)).generations[0].generation));

describe('a server that drains', () => {
  it('may stop without risk once all its clients have moved to other servers', LONG, async () => {
    const { net, first } = await formedNetwork(901, 7);
    const others = net.nodes.filter((node) => node !== first);
    const clients = clientsOf(first);
    expect(clients).toBeGreaterThan(2);
    first.drain();
    // After a hint they do not wait for their next slot check.
    await net.settle(4_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: 0, moved: clients });
    expect(first.keyServer?.vault.size).toBe(0);
    expect(first.keyServer && countClients(first.keyServer, net.world.clock.nowMs()).atRisk).toBe(0);
    await expectAllLiveWithout(net, [first]);
    const before = await generationsOf(others);
    await net.world.clock.until(first.stop());
    await net.settle(60_000);
    expect(namesIn(others)).toEqual(Array(6).fill('backed'));
    // Its end was no event for anybody.
    expect(await generationsOf(others)).toEqual(before);
    for (const { events } of others) expect(events.map(({ event }) => event)).not.toContain('slot.lost');
    await endNetwork(net);
  });

  it('with too few other servers keeps its clients; they report it, and no key is lost', LONG, async () => {
    const { net, node, first } = await formedNetwork(902, 6);
    const clients = clientsOf(first);
    const before = await generationsOf(net.nodes);
    first.drain();
    await net.settle(120_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: clients, moved: 0 });
    expect(namesIn(net.nodes)).toEqual(Array(6).fill('backed'));
    expect(await generationsOf(net.nodes)).toEqual(before);
    expect(node.state).toMatchObject({ live: 5, n: 5, reason: expect.stringContaining('1 draining') });
    expect(node.events.map(({ event }) => event)).toContain('slots.short');
    for (const { standing } of drainOf(first).remaining()) expect(standing).toBe('told');
    // No key was asked for in vain.
    for (const { keyServer } of net.nodes)
      expect([...(keyServer?.vault.keys() ?? [])].every(({ confirmed }) => confirmed)).toBe(true);
    // One more server, and all move.
    const late = net.addMachine();
    late.start();
    await net.world.clock.advance(2_000);
    await net.register(late);
    await net.settle(30_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: 0, moved: clients });
    await expectAllLiveWithout(net, [first]);
    await endNetwork(net);
  });

  it('with too few others may stop when its record has left the chain, which lowers n', LONG, async () => {
    const { net, first } = await formedNetwork(908, 6);
    const clients = clientsOf(first);
    first.drain();
    await net.settle(20_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: clients });
    net.deregister(first);
    await net.settle(90_000);
    // `forget` cannot be sent to a server without an address; the signatures of its clients say it.
    expect(drainOf(first).progress()).toMatchObject({ remaining: 0, moved: clients });
    await net.world.clock.until(first.stop());
    await net.settle(30_000);
    for (const node of net.nodes.filter((other) => other !== first)) {
      expect(node.state).toMatchObject({ name: 'backed', live: 4, n: 4, t: 3 });
    }
    await endNetwork(net);
  });

  it('makes no key for a new node; other servers back that node', LONG, async () => {
    const { net, first } = await formedNetwork(903, 7);
    first.drain();
    const late = net.addMachine();
    late.start();
    await net.world.clock.advance(2_000);
    await net.register(late);
    await net.settle(30_000);
    expect(late.state.name).toBe('backed');
    expect(machinesOf(net, (await fileOf(late)).generations[0])).not.toContain(first);
    await endNetwork(net);
  });

  it('makes keys again after a cancelled drain, and its remaining clients do not move', LONG, async () => {
    const { net, first } = await formedNetwork(904, 6);
    const clients = clientsOf(first);
    first.drain();
    await net.settle(20_000);
    drainOf(first).cancel();
    drainOf(first).cancel();
    const before = await generationsOf(net.nodes);
    await net.settle(60_000);
    expect(drainOf(first).progress()).toBeUndefined();
    expect(clientsOf(first)).toBe(clients);
    expect(await generationsOf(net.nodes)).toEqual(before);
    for (const { state } of net.nodes) expect(state).not.toHaveProperty('reason');
    const late = net.addMachine();
    late.start();
    await net.world.clock.advance(2_000);
    await net.register(late);
    net.deregister(net.nodes.find((node) => node !== first && node !== late) ?? late);
    await net.settle(60_000);
    expect(late.state.name).toBe('backed');
    expect(machinesOf(net, (await fileOf(late)).generations[0])).toContain(first);
    await endNetwork(net);
  });

  it('keeps the slot of a client that is down; the client recovers by it and then moves', LONG, async () => {
    const { net, node, servers, first } = await formedNetwork(905, 8);
    await net.world.clock.until(node.kill());
    await net.wentDown(node);
    first.drain();
    await net.settle(60_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: 1 });
    const [waiting] = drainOf(first).remaining();
    expect(waiting).toMatchObject({ endpoint: node.endpoint, keys: 1 });
    expect(waiting?.standing).toContain('unreachable');
    // Two of the five are dead: it opens by the draining one, or not at all.
    for (const dead of servers.slice(1, 3)) net.world.wire.misbehaviour.set(dead.endpoint, 'hang');
    node.start();
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    net.world.wire.misbehaviour.clear();
    await net.settle(60_000);
    expect(drainOf(first).progress()).toMatchObject({ remaining: 0 });
    expect(machinesOf(net, (await fileOf(node)).generations[0])).not.toContain(first);
    await endNetwork(net);
  });

  it(
    'no longer drains after a crash and a restart, and its clients heal as after any other crash',
    LONG,
    async () => {
      const { net, node, first } = await formedNetwork(906, 7);
      net.world.wire.forge = ({ endpoint, path }) =>
        endpoint !== first.endpoint && path === '/request-encryption-key' ? 'hang' : undefined;
      first.drain();
      await net.settle(10_000);
      expect(drainOf(first).progress()?.remaining).toBeGreaterThan(0);
      await net.world.clock.until(first.kill());
      net.world.wire.forge = () => undefined;
      await net.settle(60_000);
      expect(node.state.name).toBe('backed');
      first.start();
      await net.settle(20_000);
      expect(first.state.name).toBe('backed');
      expect(drainOf(first).isDraining).toBe(false);
      expect(first.serving?.formerClients.pending).toBe(0);
      await endNetwork(net);
    },
  );

  it(
    'learns from a signature that a client has moved, although the requests to erase its key were lost',
    LONG,
    async () => {
      const { net, node, first } = await formedNetwork(907, 7);
      net.world.wire.forge = ({ from, endpoint, path }) =>
        from === node.name && endpoint === first.endpoint && ['/forget', '/lineage-update'].includes(path)
          ? 'hang'
          : undefined;
      first.drain();
      await net.settle(4_000);
      await restart(net, node);
      await net.settle(30_000);
      // The key is still there, but there is no slot that it opens.
      expect(first.keyServer?.vault.size).toBe(1);
      expect(drainOf(first).progress()).toMatchObject({ remaining: 0 });
      await endNetwork(net);
    },
  );
});

describe('several servers that drain at once', () => {
  it('two of eight: all clients move to the six others, also the draining nodes', LONG, async () => {
    const { net, servers } = await formedNetwork(911, 8);
    const [one, two] = servers;
    if (one === undefined || two === undefined) throw new Error('a backed node has servers');
    for (const server of [one, two]) server.drain();
    await net.settle(60_000);
    for (const server of [one, two]) expect(drainOf(server).progress()).toMatchObject({ remaining: 0 });
    await expectAllLiveWithout(net, [one, two]);
    for (const server of [one, two]) await net.world.clock.until(server.stop());
    await net.settle(60_000);
    for (const node of net.nodes.filter(({ isRunning }) => isRunning)) expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('all servers: no slot is given up, no key is lost, and the drains can end', LONG, async () => {
    const { net, node } = await formedNetwork(912, 7);
    const before = await generationsOf(net.nodes);
    for (const server of net.nodes) server.drain();
    await net.settle(300_000);
    expect(namesIn(net.nodes)).toEqual(Array(7).fill('backed'));
    expect(await generationsOf(net.nodes)).toEqual(before);
    for (const server of net.nodes) expect(drainOf(server).progress()).toMatchObject({ moved: 0 });
    const key = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
    await restart(net, node);
    await net.settle(10_000);
    expect(toHex(node.open?.storeKey.reveal() ?? new Uint8Array(1))).toBe(key);
    for (const server of net.nodes) drainOf(server).cancel();
    await net.settle(60_000);
    expect(namesIn(net.nodes)).toEqual(Array(7).fill('backed'));
    await endNetwork(net);
  });
});

describe('a server that a newer instance of its account has overtaken', () => {
  it(
    'is left by its clients, as one that drains: nobody keeps a slot in a process that will be ended',
    LONG,
    async () => {
      const { net, first } = await formedNetwork(921, 7);
      expect(clientsOf(first)).toBeGreaterThan(2);
      const twin = net.addTwin(first);
      twin.start();
      await net.settle(120_000);
      expect(first.state.name).toBe('fenced');
      const others = net.nodes.filter((node) => node !== first && node !== twin);
      expect(namesIn(others)).toEqual(Array(6).fill('backed'));
      for (const node of others) {
        const file = await fileOf(node);
        expect(keptSlots(net, file, file.generations[0])).toBe(file.generations[0].n);
        expect(machinesOf(net, file.generations[0])).not.toContain(first);
      }
      expect(first.keyServer?.vault.size).toBe(0);
      await endNetwork(net);
    },
  );
});
