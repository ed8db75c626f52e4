import { describe, expect, it } from 'vitest';
import { explain, stateToJson, summarize } from '../../src/boot/node/node-state.ts';
import type { PlatformPolicy, TrustSection } from '../../src/trust/trust-section.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { HostMadeServer } from '../support/host-made-server.ts';
import { stealKeys } from '../support/platform-thief.ts';
import { listsOf } from '../support/platform-worlds.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';

const LONG = { timeout: 300_000 };

/** A platform on which no machine of the network runs. */
const EXTRACTED = 60;

const underRules = (platforms: Partial<PlatformPolicy>): TrustSection => ({
  ...defaultTrust,
  platforms: { recover: 'bound', servers: 'registered', clients: 'any', ...platforms },
});

/** Platforms of the machines of a network, which bear their numbers. */
const PLATFORMS = [1, 2, 3, 4, 5, 6, 7];

/** Endorses the platform of every machine of the network. */
function endorseAll({ world }: SimulatedNetwork): void {
  world.platformLists = listsOf(world.pki, { endorsed: PLATFORMS });
}

/** The thief registers two servers under new identities of the extracted platform; they run in no TD. */
function registerServers(net: SimulatedNetwork): readonly HostMadeServer[] {
  const { world, strangers } = net;
  const servers = [1, 2].map(
    (number) =>
      new HostMadeServer(world, number, (reportData) =>
        world.pki.quote({ reportData, platform: EXTRACTED, body: world.body }),
      ),
  );
  strangers.push(...servers.map((server) => server.record()));
  net.publish();
  return servers;
}

describe('a thief with the disk of a node, the network, and the attestation key of another machine', () => {
  it('without trust.platforms gets all keys', LONG, async () => {
    const { net, file, newest } = await formedNetwork(3101);
    expect(await stealKeys(net, file, EXTRACTED)).toEqual({ keys: newest.n, refusals: [] });
    await endNetwork(net);
  });

  it.each([
    { recover: 'bound', code: 'PLATFORM_REFUSED' },
    { recover: 'endorsed', code: 'PLATFORM_NOT_ENDORSED' },
  ] as const)('with recover: $recover gets none, whatever it asks', LONG, async ({ recover, code }) => {
    const { net, file, newest } = await formedNetwork(3102, 7, underRules({ recover }), endorseAll);
    for (const intent of ['recover', 'create'] as const) {
      const loot = await stealKeys(net, file, EXTRACTED, intent);
      expect(loot).toEqual({ keys: 0, refusals: Array(newest.n).fill(code) });
    }
    await endNetwork(net);
  });
});

describe('the same thief with servers of its own on that machine', () => {
  /** A node loses one of its servers, and only the thief's are left to take the slot. */
  async function afterLoss(seed: number, trust: TrustSection) {
    const formed = await formedNetwork(seed, 6, trust, endorseAll);
    const { net, node, first } = formed;
    const servers = registerServers(net);
    await net.world.clock.until(first.kill());
    await net.settle(90_000);
    expect(node.state.name).toBe('degraded');
    return { ...formed, servers };
  }
  const wasAsked = ({ asked }: HostMadeServer) => asked.includes('/request-encryption-key');

  it('servers: registered: it gets no key of the node, and is asked to hold a slot', LONG, async () => {
    const { net, file, servers } = await afterLoss(3111, underRules({}));
    expect((await stealKeys(net, file, EXTRACTED)).keys).toBe(0);
    expect(servers.some(wasAsked)).toBe(true);
    await net.close();
  });

  it('servers: endorsed: it gets no key and no slot', LONG, async () => {
    const { net, file, servers } = await afterLoss(3112, underRules({ servers: 'endorsed' }));
    expect((await stealKeys(net, file, EXTRACTED)).keys).toBe(0);
    expect(servers.map(wasAsked)).toEqual([false, false]);
    await net.close();
  });
});

describe('a thief with the attestation key of the platform of the node itself', () => {
  it(
    'gets all keys: only an endorsement of places answers an operator who taps the own machine',
    LONG,
    async () => {
      const trust = underRules({ servers: 'endorsed', clients: 'endorsed' });
      const { net, node, file, newest } = await formedNetwork(3121, 7, trust, endorseAll);
      expect((await stealKeys(net, file, node.platform)).keys).toBe(newest.n);
      await endNetwork(net);
    },
  );
});

describe('a node that is bound to its platform', () => {
  it('restarts there as before', LONG, async () => {
    const { net, node } = await formedNetwork(3131, 7, underRules({}));
    await restart(net, node);
    await net.settle(10_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it(
    'moves to another machine by a move alone, and the former machine gets nothing any more',
    LONG,
    async () => {
      const { net, node, newest } = await formedNetwork(3132, 7, underRules({}));
      const { world } = net;
      const account = node.open?.identity.account;
      if (account === undefined) throw new Error('the node is open');
      await net.witness.write(node);
      await net.settle(10_000);
      await world.clock.until(node.kill());
      const moved = net.addTwin(node);
      moved.start();
      await net.settle(20_000);
      expect(moved.state).toMatchObject({ name: 'locked', have: 0, need: newest.t });
      const standings = 'slots' in moved.state ? moved.state.slots.map(({ standing }) => standing) : [];
      expect(standings).toContainEqual(
        expect.objectContaining({
          code: 'PLATFORM_REFUSED',
          detail: expect.stringContaining('nobody can sign'),
        }),
      );
      world.platformLists = listsOf(world.pki, {
        moves: [{ account, from: node.platform, to: moved.platform }],
      });
      await net.settle(60_000);
      expect(moved.state.name).toBe('backed');
      expect(await net.witness.write(moved)).toBe(true);
      // The move is not needed any more, and the former platform is a stranger.
      world.platformLists = listsOf(world.pki, {});
      await restart(net, moved);
      node.start();
      await net.settle(40_000);
      expect(moved.state.name).toBe('backed');
      expect(node.state).toMatchObject({ name: 'locked', have: 0 });
      await endNetwork(net);
    },
  );
});

describe('a node whose slots are bound to another platform than its own', () => {
  it('says so while it is running', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(3135, 7, underRules({}));
    const { ppid } = net.world.pki.platform(EXTRACTED).facts;
    const nowMs = net.world.clock.nowMs();
    const account = node.open?.identity.account;
    for (const server of servers.slice(0, 2))
      for (const { slotId } of newest.slots)
        if (account) server.memory?.find(account, slotId, nowMs)?.bindTo(ppid);
    await net.settle(20_000);
    expect(summarize(node.state)).toContain('5 of 5 slots live, 3 needed; 2 bound to another platform');
    expect(explain(node.state)).toContain('latchkey fleet draft');
    const slots = stateToJson(node.state)['slots'];
    expect(Array.isArray(slots) && slots.filter((slot) => slot.isBoundElsewhere).length).toBe(2);
    await endNetwork(net);
  });
});

describe('servers on revoked platforms', () => {
  it('are replaced while the node runs', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(3141, 7, underRules({}));
    net.world.platformLists = listsOf(net.world.pki, { revoked: [first.platform] });
    await net.settle(120_000);
    expect(node.state.name).toBe('backed');
    const slots = node.open?.book.newest;
    expect(slots?.generation).toBeGreaterThan(newest.generation);
    const account = first.open?.identity.account;
    expect(slots?.slots.map(({ server }) => String(server))).not.toContain(String(account));
    await net.close();
  });

  it('all together open no store, and one honest slot more opens it', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(3142, 7, underRules({}));
    const platforms = servers.map(({ platform }) => platform);
    await net.world.clock.until(node.kill());
    net.world.platformLists = listsOf(net.world.pki, { revoked: platforms });
    node.start();
    await net.settle(30_000);
    expect(node.state).toMatchObject({ name: 'locked', have: 2, need: newest.t });
    net.world.platformLists = listsOf(net.world.pki, { revoked: platforms.slice(1) });
    await net.settle(60_000);
    expect(node.open).toBeDefined();
    await net.close();
  });
});

describe('servers on platforms that are not endorsed', () => {
  it(
    'count in part in a recovery, like revoked ones, and for nothing while the node runs',
    LONG,
    async () => {
      const { net, node, newest, servers } = await formedNetwork(
        3151,
        7,
        underRules({ servers: 'endorsed' }),
        endorseAll,
      );
      const { world } = net;
      const [lost, ...others] = servers.map(({ platform }) => platform);
      const endorsed = PLATFORMS.filter((platform) => platform !== lost);
      world.platformLists = listsOf(world.pki, { endorsed });
      await net.settle(120_000);
      expect(node.open?.book.newest?.generation).toBeGreaterThan(newest.generation);
      await world.clock.until(node.kill());
      // A list that ended, or that somebody forgot: two slots of five are not enough, and one endorsed server opens.
      world.platformLists = listsOf(world.pki, { endorsed: [] });
      node.start();
      await net.settle(30_000);
      expect(node.state).toMatchObject({ name: 'locked', have: 2 });
      world.platformLists = listsOf(world.pki, { endorsed: others.slice(0, 1) });
      await net.settle(60_000);
      expect(node.open).toBeDefined();
      await net.close();
    },
  );
});
