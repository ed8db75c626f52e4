import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedDisk } from '../support/simulated-disk.ts';
import { KEYSLOTS, type SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { fileOf } from '../support/slot-picture.ts';

const LONG = { timeout: 300_000 };

/** Lets a machine reach these servers only; nothing reaches the machine. */
function cutOff(net: SimulatedNetwork, node: SimulatedNode, reachable: readonly SimulatedNode[] = []): void {
  for (const other of net.nodes.filter((candidate) => candidate !== node)) {
    if (!reachable.includes(other)) net.world.wire.cut.add(`${node.name}>${other.endpoint}`);
    net.world.wire.cut.add(`${other.name}>${node.endpoint}`);
  }
}

/** Half a minute in which every store that takes writes is written to every two seconds. */
async function writeAWhile(net: SimulatedNetwork): Promise<void> {
  for (let seconds = 0; seconds < 30; seconds += 2) {
    await net.settle(2_000);
    await net.witness.writeAll();
  }
}

/** Of two instances the newer one writes, and the older one is fenced. */
async function expectOneWriter(
  net: SimulatedNetwork,
  older: SimulatedNode,
  newer: SimulatedNode,
): Promise<void> {
  expect(net.world.violations).toEqual([]);
  // The wire showed it to the older one: the invariant had something to say.
  expect(net.witness.hasNewerInstance(older)).toBe(true);
  expect(net.witness.mustStop(older)).toContain(`knows of ${newer.name}`);
  expect(await net.witness.write(newer)).toBe(true);
  expect(older.state.name).toBe('fenced');
  expect(await net.witness.write(older)).toBe(false);
  await endNetwork(net);
}

/** A machine that its host rolled back: it stays locked, and names the reason. */
async function expectRefused(net: SimulatedNetwork, node: SimulatedNode): Promise<void> {
  expect(net.world.violations).toEqual([]);
  expect(node.state.name === 'locked' && node.state.reason).toContain('STORE_ROLLED_BACK');
  expect(await net.witness.write(node)).toBe(false);
  await endNetwork(net);
}

describe('P1: at most one of two instances writes', () => {
  it(
    'a copy makes a new generation and has the old keys forgotten, then the paused node resumes',
    LONG,
    async () => {
      const { net, node, file, first } = await formedNetwork(1501);
      await net.witness.write(node);
      const copy = net.addTwin(node);
      cutOff(net, node);
      copy.start();
      await net.settle(30_000);
      // One server loses its memory, so the copy needs a new generation.
      await restart(net, first);
      await net.settle(60_000);
      expect(await net.witness.write(copy)).toBe(true);
      const [newest] = (await fileOf(copy)).generations;
      expect(newest.generation).toBeGreaterThan(file.generations[0].generation);
      net.world.wire.cut.clear();
      await writeAWhile(net);
      await expectOneWriter(net, node, copy);
    },
  );

  it(
    'without an attacker: a partition, a second start, and a rolling restart of the servers',
    LONG,
    async () => {
      const { net, node, servers } = await formedNetwork(1502);
      await net.witness.write(node);
      const copy = net.addTwin(node);
      cutOff(net, node);
      copy.start();
      await net.settle(30_000);
      for (const server of servers) {
        await restart(net, server);
        await net.settle(40_000);
      }
      expect(await net.witness.write(copy)).toBe(true);
      net.world.wire.cut.clear();
      await writeAWhile(net);
      await expectOneWriter(net, node, copy);
    },
  );
});

describe('P2: no acknowledged head is rolled back unnoticed', () => {
  /** A node that has written and made a new generation since its host took a copy of its disk; then it is killed. */
  async function afterNewGeneration(seed: number, dropped: boolean) {
    const formed = await formedNetwork(seed);
    const { net, node, first } = formed;
    await net.witness.write(node);
    await net.settle(10_000);
    const copy = node.disk.clone();
    if (dropped) {
      for (const { endpoint } of net.nodes)
        for (const path of ['/forget', '/lineage-update'])
          net.world.wire.dropped.add({ from: node.name, endpoint, path, what: 'requests' });
    }
    await restart(net, first);
    await net.settle(60_000);
    expect((await fileOf(node)).generations[0].generation).toBeGreaterThan(formed.newest.generation);
    await writeAWhile(net);
    await net.settle(20_000);
    expect(net.witness.serversTold(node)).toBeGreaterThanOrEqual(formed.newest.t);
    await net.world.clock.until(node.kill());
    net.world.wire.dropped.clear();
    return { ...formed, copy };
  }

  const pieces: readonly {
    readonly title: string;
    readonly diskOf: (current: SimulatedDisk, old: SimulatedDisk) => SimulatedDisk;
  }[] = [
    { title: 'old store and old keyslot file', diskOf: (_current, old) => old },
    {
      title: 'old store, current keyslot file',
      diskOf: (current, old) => {
        old.tamper(KEYSLOTS, current.files().get(KEYSLOTS));
        return old;
      },
    },
  ];

  it.each(pieces)('$title, whose servers were not asked to forget', LONG, async ({ diskOf }) => {
    const { net, node, copy } = await afterNewGeneration(1511, true);
    node.disk = diskOf(node.disk, copy).afterKill();
    node.start();
    await writeAWhile(net);
    await expectRefused(net, node);
  });

  it(
    'old keyslot file, current store, after the old keys were forgotten: closed and unharmed',
    LONG,
    async () => {
      const { net, node, copy } = await afterNewGeneration(1512, false);
      const current = node.disk.files().get(KEYSLOTS);
      node.disk.tamper(KEYSLOTS, copy.files().get(KEYSLOTS));
      node.start();
      await writeAWhile(net);
      expect(node.open).toBeUndefined();
      await net.world.clock.until(node.stop());
      node.disk.tamper(KEYSLOTS, current);
      node.start();
      await writeAWhile(net);
      expect(await net.witness.write(node)).toBe(true);
      await endNetwork(net);
    },
  );
});

/** Nodes that start from now on have this lease, if any, and by themselves look at their slots less often than that. */
function startUnderLease(net: SimulatedNetwork, leaseMs: number | undefined): void {
  const { config } = net.world;
  const { trust, healing } = config;
  const { fencing: _former, ...rest } = trust;
  const acceptedTrustHashes = [...trust.acceptedTrustHashes, toPrefixedHex(trustHash(trust))];
  const leased = {
    ...config,
    trust: { ...rest, acceptedTrustHashes, ...(leaseMs === undefined ? {} : { fencing: { leaseMs } }) },
    healing: { ...healing, ...(leaseMs === undefined ? {} : { intervalMs: 2 * leaseMs }) },
  };
  Object.assign(net.world, { config: leased });
}

/** In which seconds from now two instances of one account take a write. */
async function secondsOfWrites(
  net: SimulatedNetwork,
  older: SimulatedNode,
  newer: SimulatedNode,
  seconds: number,
): Promise<{ readonly older: readonly number[]; readonly newer: readonly number[] }> {
  const wrote = { older: [0], newer: [] as number[] };
  for (let second = 0; second < seconds; second++) {
    await net.settle(1_000);
    if (await net.witness.write(older)) wrote.older.push(second);
    if (await net.witness.write(newer)) wrote.newer.push(second);
  }
  return wrote;
}

describe('under a lease', () => {
  it('two instances that reach no common server never write at the same time', LONG, async () => {
    const { net, node } = await formedNetwork(1551);
    startUnderLease(net, 30_000);
    await restart(net, node);
    await net.settle(20_000);
    // The process before this one may still write, as far as this one can know.
    expect(node.state).toMatchObject({ name: 'unclaimed', reason: expect.stringContaining('lease') });
    await net.settle(20_000);
    expect(await net.witness.write(node)).toBe(true);
    await net.settle(180_000);
    expect(await net.witness.write(node)).toBe(true);
    const copy = net.addTwin(node);
    cutOff(net, node);
    copy.start();
    const wrote = await secondsOfWrites(net, node, copy, 90);
    expect(Math.max(...wrote.older)).toBeLessThanOrEqual(30);
    expect(Math.min(...wrote.newer)).toBeGreaterThan(Math.max(...wrote.older));
    expect(node.state).toMatchObject({ name: 'unclaimed', reason: expect.stringContaining('30 s') });
    net.world.wire.cut.clear();
    await writeAWhile(net);
    await expectOneWriter(net, node, copy);
  });

  it.each([
    ['a shorter one', 10_000],
    ['none', undefined],
  ])(
    'an instance of a former trust section writes no longer when the next one has %s',
    LONG,
    async (_lease, nextMs) => {
      const { net, node } = await formedNetwork(1553);
      startUnderLease(net, 60_000);
      await restart(net, node);
      await net.settle(120_000);
      expect(await net.witness.write(node)).toBe(true);
      startUnderLease(net, nextMs);
      const copy = net.addTwin(node);
      cutOff(net, node);
      copy.start();
      const wrote = await secondsOfWrites(net, node, copy, 120);
      expect(Math.min(...wrote.newer)).toBeGreaterThan(Math.max(...wrote.older));
      expect(wrote.newer.length).toBeGreaterThan(10);
      await endNetwork(net);
    },
  );

  it('an instance whose servers are away writes again by itself once they are back', LONG, async () => {
    const { net, node } = await formedNetwork(1552);
    startUnderLease(net, 30_000);
    await restart(net, node);
    await net.settle(60_000);
    cutOff(net, node);
    await net.settle(60_000);
    expect(await net.witness.write(node)).toBe(false);
    net.world.wire.cut.clear();
    await net.settle(40_000);
    expect(node.state.name).toBe('backed');
    expect(await net.witness.write(node)).toBe(true);
    await endNetwork(net);
  });
});

describe('P4: one server that knows of the newer instance is enough', () => {
  it('the older one reaches s0, s1, s2, and the newer one s2, s3, s4', LONG, async () => {
    const { net, node, servers } = await formedNetwork(1541);
    expect(servers).toHaveLength(5);
    await net.witness.write(node);
    const copy = net.addTwin(node);
    cutOff(net, node, servers.slice(0, 3));
    cutOff(net, copy, servers.slice(2, 5));
    copy.start();
    await writeAWhile(net);
    await expectOneWriter(net, node, copy);
  });
});
