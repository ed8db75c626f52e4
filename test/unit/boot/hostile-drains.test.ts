import { describe, expect, it } from 'vitest';
import { endNetwork, formedNetwork } from '../../support/formed-network.ts';
import type { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };

/** From now on these servers say at every `/key-status` that they drain, and still give keys. */
function lieAboutDraining(...servers: readonly SimulatedNode[]): (net: SimulatedNetwork) => void {
  return (net) => {
    net.world.wire.forge = ({ endpoint, path }) => {
      const liar = servers.find((server) => server.endpoint === endpoint);
      if (liar?.memory !== undefined) liar.memory.isDraining = path === '/key-status';
      return undefined;
    };
  };
}

describe('a hint that a server drains', () => {
  it('triggers a slot check only when it is forged', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(821, 7);
    const { wire, clock, config } = net.world;
    const transport = wire.transportFrom('a stranger');
    let asked = 0;
    wire.forge = ({ from, path }) => {
      if (from === node.name && path === '/key-status') asked++;
      return undefined;
    };
    const nonce = `0x${'05'.repeat(16)}`;
    const server = first.open?.identity.account;
    const body = { server: `0x${Buffer.from(server ?? []).toString('hex')}`, nonce };
    const seconds = 4;
    for (let at = 0; at < 100 * seconds; at++) {
      void transport.send(node.endpoint, '/server-draining', body, new AbortController().signal);
      await clock.advance(10);
    }
    const looks = asked / newest.slots.length;
    expect(looks).toBeGreaterThan(1);
    expect(looks).toBeLessThanOrEqual((1_000 * seconds) / config.healing.retryMinMs + 1);
    expect(node.state.name).toBe('backed');
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    await endNetwork(net);
  });

  it('does not start the next attempt earlier, unlike a hint about a restart', LONG, async () => {
    const { net, node, first } = await formedNetwork(822, 6);
    const { wire, clock, config } = net.world;
    const attempts: number[] = [];
    wire.forge = ({ from, endpoint, path }) => {
      if (endpoint !== first.endpoint || from !== node.name) return undefined;
      if (path === '/attestation') attempts.push(clock.nowMs());
      return { status: 500, body: {} };
    };
    await net.settle(60_000);
    expect(node.state.name).toBe('degraded');
    const transport = wire.transportFrom('a stranger');
    const account = first.open?.identity.account ?? [];
    const body = { server: `0x${Buffer.from(account).toString('hex')}`, nonce: `0x${'05'.repeat(16)}` };
    const quiet = attempts.length;
    for (let at = 0; at < 120; at++) {
      void transport.send(node.endpoint, '/server-draining', body, new AbortController().signal);
      await clock.advance(500);
    }
    const pauses = attempts.slice(quiet).map((atMs, index) => atMs - (attempts[quiet + index - 1] ?? 0));
    expect(pauses.length).toBeGreaterThan(2);
    // The pace itself, with all of its jitter.
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(config.healing.retryMaxMs / 2);
    const before = attempts.length;
    while (attempts.length === before) await clock.advance(500);
    // The attempt ends, and the pause after it begins.
    await clock.advance(1_000);
    const last = attempts.length;
    const restarted = { server: body.server, instanceId: `0x${'06'.repeat(16)}` };
    void transport.send(node.endpoint, '/server-restarted', restarted, new AbortController().signal);
    await clock.advance(1_500);
    expect(attempts.length).toBeGreaterThan(last);
    wire.forge = () => undefined;
    await net.settle(30_000);
    await endNetwork(net);
  });

  it(
    'in an answer without a valid MAC proves nothing, and the server of the slot counts as silent',
    LONG,
    async () => {
      const { net, node, newest, first } = await formedNetwork(823, 7);
      net.world.wire.forge = ({ endpoint, path }) => {
        const recorded = net.world.wire.recorded.findLast(
          (exchange) => exchange.endpoint === endpoint && exchange.path === '/key-status' && exchange.served,
        );
        if (endpoint !== first.endpoint || path !== '/key-status' || recorded === undefined) return undefined;
        return { status: 200, body: Object.assign({}, recorded.answer.body, { draining: true }) };
      };
      await net.settle(10_000);
      expect(node.state).toMatchObject({ name: 'degraded', live: 4 });
      expect(node.events.map(({ event }) => event)).not.toContain('server.draining');
      expect((await fileOf(node)).generations[0].generation).toBe(newest.generation);
      net.world.wire.forge = () => undefined;
      await net.settle(10_000);
      expect(node.state.name).toBe('backed');
      expect((await fileOf(node)).generations[0].generation).toBe(newest.generation);
      await endNetwork(net);
    },
  );
});

describe('a server that falsely claims to drain', () => {
  it('loses its slots once, without any other effect', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(831, 7);
    lieAboutDraining(first)(net);
    await net.settle(600_000);
    expect(node.state.name).toBe('backed');
    const [last] = (await fileOf(node)).generations;
    expect(last.generation - newest.generation).toBe(1);
    expect(machinesOf(net, last)).not.toContain(first);
    await endNetwork(net);
  });

  it('and changes its instance id is not replaced more often than other servers that lie', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(834, 7);
    const others = net.nodes.filter((other) => other !== node && !servers.includes(other));
    const liars = [...servers.slice(0, 1), ...others];
    lieAboutDraining(...liars)(net);
    const lie = net.world.wire.forge;
    net.world.wire.forge = (request) => {
      const liar = liars.find(({ endpoint }) => endpoint === request.endpoint);
      // Only this node's requests: else it would also change between a grant and the request that links the slot.
      if (request.path === '/request-encryption-key' && request.from === node.name)
        liar?.keyServer?.identity.instanceId.set(liar.random(16));
      return lie(request);
    };
    await net.settle(1_200_000);
    const [last] = (await fileOf(node)).generations;
    expect(last.generation - newest.generation).toBeLessThanOrEqual(14);
    await endNetwork(net);
  });

  it('keeps its slots when there is no other server, and causes no new generation', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(832, 6);
    lieAboutDraining(first)(net);
    await net.settle(600_000);
    expect(node.state).toMatchObject({ name: 'backed', live: 5 });
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    await endNetwork(net);
  });

  it('in turns with a second one causes new generations with growing pauses', LONG, async () => {
    // Two of the six others lie, and one of these two is always needed.
    const { net, node, newest, servers } = await formedNetwork(833, 7);
    const others = net.nodes.filter((other) => other !== node && !servers.includes(other));
    const liars = [...servers.slice(0, 1), ...others];
    expect(liars).toHaveLength(2);
    lieAboutDraining(...liars)(net);
    await net.settle(1_200_000);
    const [last] = (await fileOf(node)).generations;
    // One for every check would be more than a hundred.
    expect(last.generation - newest.generation).toBeGreaterThan(1);
    expect(last.generation - newest.generation).toBeLessThanOrEqual(14);
    expect(node.state).toMatchObject({ name: 'backed', live: 5 });
    await endNetwork(net);
  });
});
