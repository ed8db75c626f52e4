import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import type { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };
const denial = { status: 404, body: { code: 'KEY_UNKNOWN', detail: 'no such key' } };

/** From now on the network tells one node, for `/key-status`, that a server has no such key. */
function denyStatus(net: SimulatedNetwork, node: SimulatedNode, ...servers: readonly SimulatedNode[]): void {
  const endpoints = servers.map(({ endpoint }) => endpoint);
  net.world.wire.forge = ({ from, endpoint, path }) =>
    from === node.name && path === '/key-status' && endpoints.includes(endpoint) ? denial : undefined;
}

async function opensAgain(net: SimulatedNetwork, node: SimulatedNode): Promise<void> {
  const key = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
  await restart(net, node);
  await net.settle(10_000);
  expect(toHex(node.open?.storeKey.reveal() ?? new Uint8Array(1))).toBe(key);
}

describe('a flood of hints', () => {
  it('causes no more slot checks than the pause between checks allows', LONG, async () => {
    const { net, node, newest } = await formedNetwork(801, 5);
    const { wire, clock, config } = net.world;
    let asked = 0;
    wire.forge = ({ from, path }) => {
      if (from === node.name && path === '/key-status') asked++;
      return undefined;
    };
    const seconds = 4;
    for (let at = 0; at < 1_000 * seconds; at++) {
      node.nudge();
      await clock.advance(1);
    }
    const looks = asked / newest.slots.length;
    expect(looks).toBeGreaterThan(1);
    expect(looks).toBeLessThanOrEqual((1_000 * seconds) / config.healing.retryMinMs + 1);
    await endNetwork(net);
  });

  it('starts the next enrolment attempt earlier only with growing pauses', LONG, async () => {
    const { net, node, first } = await formedNetwork(808, 6);
    const { wire, clock } = net.world;
    let attempts = 0;
    wire.forge = ({ from, endpoint, path }) => {
      if (endpoint !== first.endpoint || from !== node.name) return undefined;
      if (path === '/attestation') attempts++;
      return { status: 500, body: {} };
    };
    await net.settle(60_000);
    expect(node.state.name).toBe('degraded');
    attempts = 0;
    for (let tenths = 0; tenths < 600; tenths++) {
      node.nudge();
      await clock.advance(100);
    }
    expect(attempts).toBeGreaterThan(2);
    // One for every pause would be more than a hundred.
    expect(attempts).toBeLessThan(25);
    await endNetwork(net);
  });
});

describe('a forged “I hold no key for this slot”', () => {
  it(
    'without another server causes new generations with growing pauses, and never closes the store',
    LONG,
    async () => {
      const { net, node, newest, first } = await formedNetwork(802, 6);
      denyStatus(net, node, first);
      await net.settle(600_000);
      const file = await fileOf(node);
      // One at every check would be more than seventy.
      expect(file.generations[0].generation - newest.generation).toBeLessThanOrEqual(6);
      expect(node.state).toMatchObject({ name: 'degraded', live: 4, n: 5 });
      await opensAgain(net, node);
      net.world.wire.forge = () => undefined;
      await net.settle(30_000);
      expect(node.state.name).toBe('backed');
      await endNetwork(net);
    },
  );

  it('moves the slot once when there is another server', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(803, 7);
    denyStatus(net, node, first);
    await net.settle(300_000);
    const file = await fileOf(node);
    expect(node.state.name).toBe('backed');
    expect(file.generations[0].generation - newest.generation).toBe(1);
    expect(machinesOf(net, file.generations[0])).not.toContain(first);
    await endNetwork(net);
  });

  it('while other servers hang does not replace a generation by one with fewer slots', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(804, 6);
    const [denied, ...silent] = servers.slice(0, 2);
    if (denied === undefined) throw new Error('no server');
    denyStatus(net, node, denied);
    for (const { endpoint } of silent) net.world.wire.misbehaviour.set(endpoint, 'hang');
    await net.settle(300_000);
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    net.world.wire.misbehaviour.clear();
    net.world.wire.forge = () => undefined;
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('does not delay the reaction to a real restart, also after earlier doubts', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(805, 6);
    denyStatus(net, node, first);
    await net.settle(10_000);
    expect(node.events.some(({ event }) => event === 'slot.doubted')).toBe(true);
    net.world.wire.forge = () => undefined;
    await net.settle(20_000);
    expect(node.state.name).toBe('backed');
    expect((await fileOf(node)).generations[0].generation).toBe(newest.generation);
    await restart(net, first);
    await net.settle(4_000);
    expect(node.state.name).toBe('backed');
    expect((await fileOf(node)).generations[0].generation).toBe(newest.generation + 1);
    await endNetwork(net);
  });
});

describe('a server that claims a restart again and again', () => {
  /** At every check the server has lost its memory, has a new instance id, and gives new keys. */
  function restartAtEveryLook(net: SimulatedNetwork, node: SimulatedNode, liar: SimulatedNode): void {
    const instanceId = liar.keyServer?.identity.instanceId;
    net.world.wire.forge = ({ from, endpoint, path }) => {
      if (endpoint !== liar.endpoint || path !== '/key-status' || from !== node.name) return undefined;
      instanceId?.set(liar.random(16));
      return denial;
    };
  }

  it('loses its slot to another, and is not asked again', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(809, 7);
    restartAtEveryLook(net, node, first);
    await net.settle(1_200_000);
    const file = await fileOf(node);
    expect(file.generations[0].generation - newest.generation).toBeLessThanOrEqual(2);
    expect(machinesOf(net, file.generations[0])).not.toContain(first);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('when there is no other server, causes a new generation only after growing pauses', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(810, 6);
    restartAtEveryLook(net, node, first);
    await net.settle(1_200_000);
    const file = await fileOf(node);
    // Eight times the patience is two minutes here; one at every check would be more than a hundred.
    expect(file.generations[0].generation - newest.generation).toBeLessThanOrEqual(14);
    net.world.wire.forge = () => undefined;
    await net.settle(180_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});

describe('a forged “I have no slot of yours” to a restarted server', () => {
  const forgedNo = { status: 200, body: { enrolled: false, signature: `0x${'5a'.repeat(64)}` } };

  it('does not end the wait of the server', LONG, async () => {
    const { net, first } = await formedNetwork(806, 5);
    const clients = net.nodes.filter((node) => node !== first);
    net.world.wire.forge = ({ path }) => (path === '/server-restarted' ? forgedNo : undefined);
    // Its clients cannot come back either.
    for (const { name } of clients) net.world.wire.cut.add(`${name}>${first.endpoint}`);
    await restart(net, first);
    await net.settle(8_000);
    expect(first.serving?.formerClients.pending).toBe(clients.length);
    net.world.wire.cut.clear();
    await net.settle(20_000);
    expect(first.serving?.formerClients.pending).toBe(0);
    await endNetwork(net);
  });

  it('is ignored, but the signed answer of the client ends the wait permanently', LONG, async () => {
    const { net, first } = await formedNetwork(807, 8);
    await net.world.clock.until(first.kill());
    // All clients move to other servers while it is down.
    await net.settle(90_000);
    for (const [node, name] of net.nodes.map((machine) => [machine, machine.state.name] as const)) {
      if (node !== first) expect(name).toBe('backed');
    }
    first.start();
    await net.settle(5_000);
    const served = await first.open?.store.namespace('latchkey/served');
    expect(first.serving?.formerClients.pending).toBe(0);
    expect(served?.size).toBe(0);
    await endNetwork(net);
  });
});
