import { describe, expect, it } from 'vitest';
import { endNetwork, formedNetwork } from '../../support/formed-network.ts';
import type { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };

const quotesOf = (net: SimulatedNetwork, node: SimulatedNode): number =>
  [...net.world.genuineQuotes.values()].filter((machine) => machine === node.name).length;

const stale = { status: 401, body: { code: 'TIMESTAMP_STALE', detail: 'the timestamp is 90 s off' } };

/** Wrong answers of `/key-status`, while the other routes of the server work. */
const halves: Readonly<Record<string, (net: SimulatedNetwork, server: SimulatedNode) => void>> = {
  'whose clock is wrong': (net, server) => {
    net.world.wire.forge = ({ endpoint, path }) =>
      endpoint === server.endpoint && path === '/key-status' ? stale : undefined;
  },
  'that hangs when a slot is to be proved': (net, server) => {
    net.world.wire.forge = ({ endpoint, path }) =>
      endpoint === server.endpoint && path === '/key-status' ? 'hang' : undefined;
  },
};

describe('a server that gives keys but never proves that it stored them', () => {
  it.each(Object.entries(halves))('%s: is replaced by other servers', LONG, async (_name, begin) => {
    const { net, node, newest, first } = await formedNetwork(871, 7);
    begin(net, first);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    const [healed] = (await fileOf(node)).generations;
    expect(machinesOf(net, healed)).not.toContain(first);
    expect(healed.generation - newest.generation).toBe(1);
    await endNetwork(net);
  });

  it('is tried with growing pauses when there is no other server', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(872, 6);
    halves['whose clock is wrong']?.(net, first);
    await net.settle(600_000);
    expect(node.state).toMatchObject({ name: 'degraded', live: 4, n: 5 });
    const [last] = (await fileOf(node)).generations;
    // One for every patience would be forty.
    expect(last.generation - newest.generation).toBeLessThanOrEqual(6);
    net.world.wire.forge = () => undefined;
    await net.settle(30_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('is replaced when another process than the issuing one proves the keys', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(873, 7);
    const instanceId = first.keyServer?.identity.instanceId ?? new Uint8Array(0);
    const [truth, other] = [instanceId.slice(), new Uint8Array(instanceId.length).fill(7)];
    net.world.wire.forge = ({ endpoint, path }) => {
      if (endpoint === first.endpoint) instanceId.set(path === '/key-status' ? other : truth);
      return undefined;
    };
    // What it issues from now on could never be confirmed.
    const restarted = machinesOf(net, newest)[1];
    await net.world.clock.until(restarted?.kill() ?? Promise.resolve());
    restarted?.start();
    await net.settle(90_000);
    expect(node.state.name).toBe('backed');
    expect(machinesOf(net, (await fileOf(node)).generations[0])).not.toContain(first);
    await endNetwork(net);
  });
});

describe('a backed node that needs more slots after a change on the chain', () => {
  it('tries to get them with growing pauses while a server refuses', LONG, async () => {
    const { net, node } = await formedNetwork(874, 5);
    const late = net.addMachine();
    late.start();
    await net.world.clock.advance(3_000);
    const refusal = { status: 403, body: { code: 'PLATFORM_LIMIT', detail: 'too many' } };
    net.world.wire.forge = ({ endpoint, path }) =>
      endpoint === late.endpoint && path === '/request-encryption-key' ? refusal : undefined;
    await net.register(late);
    await net.settle(60_000);
    expect(node.state).toMatchObject({ name: 'backed', n: 4 });
    const before = quotesOf(net, node);
    for (let second = 0; second < 120; second++) {
      node.nudge();
      await net.world.clock.advance(1_000);
    }
    // One for every second would be 120, and most keys of every one are thrown away.
    expect(quotesOf(net, node) - before).toBeLessThan(30);
    net.world.wire.forge = () => undefined;
    await net.settle(30_000);
    expect(node.state).toMatchObject({ name: 'backed', n: 5 });
    await endNetwork(net);
  });
});
