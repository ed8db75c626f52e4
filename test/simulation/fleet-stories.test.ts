import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import type { Manifest } from '../../src/fleet/manifest.ts';
import type { TrustSection } from '../../src/trust/trust-section.ts';
import { accepting, FleetOperators, listOf, STORY_DELAY_MS, sectionUnder } from '../support/fleet-story.ts';
import { AuthorityWorld } from '../support/fleet-world.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { hashOf } from '../support/platform-worlds.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';

const LONG = { timeout: 300_000 };
const PLATFORMS = [1, 2, 3, 4, 5, 6, 7];
const authority = new AuthorityWorld('story');

/** Seven nodes under an authority, all backed, and their operators. */
async function fleetOf(
  seed: number,
  trust: TrustSection,
  first: (operators: FleetOperators, net: SimulatedNetwork) => Manifest | undefined = () => undefined,
) {
  let operators: FleetOperators | undefined;
  const formed = await formedNetwork(seed, 7, trust, (net) => {
    operators = new FleetOperators(net, authority);
    const manifest = first(operators, net);
    if (manifest !== undefined) operators.publish([manifest]);
  });
  if (operators === undefined) throw new TypeError('the network was prepared');
  return { ...formed, operators, sinceMs: formed.net.world.clock.nowMs() };
}

const happened = ({ events }: SimulatedNode, name: string): number =>
  events.filter(({ event }) => event === name).length;

/** Waits until the delay of what was just published is over at running nodes. */
const delay = (net: SimulatedNetwork): Promise<void> => net.settle(STORY_DELAY_MS + 30_000);

describe('a manifest with a mistake: the hash of the new section is wrong', () => {
  it('the node that upgraded is refused, and opens once a manifest has the right one', LONG, async () => {
    const [old, next, wrong] = [0, 1, 2].map((mark) => sectionUnder(authority, {}, mark)) as [
      TrustSection,
      TrustSection,
      TrustSection,
    ];
    const { net, node, operators, sinceMs } = await fleetOf(4101, old);
    operators.publish([operators.sign(accepting(sinceMs, old, wrong))]);
    await delay(net);
    node.trust = next;
    await restart(net, node);
    await net.settle(30_000);
    expect(node.state.name).toBe('locked');
    expect(JSON.stringify(node.state)).toContain('TRUST_SECTION_REFUSED');
    // The former section is the quickest way out, and always open.
    node.trust = old;
    await restart(net, node);
    await net.settle(30_000);
    expect(node.state.name).toBe('backed');
    operators.publish([operators.sign(accepting(sinceMs, old, next))]);
    await delay(net);
    node.trust = next;
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});

describe('a node that was down while the fleet moved on, node by node', () => {
  it(
    'stays locked when all its servers restarted meanwhile: the keys are gone, and custody is the way out',
    LONG,
    async () => {
      const [first, second, third] = [0, 1, 2].map((mark) => sectionUnder(authority, {}, mark)) as [
        TrustSection,
        TrustSection,
        TrustSection,
      ];
      const { net, node, operators, sinceMs } = await fleetOf(4111, first);
      const others = net.nodes.filter((one) => one !== node);
      await net.world.clock.until(node.kill());
      for (const [from, to] of [
        [first, second],
        [second, third],
      ] as const) {
        operators.publish([operators.sign(accepting(sinceMs, from, to))]);
        await delay(net);
        for (const other of others) {
          other.trust = to;
          await restart(net, other);
          await net.settle(40_000);
          expect(other.open).toBeDefined();
        }
      }
      operators.publish([operators.sign(accepting(sinceMs, third))]);
      await net.settle(20_000);
      // All others have restarted since, and a server that restarts has forgotten its keys.
      node.start();
      await net.settle(30_000);
      expect(node.state.name).toBe('locked');
      await net.close();
    },
  );
});

describe('endorsements that somebody forgot', () => {
  it('lock a node that restarts, and are given back without a delay', LONG, async () => {
    const trust = sectionUnder(authority, { servers: 'endorsed' });
    const sinceMs = Date.UTC(2026, 0, 1);
    const endorsed = (operators: FleetOperators, net: SimulatedNetwork, platforms: readonly number[]) =>
      operators.sign({}, { endorsed: listOf(net, sinceMs, platforms) });
    const { net, node, newest, operators } = await fleetOf(4121, trust, (signers, made) =>
      endorsed(signers, made, PLATFORMS),
    );
    await delay(net);
    operators.publish([endorsed(operators, net, [])]);
    await net.settle(20_000);
    await restart(net, node);
    await net.settle(30_000);
    expect(node.state).toMatchObject({ name: 'locked', have: newest.t - 1, need: newest.t });
    expect(JSON.stringify(node.state)).toContain('latchkey fleet draft');
    operators.publish([endorsed(operators, net, PLATFORMS)]);
    await net.settle(30_000);
    expect(node.open).toBeDefined();
    await delay(net);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});

describe('a platform that is gone for good', () => {
  it(
    'a move lets the node recover elsewhere, and what stays of it gives nothing to the former',
    LONG,
    async () => {
      const { net, node, operators } = await fleetOf(4131, sectionUnder(authority, { recover: 'bound' }));
      const account = node.open?.identity.account;
      if (account === undefined) throw new TypeError('the node is open');
      await net.world.clock.until(node.kill());
      const moved = net.addTwin(node);
      moved.start();
      await net.settle(20_000);
      expect(moved.state).toMatchObject({ name: 'locked', have: 0 });
      expect(JSON.stringify(moved.state)).toContain('trust.authority have to sign');
      const [from, to] = [node, moved].map(({ platform }) => toPrefixedHex(hashOf(net.world.pki, platform)));
      const move = { account: encodeSs58(account), from: from ?? '', to: to ?? '' };
      operators.publish([operators.sign({ moves: [move] })]);
      await net.settle(30_000);
      expect(moved.open).toBeUndefined();
      await delay(net);
      expect(moved.state.name).toBe('backed');
      // The move stays in the manifest by mistake: the former machine is a stranger nevertheless.
      await net.world.clock.until(moved.kill());
      node.start();
      await net.settle(30_000);
      expect(node.state).toMatchObject({ name: 'locked', have: 0 });
      await net.close();
    },
  );
});

describe('keys of the authority that are lost, below the threshold', () => {
  it('the handover lets the successor sign, after the delay', LONG, async () => {
    const [old, next] = [0, 1].map((mark) => sectionUnder(authority, {}, mark)) as [
      TrustSection,
      TrustSection,
    ];
    const { net, node, operators, sinceMs } = await fleetOf(4141, old);
    const successor = new AuthorityWorld('successor of the story');
    // Sealed away since the keys were made.
    const handover = authority.handover(successor.authority);
    operators.follow(successor);
    const first = operators.sign(accepting(sinceMs, old, next), {}, handover);
    operators.publish([handover, first]);
    await net.settle(20_000);
    expect(node.fleet?.granting().trustHashes).toEqual([]);
    // The handover, and then what the successor permits.
    await delay(net);
    await delay(net);
    node.trust = next;
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });

  it('a handover by stolen keys is stopped by another one, and the owner goes on', LONG, async () => {
    const [old, next] = [0, 1].map((mark) => sectionUnder(authority, {}, mark)) as [
      TrustSection,
      TrustSection,
    ];
    const { net, node, operators, sinceMs } = await fleetOf(4142, old);
    const handoverTo = (name: string): Manifest => authority.handover(new AuthorityWorld(name).authority);
    const [stolen, own] = [handoverTo('thief'), handoverTo('owner')];
    operators.publish([stolen]);
    await net.settle(20_000);
    operators.publish([stolen, own, operators.sign(accepting(sinceMs, old, next))]);
    await delay(net);
    node.trust = next;
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});

describe('a node whose sources show an older manifest than its store remembers', () => {
  /** One machine knows two manifests, its servers the first one alone; then it restarts, and is shown what they know. */
  async function behind(
    seed: number,
    second: (operators: FleetOperators, net: SimulatedNetwork) => Manifest,
    beforeStart: (node: SimulatedNode, net: SimulatedNetwork) => void = () => undefined,
  ) {
    const trust = sectionUnder(authority, { servers: 'endorsed' });
    const sinceMs = Date.UTC(2026, 0, 1);
    const fleet = await fleetOf(seed, trust, (signers, made) =>
      signers.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS) }),
    );
    const { net, node, operators } = fleet;
    await delay(net);
    const before = net.world.manifestsFor('') ?? '';
    net.world.hidesManifests = (machine) => (machine === node.name ? undefined : before);
    operators.publish([second(operators, net)]);
    await delay(net);
    net.world.hidesManifests = () => before;
    await net.world.clock.until(node.kill());
    beforeStart(node, net);
    node.start();
    await net.settle(60_000);
    return fleet;
  }
  const sinceMs = Date.UTC(2026, 0, 1);

  it('closes the store and opens it again by the newer one', LONG, async () => {
    const { net, node } = await behind(4151, (operators, made) =>
      operators.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS.slice(0, 6)) }),
    );
    expect([happened(node, 'fleet.was-behind'), happened(node, 'node.begins-again')]).toEqual([1, 1]);
    expect(node.open).toBeDefined();
    expect(node.fleet?.asking().endorsed).toHaveLength(6);
    await net.close();
  });

  it('waits until its memory can be read, where the host fails the reads of its disk', LONG, async () => {
    // From the moment at which the store is open.
    let failing = 0;
    const { net, node } = await behind(
      4154,
      (operators, made) => operators.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS.slice(0, 6)) }),
      (booting, { world }) => {
        booting.disk.inject(({ kind }) => {
          const nowMs = world.clock.nowMs();
          if (booting.state.name === 'unclaimed' && failing === 0) failing = nowMs + 20_000;
          return kind === 'read' && nowMs < failing ? { code: 'EIO' } : undefined;
        });
      },
    );
    expect(happened(node, 'rules.not-read')).toBeGreaterThan(0);
    expect(node.open).toBeDefined();
    expect(happened(node, 'fleet.was-behind')).toBe(1);
    expect(node.fleet?.granting().endorsed).toHaveLength(6);
    await net.close();
  });

  it('keeps it open where the newer one could not open it again', LONG, async () => {
    const { net, node } = await behind(4152, (operators, made) =>
      operators.sign({}, { endorsed: listOf(made, sinceMs, []) }),
    );
    expect([happened(node, 'fleet.was-behind'), happened(node, 'node.begins-again')]).toEqual([1, 0]);
    expect(node.open).toBeDefined();
    await net.close();
  });
});

describe('a host that withholds the manifest which servers announce', () => {
  it(
    'does not lock its node: the one before opens the store, whose memory is believed from then on',
    LONG,
    async () => {
      const trust = sectionUnder(authority, { servers: 'endorsed' });
      const sinceMs = Date.UTC(2026, 0, 1);
      const { net, node, operators } = await fleetOf(4153, trust, (signers, made) =>
        signers.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS) }),
      );
      await delay(net);
      const before = net.world.manifestsFor('') ?? '';
      operators.publish([operators.sign({}, { endorsed: listOf(net, sinceMs, PLATFORMS.slice(0, 6)) })]);
      await delay(net);
      net.world.hidesManifests = (machine) => (machine === node.name ? before : undefined);
      await restart(net, node);
      await net.settle(120_000);
      expect(node.state.name).toBe('backed');
      expect(node.fleet?.asking().endorsed).toHaveLength(6);
      await endNetwork(net);
    },
  );

  it(
    'of a new serial: what it revokes counts for a node that was off once it is there, and new trust waits',
    LONG,
    async () => {
      const trust = sectionUnder(authority, { servers: 'endorsed' });
      const sinceMs = Date.UTC(2026, 0, 1);
      const { net, node, operators } = await fleetOf(4154, trust, (signers, made) =>
        signers.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS) }),
      );
      await delay(net);
      const before = net.world.manifestsFor('') ?? '';
      await net.world.clock.until(node.kill());
      operators.publish([operators.sign({}, { endorsed: listOf(net, sinceMs, PLATFORMS.slice(0, 6)) })]);
      await delay(net);
      net.world.hidesManifests = (machine) => (machine === node.name ? before : undefined);
      node.start();
      await net.settle(60_000);
      expect(node.open).toBeDefined();
      expect(node.fleet?.report()).toMatchObject({ manifest: { serial: 1 }, awaited: { serial: 2 } });
      net.world.hidesManifests = () => undefined;
      await net.settle(60_000);
      expect(node.fleet?.report().awaited).toBeUndefined();
      expect(node.fleet?.asking().endorsed).toHaveLength(6);
      await endNetwork(net);
    },
  );
});

describe('sources that are silent for long', () => {
  it('change nothing that is in force; a node that restarts learns it from its servers', LONG, async () => {
    const trust = sectionUnder(authority, { servers: 'endorsed' });
    const sinceMs = Date.UTC(2026, 0, 1);
    const { net, node } = await fleetOf(4161, trust, (signers, made) =>
      signers.sign({}, { endorsed: listOf(made, sinceMs, PLATFORMS) }),
    );
    await delay(net);
    net.world.manifestsFor = () => undefined;
    await net.settle(600_000);
    expect(node.state.name).toBe('backed');
    await restart(net, node);
    await net.settle(40_000);
    expect(node.state.name).toBe('backed');
    await endNetwork(net);
  });
});
