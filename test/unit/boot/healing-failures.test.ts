import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { fileOf, keptSlots } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };

describe('a slot check that fails', () => {
  it('changes the state to degraded, and the next success changes it back to backed', LONG, async () => {
    const { net, node } = await formedNetwork(811, 4);
    const states: string[] = [];
    net.world.chain.setAvailable(false);
    await net.world.clock.advance(20_000);
    states.push(node.state.name);
    net.world.chain.setAvailable(true);
    await net.world.clock.advance(20_000);
    states.push(node.state.name);
    expect(states).toEqual(['degraded', 'backed']);
    await endNetwork(net);
  });
});

describe('a keyslot file that cannot be saved', () => {
  const steps = ['create', 'write', 'sync', 'rename', 'syncDirectory'] as const;

  it.each(steps)(
    'fails at %s: the node backs off, loses nothing, and is backed when the disk works again',
    LONG,
    async (step) => {
      const { net, node, file, servers } = await formedNetwork(812, 7);
      const key = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
      const code = step === 'write' ? 'ENOSPC' : 'EIO';
      node.disk.inject(({ kind, path }) =>
        kind === step && (path.startsWith('/data/node/keyslots') || path === '/data/node')
          ? { code }
          : undefined,
      );
      const quotes = (): number =>
        [...net.world.genuineQuotes.values()].filter((machine) => machine === node.name).length;
      const before = quotes();
      // Nothing of what is confirmed is withdrawn, so that the new generation itself cannot be saved.
      net.world.wire.misbehaviour.set(servers[0]?.endpoint ?? '', 'garbage');
      // After any number of requests for a check.
      for (let second = 0; second < 60; second++) {
        node.nudge();
        await net.world.clock.advance(1_000);
      }
      expect(node.state.name).toBe('degraded');
      // Without backing off it would be one a second, after the patience of a quarter of a minute.
      expect(quotes() - before).toBeGreaterThan(1);
      expect(quotes() - before).toBeLessThan(25);
      // The good slots are in both versions of the file.
      const [inForce] = (await fileOf(node)).generations;
      // Each attempt has a number of its own; one that was put in place and not made durable may be in force.
      expect(inForce.generation).toBeGreaterThanOrEqual(file.generations[0].generation);
      if (step !== 'syncDirectory') expect(inForce.generation).toBe(file.generations[0].generation);
      await restart(net, node);
      await net.settle(5_000);
      expect(toHex(node.open?.storeKey.reveal() ?? new Uint8Array(1))).toBe(key);
      await net.settle(30_000);
      expect(node.state.name).toBe('backed');
      expect((await fileOf(node)).generations).toHaveLength(1);
      await endNetwork(net);
    },
  );
});

describe('keys that are no longer needed', () => {
  it(
    'of the older generation are fetched after a restart, proved to their servers, and then forgotten',
    LONG,
    async () => {
      const { net, node, file, servers } = await formedNetwork(813, 6);
      for (const server of servers.slice(0, 3)) await restart(net, server);
      await net.world.clock.advance(500);
      for (const server of servers.slice(0, 2)) net.world.wire.misbehaviour.set(server.endpoint, 'hang');
      await net.settle(90_000);
      expect((await fileOf(node)).generations).toHaveLength(2);
      expect(keptSlots(net, file, file.generations[0])).toBe(2);
      await restart(net, node);
      await net.settle(3_000);
      expect(node.open?.book.slots().filter(({ slot }) => node.open?.book.keyOf(slot.slotId))).toHaveLength(
        5,
      );
      net.world.wire.misbehaviour.clear();
      await net.settle(90_000);
      expect(node.state.name).toBe('backed');
      expect((await fileOf(node)).generations).toHaveLength(1);
      expect(keptSlots(net, file, file.generations[0])).toBe(0);
      await endNetwork(net);
    },
  );

  it('are requested once at a time, also when a server hangs and the node checks often', LONG, async () => {
    const { net, node, servers } = await formedNetwork(816, 7);
    const [deaf, forgetful] = servers;
    let asked = 0;
    net.world.wire.forge = ({ from, endpoint, path }) => {
      if (path !== '/lineage-update' || endpoint !== deaf?.endpoint || from !== node.name) return undefined;
      asked++;
      return 'hang';
    };
    await restart(net, forgetful);
    for (let tenths = 0; tenths < 200; tenths++) {
      node.nudge();
      await net.world.clock.advance(100);
    }
    expect(asked).toBeGreaterThan(2);
    // One slot, and at most one request in two seconds; one for every check would be more than thirty.
    expect(asked).toBeLessThanOrEqual(11);
    await endNetwork(net);
  });

  it('are forgotten later by a server that was unreachable', LONG, async () => {
    const { net, node, file, servers } = await formedNetwork(814, 6);
    const [deaf, forgetful] = servers;
    net.world.wire.forge = ({ endpoint, path }) =>
      path === '/lineage-update' && endpoint === deaf?.endpoint ? { status: 503, body: {} } : undefined;
    await restart(net, forgetful);
    await net.settle(30_000);
    expect(node.state.name).toBe('backed');
    expect((await fileOf(node)).generations).toHaveLength(1);
    expect(keptSlots(net, file, file.generations[0])).toBe(1);
    net.world.wire.forge = () => undefined;
    await net.settle(20_000);
    expect(keptSlots(net, file, file.generations[0])).toBe(0);
    await endNetwork(net);
  });
});

describe('two generations that both have too few slots', () => {
  it('the generation that may still open the store is kept, not the one that cannot', LONG, async () => {
    const { net, node, file, servers } = await formedNetwork(815, 6);
    const key = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
    const [first, second, , ...unheard] = servers;
    for (const { endpoint } of unheard) net.world.wire.cut.add(`${node.name}>${endpoint}`);
    for (const _ of ['makes a second generation', 'kills it, and makes a third']) {
      await restart(net, first);
      await net.settle(40_000);
    }
    const [newest, older] = (await fileOf(node)).generations;
    expect(newest.slots).toHaveLength(3);
    expect(older?.generation).toBe(file.generations[0].generation);
    // Now the first generation is the only one that opens the store.
    await net.world.clock.until(node.kill());
    await restart(net, first);
    await restart(net, second);
    net.world.wire.cut.clear();
    node.start();
    await net.settle(5_000);
    expect(toHex(node.open?.storeKey.reveal() ?? new Uint8Array(1))).toBe(key);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});
