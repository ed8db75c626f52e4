import { describe, expect, it } from 'vitest';
import { lastWriterOf } from '../../../src/boot/node/boot-record.ts';
import { InstanceId, type SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { Lineage } from '../../../src/lineage/lineage.ts';
import { responseMac } from '../../../src/protocol/mac.ts';
import {
  decodeKeyStatus,
  decodeServerState,
  type ServerState,
  serverStateBytes,
  serverStateToWire,
} from '../../../src/protocol/slot-messages.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { bootOf } from '../../support/lineages.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import type { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, keptSlots } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };
const refused = { status: 503, body: {} };

/** A copy of the lineage of a running node, for an enemy's or a clone's part. */
function lineageOfNode({ open }: SimulatedNode): Lineage {
  if (open === undefined) throw new Error('not open');
  return new Lineage(new SecretBytes(open.hold.lineage.secret.reveal()));
}

/** What the servers know of the lineage of a node's slots. */
const recordsOf = (servers: readonly SimulatedNode[], slotIds: readonly SlotId[]) =>
  servers.flatMap(({ memory }) =>
    [...(memory?.keys() ?? [])].flatMap(({ slotId, lineage }) =>
      lineage !== undefined && slotIds.some((id) => Buffer.from(id).equals(slotId)) ? [lineage] : [],
    ),
  );

/** Refuses some routes of a node at every server. */
function refuse(net: SimulatedNetwork, node: SimulatedNode, ...paths: readonly string[]): void {
  net.world.wire.forge = ({ from, path }) =>
    from === node.name && paths.includes(path) ? refused : undefined;
}

describe('a boot that opened its store', () => {
  it(
    'writes nothing and serves nobody before t servers show its mark; its first record says who it is',
    LONG,
    async () => {
      const { net, node } = await formedNetwork(901, 6);
      const before = node.open?.hold.incarnation.number ?? 0;
      await net.world.clock.until(node.stop());
      const written = node.disk.files();
      refuse(net, node, '/claim');
      node.start();
      await net.settle(10_000);
      expect(node.state).toMatchObject({ name: 'unclaimed', reason: expect.stringContaining('mark') });
      expect([node.open, node.serving]).toEqual([undefined, undefined]);
      const log = (path: string) => path.startsWith('/data/node/store/segment');
      for (const [path, bytes] of node.disk.files()) if (log(path)) expect(bytes).toEqual(written.get(path));
      net.world.wire.forge = () => undefined;
      await net.settle(20_000);
      expect(node.state.name).toBe('backed');
      const { open } = node;
      if (open === undefined) throw new Error('not open');
      const space = async (name: string) => await open.store.namespace(name);
      expect(await lastWriterOf(async (namespace, name) => (await space(namespace)).get(name))).toEqual(
        open.hold.incarnation,
      );
      expect(open.hold.incarnation.number).toBeGreaterThan(before);
      await endNetwork(net);
    },
  );

  it('is not held up by a server that hangs', LONG, async () => {
    const { net, node, servers } = await formedNetwork(902, 6);
    await net.world.clock.until(node.stop());
    for (const { endpoint } of servers.slice(3)) net.world.wire.misbehaviour.set(endpoint, 'hang');
    node.start();
    // The deadline of one request is two seconds.
    await net.world.clock.advance(1_000);
    expect(node.serving).toBeDefined();
    net.world.wire.misbehaviour.clear();
    await net.settle(20_000);
    await endNetwork(net);
  });

  it(
    'is closed again, and locked, when a newer head reaches a server after its grants; its mark is shown nowhere',
    LONG,
    async () => {
      const { net, node, file, servers } = await formedNetwork(903, 6);
      const lineage = lineageOfNode(node);
      const own = node.open?.hold.incarnation.number ?? 0;
      const records = recordsOf(
        servers,
        file.generations[0].slots.map(({ slotId }) => slotId),
      );
      await net.world.clock.until(node.stop());
      // Another instance goes on from a copy of the disk, while this one asks for its keys.
      const other = lineage.incarnation(own + 1, bootOf(9));
      let told = 0;
      net.world.wire.forge = ({ from, path }) => {
        if (from !== node.name || path !== '/reserve') return undefined;
        told++;
        for (const record of records) {
          record.show(other);
          record.deposit(other, lineage.head(other, 1, new Uint8Array(32)));
        }
        return undefined;
      };
      node.start();
      await net.world.clock.advance(900);
      expect(told).toBeGreaterThan(0);
      expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
      expect([node.open, node.serving]).toEqual([undefined, undefined]);
      for (const { facts } of records) expect(facts.shown).toEqual(other);
      const lock = await node.disk.lock('/data/node/store');
      expect(lock).toHaveProperty('release');
      if ('release' in lock) await lock.release();
      await net.close();
    },
  );

  it('of a command with few attempts closes the store when too few servers show its mark', LONG, async () => {
    const { net } = await formedNetwork(904, 5);
    const disk = new SimulatedDisk();
    {
      await using lone = await loneNode(net.world, { disk });
      expect(await net.world.clock.until(lone.node.unlockOnce(1))).toHaveProperty('identity');
    }
    for (const path of ['/reserve', '/claim']) {
      net.world.wire.forge = (request) =>
        request.from === 'lone' && request.path === path ? refused : undefined;
      await using lone = await loneNode(net.world, { disk, start: path.length });
      const outcome = await net.world.clock.until(lone.node.unlockOnce(1));
      expect('identity' in outcome ? 'unlocked' : outcome.name, path).toBe('unclaimed');
      const lock = await disk.lock('/data/node/store');
      expect(lock).toHaveProperty('release');
      if ('release' in lock) await lock.release();
    }
    await net.close();
  });
});

describe('a boot whose slots are lost before it holds', () => {
  it('makes new ones, holds by them, and is backed, when fewer than t are proved to live', LONG, async () => {
    const { net, node, file, newest, servers } = await formedNetwork(905, 6);
    await net.world.clock.until(node.stop());
    refuse(net, node, '/reserve');
    node.start();
    await net.world.clock.advance(3_000);
    expect(node.state.name).toBe('unclaimed');
    for (const { memory } of servers) {
      for (const { slotId } of newest.slots) memory?.forget(file.account, slotId);
    }
    net.world.wire.forge = () => undefined;
    await net.settle(40_000);
    expect(node.state.name).toBe('backed');
    const [present] = (await fileOf(node)).generations;
    expect(present.generation).toBeGreaterThan(newest.generation);
    expect(keptSlots(net, file, present)).toBe(5);
    await endNetwork(net);
  });

  it('makes none while its servers are only silent, for as long as that lasts', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(906, 9);
    await net.world.clock.until(node.stop());
    refuse(net, node, '/reserve');
    node.start();
    await net.world.clock.advance(3_000);
    expect(node.state.name).toBe('unclaimed');
    net.world.wire.forge = () => undefined;
    // It is cut off from those that hold its slots, and reaches enough others.
    for (const { endpoint } of servers) net.world.wire.misbehaviour.set(endpoint, 'hang');
    await net.settle(300_000);
    expect(node.state.name).toBe('unclaimed');
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    net.world.wire.misbehaviour.clear();
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('makes none when their servers only deny them without proof', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(907, 9);
    await net.world.clock.until(node.stop());
    refuse(net, node, '/reserve');
    node.start();
    await net.world.clock.advance(3_000);
    const denied = servers.map(({ endpoint }) => endpoint);
    net.world.wire.forge = ({ from, path, endpoint }) =>
      from === node.name && denied.includes(endpoint) && path !== '/attestation'
        ? { status: 404, body: { code: path.startsWith('/lineage') ? 'LINEAGE_UNKNOWN' : 'KEY_UNKNOWN' } }
        : undefined;
    await net.settle(120_000);
    expect(node.state.name).toBe('unclaimed');
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    net.world.wire.forge = () => undefined;
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});

describe('new slots', () => {
  it(
    'count only when they are linked: a server that confirms without linking gets no slot',
    LONG,
    async () => {
      const { net, node, newest, first } = await formedNetwork(908, 6);
      // The host drops every request that links; status requests of slots that are linked pass.
      net.world.wire.forge = ({ from, path, body }) =>
        from === node.name && path === '/key-status' && JSON.stringify(body).includes('"lineage"')
          ? refused
          : undefined;
      await net.world.clock.until(first.kill());
      first.start();
      await net.settle(60_000);
      expect(node.state.name).toBe('degraded');
      expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([
        newest.generation,
      ]);
      // Their keys are erased at the servers, too.
      const known = newest.slots.map(({ slotId }) => Buffer.from(slotId).toString('hex'));
      const account = node.open?.identity.account ?? new Uint8Array(0);
      const strays = net.nodes.flatMap(({ memory }) =>
        [...(memory?.keys() ?? [])].filter(
          (key) =>
            Buffer.from(key.account).equals(account) &&
            !known.includes(Buffer.from(key.slotId).toString('hex')),
        ),
      );
      expect(strays).toEqual([]);
      net.world.wire.forge = () => undefined;
      await net.settle(40_000);
      expect(node.state.name).toBe('backed');
      await endNetwork(net);
    },
  );

  it.each([
    {
      title: 'says that it did not link it',
      lie: (state: ServerState): ServerState =>
        state.lineage === undefined ? state : { ...state, lineage: { ...state.lineage, slots: [] } },
    },
    {
      title: 'proves its key as another process',
      lie: (state: ServerState): ServerState => ({
        ...state,
        instanceId: InstanceId.of(new Uint8Array(16).fill(9)),
      }),
    },
  ])('do not count when their server, under the MAC of the slot, $title', LONG, async ({ lie }) => {
    const { net, node, newest, first } = await formedNetwork(911, 6);
    net.world.wire.forge = ({ from, endpoint, path, body }) => {
      if (from !== node.name || endpoint !== first.endpoint || path !== '/key-status') return undefined;
      const request = decodeKeyStatus(body);
      const { account, name } = request.envelope;
      const key = first.memory?.find(account, name, net.world.clock.nowMs());
      const server = first.keyServer;
      if (server === undefined || key === undefined || request.content.lineage === undefined)
        return undefined;
      const { state } = decodeServerState(JSON.parse(JSON.stringify(server.keyStatus(body))));
      const told = lie(state);
      const mac = responseMac(key.key, 'key-status', request.mac, serverStateBytes(told));
      return { status: 200, body: JSON.parse(JSON.stringify(serverStateToWire(told, mac))) };
    };
    await restart(net, first);
    await net.settle(60_000);
    expect(node.state.name).toBe('degraded');
    expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([newest.generation]);
    net.world.wire.forge = () => undefined;
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it(
    'are given up, and the instance writes no more, when the answer to a link shows a newer mark',
    LONG,
    async () => {
      const { net, node, newest, servers, first } = await formedNetwork(909, 8);
      const lineage = lineageOfNode(node);
      const { open } = node;
      if (open === undefined) throw new Error('not open');
      // No other request may find it before.
      refuse(net, node, '/lineage-update', '/lineage-status');
      const newer = lineage.incarnation(open.hold.incarnation.number + 1, bootOf(9));
      const others = net.nodes.filter((other) => other !== node && !servers.includes(other));
      for (const { memory, keyServer } of others) {
        const account = keyServer?.identity.account;
        if (account === undefined) throw new Error('not serving');
        memory?.lineages
          .findOrMake(open.identity.account, lineage.keyOf(account), new Uint8Array(16).fill(3))
          .show(newer);
      }
      await net.world.clock.until(first.kill());
      await net.settle(60_000);
      expect(node.state).toMatchObject({ name: 'fenced', cause: 'newer-instance' });
      expect((await fileOf(node)).generations.map(({ generation }) => generation)).toEqual([
        newest.generation,
      ]);
      await expect(open.store.namespace('new')).rejects.toMatchObject({ code: 'NODE_FENCED' });
      await net.close();
    },
  );
});

describe('an older keyslot file that the host puts back beside the newer store', () => {
  it(
    'opens while its slots live; none of them is erased, and no number that was left behind comes again',
    LONG,
    async () => {
      const { net, node, newest, servers } = await formedNetwork(910, 7);
      // What the forming of the network left behind is erased first.
      await net.settle(30_000);
      expect(node.open?.older.generations).toEqual([]);
      const old = node.disk.files().get('/data/node/keyslots');
      // What is left behind is not erased, for as long as the host likes.
      refuse(net, node, '/lineage-update', '/forget');
      for (const server of servers.slice(0, 2)) {
        await restart(net, server);
        await net.settle(60_000);
        expect(node.state.name).toBe('backed');
      }
      const noted = node.open?.older.open.map(({ generation }) => generation);
      expect(noted).toEqual([newest.generation, newest.generation + 1]);
      await net.world.clock.until(node.stop());
      net.tampered.set(node, 'an older keyslot file');
      net.hostTouches(node);
      node.disk.tamper('/data/node/keyslots', old);
      node.start();
      await net.settle(90_000);
      expect(node.state.name).toBe('backed');
      const [made] = (await fileOf(node)).generations;
      expect(made.generation).toBeGreaterThan(newest.generation + 1);
      net.world.wire.forge = () => undefined;
      await net.settle(60_000);
      expect(node.state.name).toBe('backed');
      expect(node.open?.older.open).toEqual([]);
      await endNetwork(net);
    },
  );
});
