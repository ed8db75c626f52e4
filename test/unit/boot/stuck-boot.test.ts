import { describe, expect, it, vi } from 'vitest';
import { Holder } from '../../../src/boot/heal/holder.ts';
import { explain } from '../../../src/boot/node/node-state.ts';
import { EvidenceError, ProblemError } from '../../../src/errors/latchkey-error.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';
import type { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const LONG = { timeout: 120_000 };
const refused = { status: 503, body: {} };
const stale = { status: 401, body: { code: 'TIMESTAMP_STALE', detail: 'the timestamp is 300 s off' } };

/** Refuses a path of a node at every server, and counts its requests by path. */
function countRefused(net: SimulatedNetwork, node: SimulatedNode, path: string): Map<string, number> {
  const counts = new Map<string, number>();
  net.world.wire.forge = (request) => {
    if (request.from !== node.name) return undefined;
    counts.set(request.path, (counts.get(request.path) ?? 0) + 1);
    return request.path === path ? refused : undefined;
  };
  return counts;
}

/** The node writes more, which reaches none of these servers, and is killed; the host puts an older disk back. */
async function rollBack(
  net: SimulatedNetwork,
  node: SimulatedNode,
  others: readonly SimulatedNode[],
  old: SimulatedDisk,
): Promise<void> {
  for (const { endpoint } of others) net.world.wire.cut.add(`${node.name}>${endpoint}`);
  for (let count = 0; count < 5; count++) await net.witness.write(node);
  await net.settle(20_000);
  await net.world.clock.until(node.kill());
  net.world.wire.cut.clear();
  net.tampered.set(node, 'an older disk');
  net.hostTouches(node);
  node.disk = old.afterKill();
}

const storeOf = ({ disk }: SimulatedNode) =>
  new Map([...disk.files()].filter(([path]) => path.startsWith('/data/node/')));

describe('a boot that is refused after its store was opened', () => {
  it('keeps the refusing head: its next attempts leave the disk as it is', LONG, async () => {
    const { net, node, servers } = await formedNetwork(921, 6);
    const [knowing, ...others] = servers;
    if (knowing === undefined) throw new Error('no server');
    await net.witness.write(node);
    await net.settle(10_000);
    const old = node.disk.clone();
    await rollBack(net, node, others, old);
    // That server gives its key late, and the mark of the boot is shown nowhere before.
    net.world.wire.delayMs.set(knowing.endpoint, 1_500);
    countRefused(net, node, '/claim');
    node.start();
    for (let waited = 0; node.state.name !== 'locked' && waited < 60; waited++) await net.settle(1_000);
    expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
    const files = storeOf(node);
    await net.settle(60_000);
    expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
    expect(node.events.filter(({ event }) => event === 'store.locked').length).toBeGreaterThan(2);
    expect(storeOf(node)).toEqual(files);
    await net.close();
  });
});

describe('a boot that a head refuses while its slots may be lost', () => {
  it('keeps its store open, unwritten and not served: the key may be nowhere else', LONG, async () => {
    const { net, node, servers } = await formedNetwork(924, 6);
    const [knowing, ...others] = servers;
    if (knowing === undefined) throw new Error('no server');
    await net.settle(10_000);
    const old = node.disk.clone();
    await rollBack(net, node, others, old);
    net.world.wire.cut.add(`${node.name}>${knowing.endpoint}`);
    countRefused(net, node, '/reserve');
    node.start();
    await net.settle(10_000);
    expect(node.state.name).toBe('unclaimed');
    const files = storeOf(node);
    for (const server of others) await restart(net, server);
    await net.settle(30_000);
    net.world.wire.cut.clear();
    net.world.wire.forge = () => undefined;
    await net.settle(60_000);
    expect(node.state).toMatchObject({
      name: 'unclaimed',
      cause: 'rolled-back',
      reason: expect.stringContaining('STORE_ROLLED_BACK'),
    });
    expect(explain(node.state)).toContain('Do not restart');
    expect([node.open, node.serving, await net.witness.write(node)]).toEqual([undefined, undefined, false]);
    expect(await node.disk.lock('/data/node/store')).not.toHaveProperty('release');
    expect(storeOf(node)).toEqual(files);
    await net.close();
  });
});

/** A machine whose disk is from before writes that one server alone knows of, and whose host has an even older disk. */
async function twiceRolledBack(seed: number) {
  const { net, node, servers } = await formedNetwork(seed, 6);
  const [knowing, ...others] = servers;
  if (knowing === undefined) throw new Error('no server');
  const oldest = node.disk.clone();
  await net.witness.write(node);
  await net.settle(20_000);
  const old = node.disk.clone();
  await rollBack(net, node, others, old);
  const first = node.disk.clone();
  net.world.wire.cut.add(`${node.name}>${knowing.endpoint}`);
  /** Under a process that has the store closed. */
  const putBack = (disk: SimulatedDisk): void => {
    for (const path of new Set([...node.disk.files().keys(), ...disk.files().keys()]))
      if (path.startsWith('/data/node/')) node.disk.tamper(path, disk.files().get(path));
  };
  return { net, node, others, oldest, first, putBack };
}

const rolledBack = { name: 'locked', cause: 'rolled-back' };

describe('a human who accepts the loss while the process runs', () => {
  it('keeps a key that is nowhere else: the process goes on, and makes new slots for it', LONG, async () => {
    const { net, node, others } = await twiceRolledBack(927);
    countRefused(net, node, '/reserve');
    node.start();
    await net.settle(10_000);
    expect(node.state.name).toBe('unclaimed');
    expect(() => node.acceptRollback()).toThrow(expect.objectContaining({ code: 'ROLLBACK_NOT_REFUSED' }));
    for (const server of others) {
      await restart(net, server);
      await net.settle(40_000);
    }
    net.world.wire.cut.clear();
    net.world.wire.forge = () => undefined;
    await net.settle(60_000);
    expect(node.state).toMatchObject({ name: 'unclaimed', cause: 'rolled-back' });
    node.acceptRollback();
    await net.settle(90_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });
});

describe('a process that was started to accept an older store', () => {
  it('accepts what it is shown at its first opening, and no later head', LONG, async () => {
    const { net, node } = await twiceRolledBack(925);
    countRefused(net, node, '/claim');
    node.acceptsOlderStore = true;
    node.start();
    await net.settle(10_000);
    expect(node.state.name).toBe('unclaimed');
    net.world.wire.cut.clear();
    await net.settle(30_000);
    expect(node.state).toMatchObject(rolledBack);
    net.world.wire.forge = () => undefined;
    await net.settle(30_000);
    expect(node.state).toMatchObject(rolledBack);
    node.acceptRollback();
    await net.settle(30_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });

  it('accepts no disk that the host rolls back further, and the accepted one again', LONG, async () => {
    const { net, node, oldest, first, putBack } = await twiceRolledBack(926);
    net.world.wire.cut.clear();
    countRefused(net, node, '/claim');
    node.acceptsOlderStore = true;
    node.start();
    await net.settle(10_000);
    expect(node.state.name).toBe('unclaimed');
    // The disk fails at the first record of this boot: the store is closed, and opened again.
    const isPoisoned = new EvidenceError('STORE_WRITE_FAILED', 'the disk failed');
    const begin = vi.spyOn(Holder.prototype, 'begin').mockRejectedValue(isPoisoned);
    net.world.wire.forge = () => undefined;
    for (let waited = 0; node.state.name !== 'locked' && waited < 60; waited++) await net.settle(500);
    begin.mockRestore();
    putBack(oldest);
    await net.settle(30_000);
    expect(node.state).toMatchObject(rolledBack);
    putBack(first);
    await net.settle(30_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });
});

describe('a boot that cannot hold its account', () => {
  it(
    'asks less and less often, and at once after a nudge; it says why, and what of the chain',
    LONG,
    async () => {
      const { net, node, servers } = await formedNetwork(922, 6);
      await net.world.clock.until(node.stop());
      const counts = countRefused(net, node, '/reserve');
      node.start();
      await net.settle(60_000);
      expect(node.state.name).toBe('unclaimed');
      counts.clear();
      await net.settle(60_000);
      // Five servers, asked twice in an attempt, one attempt in about eight seconds, and after each of two blocks.
      expect(counts.get('/reserve')).toBeLessThan(200);
      expect(counts.get('/lineage-status')).toBeLessThan(100);
      // Right after an attempt, the next one is some eight seconds away.
      counts.clear();
      while ((counts.get('/reserve') ?? 0) === 0) await net.world.clock.advance(100);
      await net.world.clock.advance(1_500);
      counts.clear();
      node.nudge();
      await net.world.clock.advance(1_500);
      expect(counts.get('/reserve') ?? 0).toBeGreaterThan(0);

      const liars = servers.slice(0, 3).map(({ endpoint }) => endpoint);
      net.world.wire.forge = ({ from, endpoint, path }) =>
        from === node.name && path === '/reserve' && liars.includes(endpoint) ? stale : undefined;
      await net.settle(20_000);
      expect(node.state).toMatchObject({ name: 'unclaimed', slots: { length: 5 } });
      const { reason } = node.state.name === 'unclaimed' ? node.state : { reason: '' };
      expect(reason).toMatch(/3 of 5 .*TIMESTAMP_STALE.*300 s.*clock/);
      expect(
        node.state.name === 'unclaimed' &&
          node.state.slots.filter(({ standing }) => typeof standing === 'object'),
      ).toHaveLength(3);

      const snapshot = node.chain.snapshot.bind(node.chain);
      node.chain.snapshot = async () => {
        throw new ProblemError('CHAIN_UNAVAILABLE', 'away');
      };
      await net.settle(20_000);
      expect(node.state).toMatchObject({
        name: 'unclaimed',
        cause: 'chain-unreachable',
        reason: expect.stringContaining('CHAIN_UNAVAILABLE'),
      });
      node.chain.snapshot = snapshot;
      net.world.wire.forge = () => undefined;
      await net.settle(30_000);
      expect(node.state.name).toBe('backed');
      await endNetwork(net);
    },
  );
});

describe('a boot whose clock is off by more than requests may be', () => {
  it.each([
    { title: 'ahead', skewMs: 300_000 },
    { title: 'behind, and no block comes', skewMs: -600_000 },
  ])('holds its account all the same: $title', LONG, async ({ skewMs }) => {
    const { net, node } = await formedNetwork(923, 6);
    await net.world.clock.until(node.stop());
    await net.world.clock.advance(200_000);
    node.clockSkewMs = skewMs;
    node.start();
    await net.world.clock.advance(30_000);
    expect(node.state.name).toBe('backed');
    // The operator sets the clock while the node runs.
    node.clockSkewMs = 0;
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});
