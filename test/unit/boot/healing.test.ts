import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { fileOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 60_000 };

const accountsOf = (file: KeyslotFile): string[] =>
  file.generations[0].slots.map(({ server }) => toHex(server));

describe('healing', () => {
  it('leaves a healthy generation alone', LONG, async () => {
    const { net, node, file } = await formedNetwork(601);
    const made = net.world.genuineQuotes.size;
    await net.settle(600_000);
    expect(await fileOf(node)).toEqual(file);
    expect(net.world.genuineQuotes.size).toBe(made);
    await endNetwork(net);
  });

  it(
    'makes a new generation when a server forgot its key: same servers, new slot ids, old keys given up',
    LONG,
    async () => {
      const { net, node, file, servers } = await formedNetwork(602);
      servers[2]?.memory?.wipe();
      await net.settle(40_000);
      const healed = await fileOf(node);
      expect(node.state.name).toBe('backed');
      expect(healed.generations).toHaveLength(1);
      expect(healed.generations[0].generation).toBeGreaterThan(file.generations[0].generation);
      // A server that still held a slot holds one again; only the place of the server that forgot may be another's now.
      const stayed = accountsOf(file).filter((account) => accountsOf(healed).includes(account));
      expect(stayed.length).toBeGreaterThanOrEqual(4);
      const old = new Set(file.generations[0].slots.map(({ slotId }) => toHex(slotId)));
      expect(healed.generations[0].slots.some(({ slotId }) => old.has(toHex(slotId)))).toBe(false);
      // The servers were told to erase the keys that no generation needs.
      for (const { slotId } of file.generations[0].slots) {
        for (const { keyServer } of servers) {
          expect(keyServer?.vault.find(file.account, slotId, net.world.clock.nowMs())).toBeUndefined();
        }
      }
      await endNetwork(net);
    },
  );

  it('does not replace enrolled servers by a new server on the chain', LONG, async () => {
    const { net, node, file } = await formedNetwork(603);
    for (let index = 0; index < 3; index++) {
      const late = net.addMachine();
      late.start();
      await net.world.clock.advance(4_000);
      await net.register(late);
    }
    await net.settle(60_000);
    expect(accountsOf(await fileOf(node))).toEqual(accountsOf(file));
    await endNetwork(net);
  });

  it('keeps the older generation until the newer one is complete', LONG, async () => {
    const { net, node, file, servers } = await formedNetwork(604, 6);
    // Three forget and two of them are gone: three can give keys, more than the two that live, fewer than n.
    for (const server of servers.slice(0, 3)) {
      await restart(net, server);
    }
    await net.world.clock.advance(500);
    for (const server of servers.slice(0, 2)) net.world.wire.misbehaviour.set(server.endpoint, 'hang');
    await net.settle(90_000);
    const between = await fileOf(node);
    expect(node.state).toMatchObject({ name: 'degraded', live: 3, n: 5, t: 3 });
    expect(between.generations.map(({ slots }) => slots.length)).toEqual([3, 5]);
    expect(between.generations[1]?.generation).toBe(file.generations[0].generation);
    net.world.wire.misbehaviour.clear();
    await net.settle(90_000);
    expect(node.state.name).toBe('backed');
    expect((await fileOf(node)).generations).toHaveLength(1);
    await endNetwork(net);
  });

  it('asks with growing pauses while too few servers are reachable', LONG, async () => {
    const { net, node, servers } = await formedNetwork(605, 6);
    for (const server of servers.slice(0, 3)) net.world.wire.misbehaviour.set(server.endpoint, 'hang');
    await net.settle(120_000);
    expect(node.state).toMatchObject({ name: 'degraded', live: 2 });
    const before = net.world.genuineQuotes.size;
    await net.settle(120_000);
    // At most one attempt per eight seconds and node, and none that is hopeless makes a quote.
    expect(net.world.genuineQuotes.size - before).toBeLessThan(6 * 15);
    await endNetwork(net);
  });

  it(
    'replaces a server that is silent for longer than the limit, not after a short outage',
    LONG,
    async () => {
      const { net, node, file, servers } = await formedNetwork(606);
      const silent = servers[1];
      net.world.wire.misbehaviour.set(silent?.endpoint ?? '', 'hang');
      await net.settle(9_000);
      net.world.wire.misbehaviour.clear();
      await net.settle(30_000);
      expect(accountsOf(await fileOf(node))).toEqual(accountsOf(file));
      net.world.wire.misbehaviour.set(silent?.endpoint ?? '', 'hang');
      await net.settle(60_000);
      expect(node.state.name).toBe('backed');
      expect(accountsOf(await fileOf(node))).not.toContain(
        toHex(silent?.open?.identity.account ?? new Uint8Array(0)),
      );
      await endNetwork(net);
    },
  );

  it('replaces a server after its record has left the chain', LONG, async () => {
    const { net, node, servers } = await formedNetwork(607);
    const gone = servers[0];
    if (gone !== undefined) net.deregister(gone);
    await net.settle(40_000);
    expect(node.state.name).toBe('backed');
    expect(accountsOf(await fileOf(node))).not.toContain(
      toHex(gone?.open?.identity.account ?? new Uint8Array(0)),
    );
    await endNetwork(net);
  });

  it('accepts no wrong key from the other servers after a recovery with t answers', LONG, async () => {
    const { net, node, servers } = await formedNetwork(608);
    for (const server of servers.slice(0, 2)) server.startLying();
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    // The new generation with the lying servers is good: they cannot deny a key that they have just given.
    await restart(net, node);
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    await endNetwork(net);
  });

  it('heals two nodes that lost each other’s keys', LONG, async () => {
    const { net, node } = await formedNetwork(609, 5);
    const other = net.nodes[1];
    node.memory?.wipe();
    other?.memory?.wipe();
    await net.settle(60_000);
    expect(net.nodes.map(({ state }) => state.name)).toEqual(Array(5).fill('backed'));
    await endNetwork(net);
  });
});
