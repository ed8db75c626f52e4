import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { folderDigest, KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const LONG = { timeout: 60_000 };

async function network(seed: number, count: number): Promise<{ net: SimulatedNetwork; node: SimulatedNode }> {
  const net = new SimulatedNetwork(seed);
  await net.form(count);
  return { net, node: net.nodes[0] ?? net.addMachine() };
}

const reasonOf = ({ state }: SimulatedNode): string => ('reason' in state ? state.reason : '');

describe('the guardian', () => {
  it('continues unbacked when there is no server, and is backed when servers appear', LONG, async () => {
    const net = new SimulatedNetwork(401);
    const node = net.addMachine();
    node.start();
    await net.world.clock.advance(2_000);
    expect(node.state.name).toBe('unbacked');
    expect(node.open).toBeDefined();
    await net.register(node);
    for (let index = 0; index < 3; index++) net.addMachine().start();
    // They see one server, which is not enough, and wait for more servers for a while.
    await net.world.clock.advance(6_000);
    for (const other of net.nodes) await net.register(other);
    await net.settle(20_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });

  it('backs a new node before its folder is put into place, when there are servers', LONG, async () => {
    const { net } = await network(402, 4);
    const late = net.addMachine();
    late.start();
    await net.world.clock.advance(1_500);
    expect(late.state.name).toBe('backed');
    expect(late.disk.files().has(KEYSLOTS)).toBe(true);
    await net.close();
  });

  it('locks a node that was never backed and stopped: NODE_NEVER_BACKED, unchanged', LONG, async () => {
    const net = new SimulatedNetwork(403);
    const node = net.addMachine();
    node.start();
    await net.world.clock.advance(2_000);
    await net.world.clock.until(node.kill());
    const before = folderDigest(node);
    node.start();
    await net.settle(120_000);
    expect(node.state.name).toBe('locked');
    expect(reasonOf(node)).toContain('NODE_NEVER_BACKED');
    expect(folderDigest(node)).toBe(before);
    await net.close();
  });

  it('does not create a new node when another account is expected', LONG, async () => {
    const { net } = await network(404, 4);
    const empty = net.addMachine();
    empty.start(AccountId.of(new Uint8Array(32).fill(1)));
    await net.settle(60_000);
    expect(empty.state.name).toBe('locked');
    expect(reasonOf(empty)).toContain('NODE_MISSING');
    expect([...empty.disk.files().keys()]).toEqual([]);
    await net.close();
  });

  it('refuses and closes the store of another account than the expected one', LONG, async () => {
    const { net, node } = await network(405, 4);
    await net.world.clock.until(node.kill());
    const before = folderDigest(node);
    node.start(AccountId.of(new Uint8Array(32).fill(1)));
    await net.settle(20_000);
    expect(reasonOf(node)).toContain('NODE_ACCOUNT_MISMATCH');
    expect(node.open).toBeUndefined();
    expect(folderDigest(node)).toBe(before);
    // The lock of the store is free again, so the right configuration opens it.
    await net.world.clock.until(node.stop());
    node.start();
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    await net.close();
  });

  it('locks on a damaged keyslot file, and changes nothing', LONG, async () => {
    const { net, node } = await network(406, 4);
    await net.world.clock.until(node.kill());
    node.disk.tamper(KEYSLOTS, new TextEncoder().encode('{"format":"latchkey-keyslots"}'));
    const before = folderDigest(node);
    node.start();
    await net.settle(60_000);
    expect(reasonOf(node)).toContain('KEYSLOT_FILE_MALFORMED');
    expect(folderDigest(node)).toBe(before);
    await net.close();
  });

  it('does not open with the keyslot file of another node', LONG, async () => {
    const { net, node } = await network(407, 5);
    await net.world.clock.until(node.kill());
    const before = node.disk.files().get(KEYSLOTS);
    node.disk.tamper(KEYSLOTS, net.nodes[1]?.disk.files().get(KEYSLOTS));
    node.start();
    await net.settle(60_000);
    expect(node.open).toBeUndefined();
    expect(node.state.name).toBe('locked');
    node.disk.tamper(KEYSLOTS, before);
    await net.settle(20_000);
    expect(node.open).toBeDefined();
    expect(net.world.violations).toEqual([]);
    await net.close();
  });

  it('waits for a chain that cannot be read, without leaving half-made stores open', LONG, async () => {
    const { net } = await network(408, 4);
    net.world.chain.setAvailable(false);
    const late = net.addMachine();
    late.start();
    await net.settle(60_000);
    expect(late.open).toBeUndefined();
    net.world.chain.setAvailable(true);
    await net.settle(30_000);
    expect(late.state.name).toBe('backed');
    await net.close();
  });

  it('opens nothing after it is closed in the middle of an attempt', LONG, async () => {
    const { net, node } = await network(409, 5);
    await net.world.clock.until(node.kill());
    let stopping: Promise<void> | undefined;
    node.disk.inject(({ path }) => {
      if (path.startsWith('/data/node/store/')) stopping ??= node.stop();
      return undefined;
    });
    const { disk } = node;
    node.start();
    await net.world.clock.advance(10_000);
    expect(stopping).toBeDefined();
    await stopping;
    disk.inject(undefined);
    expect(node.open).toBeUndefined();
    // The store is not locked: the attempt that was under way did not open it after the close.
    const lock = await disk.lock('/data/node/store');
    expect('release' in lock).toBe(true);
    await net.close();
  });

  it(
    'leaves no store behind when it is stopped while it creates a node, and the next start creates another',
    LONG,
    async () => {
      const { net } = await network(410, 4);
      // Too few servers answer, so the first slots cannot be confirmed before it is stopped.
      for (const { endpoint } of net.nodes.slice(0, 3)) net.world.wire.misbehaviour.set(endpoint, 'hang');
      const late = net.addMachine();
      late.start();
      await net.world.clock.advance(1_000);
      expect(late.state.name).toBe('fresh');
      await net.world.clock.until(late.stop());
      expect(await late.disk.stat('/data/node')).toBeUndefined();
      net.world.wire.misbehaviour.clear();
      late.start();
      await net.settle(30_000);
      expect(late.state.name).toBe('backed');
      await net.close();
    },
  );
});
