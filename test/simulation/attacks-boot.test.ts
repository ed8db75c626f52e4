import { describe, expect, it } from 'vitest';
import { KeyErasure } from '../../src/boot/heal/key-erasure.ts';
import { type HoldTarget, takeHold } from '../../src/boot/heal/take-hold.ts';
import { AccountHold } from '../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../src/boot/node/open-node.ts';
import type { HeldLineage, HeldSlot, PeerRecord } from '../../src/boot/peer/held-keys.ts';
import type { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { equalBytes } from '../../src/bytes/concat.ts';
import { AccountId, InstanceId, SlotId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../src/chain/chain-view.ts';
import { EvidenceError, ProblemError } from '../../src/errors/latchkey-error.ts';
import type { Incarnation, Reservation } from '../../src/lineage/incarnation.ts';
import { Lineage } from '../../src/lineage/lineage.ts';
import { lineageIdOf } from '../../src/lineage/lineage-key.ts';
import { type LineageFacts, NO_FACTS, reserve, show } from '../../src/lineage/rules.ts';
import { responseMac } from '../../src/protocol/mac.ts';
import {
  decodeKeyStatus,
  decodeServerState,
  serverStateBytes,
  serverStateToWire,
} from '../../src/protocol/slot-messages.ts';
import { formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import type { Exchange, WireObserver } from '../support/simulated-network-wire.ts';
import { fileOf } from '../support/slot-picture.ts';

const LONG = { timeout: 300_000 };

/** Nothing passes between this machine and the others, in either direction. */
function cutOff(net: SimulatedNetwork, node: SimulatedNode): void {
  for (const other of net.nodes.filter((candidate) => candidate !== node)) {
    net.world.wire.cut.add(`${node.name}>${other.endpoint}`);
    net.world.wire.cut.add(`${other.name}>${node.endpoint}`);
  }
}

/** Requests of a machine for these paths never reach these servers. */
function drop(
  net: SimulatedNetwork,
  node: SimulatedNode,
  paths: readonly string[],
  servers: readonly SimulatedNode[] = net.nodes,
  what: 'requests' | 'answers' = 'requests',
): void {
  for (const { endpoint } of servers)
    for (const path of paths) net.world.wire.dropped.add({ from: node.name, endpoint, path, what });
}

/** Calls back with every answer that reaches a machine. */
function onDelivered(net: SimulatedNetwork, node: SimulatedNode, tell: (exchange: Exchange) => void): void {
  const observer: WireObserver = {
    served: () => undefined,
    delivered: (exchange) => {
      if (exchange.from === node.name) tell(exchange);
    },
  };
  net.world.wire.observers.add(observer);
}

/** The number of the mark that an answer shows. */
function shownBy({ answer: { body } }: Exchange): number | undefined {
  if (typeof body !== 'object' || body === null || !('lineage' in body)) return undefined;
  const { lineage } = body;
  if (typeof lineage !== 'object' || lineage === null || !('incarnation' in lineage)) return undefined;
  return Number(lineage.incarnation);
}

/** The chain of a machine can be read no more; `how` makes the error. */
function breakChain(node: SimulatedNode, how: () => Error): () => void {
  const snapshot = node.chain.snapshot.bind(node.chain);
  node.chain.snapshot = async () => {
    throw how();
  };
  return () => {
    node.chain.snapshot = snapshot;
  };
}

describe('a boot that does not hold yet, whose servers have lost their memory', () => {
  it.each([
    { title: 'control: the chain is away', error: () => new ProblemError('CHAIN_UNAVAILABLE', 'away') },
    {
      title: 'the chain endpoint gives one bad proof',
      error: () => new EvidenceError('CHAIN_PROOF_INVALID', 'a bad proof'),
    },
  ])('keeps the only copy of the store key: $title', LONG, async ({ error }) => {
    const { net, node, servers } = await formedNetwork(2101);
    await net.witness.write(node);
    await net.settle(10_000);
    await net.world.clock.until(node.kill());
    drop(net, node, ['/reserve']);
    node.start();
    await net.settle(8_000);
    expect(node.state.name).toBe('unclaimed');
    for (const server of servers) {
      await restart(net, server);
      await net.settle(30_000);
    }
    const repair = breakChain(node, error);
    await net.settle(20_000);
    repair();
    net.world.wire.dropped.clear();
    await net.settle(120_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });
});

describe('an older instance that was shown a newer mark', () => {
  async function twins(seed: number) {
    const formed = await formedNetwork(seed);
    const { net, node, first } = formed;
    // The older instance waits an hour before it replaces a silent server, so that it does nothing but look.
    const { config } = net.world;
    const patient = { ...config, healing: { ...config.healing, patienceMs: 3_600_000 } };
    Object.assign(net.world, { config: patient });
    await restart(net, node);
    await net.settle(20_000);
    Object.assign(net.world, { config });
    await net.witness.write(node);
    const copy = net.addTwin(node);
    cutOff(net, node);
    copy.start();
    await net.settle(30_000);
    // The copy moves to the sixth server, which the older instance visits.
    await net.world.clock.until(first.kill());
    await net.settle(90_000);
    expect(copy.state.name).toBe('backed');
    expect(await net.witness.write(copy)).toBe(true);
    return { ...formed, copy };
  }

  it('by the answer to its visit: it stops then, and not at its next look', LONG, async () => {
    const { net, node } = await twins(2111);
    const own = node.open?.hold.incarnation.number ?? 0;
    let told = 0;
    onDelivered(net, node, (exchange) => {
      if ((shownBy(exchange) ?? 0) > own) told++;
    });
    drop(net, node, ['/key-status']);
    net.world.wire.cut.clear();
    for (let waited = 0; told === 0 && waited < 120_000; waited += 250) await net.world.clock.advance(250);
    expect(told).toBeGreaterThan(0);
    await net.world.clock.advance(250);
    expect(await net.witness.write(node)).toBe(false);
    await net.close();
  });

  it('stops writing although its host withholds the chain from then on', LONG, async () => {
    const { net, node } = await twins(2112);
    const own = node.open?.hold.incarnation.number ?? 0;
    let told = 0;
    onDelivered(net, node, (exchange) => {
      if ((shownBy(exchange) ?? 0) <= own) return;
      told++;
      if (told === 1) breakChain(node, () => new ProblemError('CHAIN_UNAVAILABLE', 'withheld'));
    });
    drop(net, node, ['/key-status']);
    net.world.wire.cut.clear();
    await net.settle(600_000);
    expect(told).toBeGreaterThan(0);
    expect(await net.witness.write(node)).toBe(false);
    await net.close();
  });

  it('by a grant alone, when all other answers are dropped', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2113);
    await net.witness.write(node);
    await net.settle(10_000);
    // It opens again without two of its servers, whose keys it does not know therefore.
    const late = servers.slice(3);
    for (const { endpoint } of late) net.world.wire.cut.add(`${node.name}>${endpoint}`);
    await restart(net, node);
    await net.settle(20_000);
    expect(await net.witness.write(node)).toBe(true);
    const copy = net.addTwin(node);
    cutOff(net, node);
    copy.start();
    await net.settle(30_000);
    expect(await net.witness.write(copy)).toBe(true);
    let grants = 0;
    onDelivered(net, node, ({ path, answer }) => {
      if (path === '/request-encryption-key' && answer.status === 200) grants++;
    });
    drop(net, node, ['/key-status', '/lineage-status', '/lineage-update']);
    for (const { endpoint } of late) net.world.wire.cut.delete(`${node.name}>${endpoint}`);
    await net.settle(60_000);
    expect(grants).toBeGreaterThan(0);
    expect(await net.witness.write(node)).toBe(false);
    await net.close();
  });
});

describe('a boot without its slots', () => {
  it('that is shown a newer head while it enrols does not go on elsewhere', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2121, 8);
    await net.witness.write(node);
    await net.settle(10_000);
    const copy = net.addTwin(node);
    drop(net, copy, ['/reserve', '/lineage-status']);
    copy.start();
    await net.settle(40_000);
    expect(copy.state.name).toBe('unclaimed');
    const number = node.open?.hold.incarnation.number ?? 0;
    // The copy has the older disk from here on.
    for (let count = 0; count < 5; count++) await net.witness.write(node);
    await net.settle(20_000);
    const sequence = node.open?.store.head().sequence ?? 0;
    await net.world.clock.until(node.kill());
    let toldHead = 0;
    onDelivered(net, copy, ({ answer: { body } }) => {
      const text = JSON.stringify(body);
      const head = /"head":\{"incarnation":(\d+),.*?"sequence":(\d+)/.exec(text);
      if (head !== null && Number(head[1]) === number && Number(head[2]) === sequence) toldHead++;
    });
    const [one, two, ...lost] = servers;
    if (one === undefined || two === undefined) throw new Error('five servers');
    for (const server of lost) {
      await restart(net, server);
      await net.settle(10_000);
    }
    net.world.wire.dropped.clear();
    drop(net, copy, ['/lineage-status', '/reserve'], [one, two]);
    await net.settle(120_000);
    expect(toldHead).toBeGreaterThan(0);
    expect(await net.witness.write(copy)).toBe(false);
    await net.close();
  });

  it('that learns of a newer head with the proof that its slots are gone does not go on', LONG, async () => {
    const { net, node, servers, first } = await formedNetwork(2123, 12);
    await net.witness.write(node);
    await net.settle(10_000);
    const copy = net.addTwin(node);
    drop(net, copy, ['/reserve', '/lineage-status', '/key-status']);
    copy.start();
    await net.settle(40_000);
    expect(copy.state.name).toBe('unclaimed');
    // The instance that holds moves on: new slots, the old ones forgotten, and records that the copy does not have.
    await net.world.clock.until(first.kill());
    await net.settle(90_000);
    expect(node.state.name).toBe('backed');
    for (let count = 0; count < 5; count++) await net.witness.write(node);
    await net.settle(30_000);
    const present = (await fileOf(node)).generations[0].slots;
    const knowing = net.nodes.filter(
      ({ open }) =>
        open !== undefined && present.some(({ server }) => equalBytes(server, open.identity.account)),
    );
    await net.world.clock.until(node.kill());
    // Each server gives one answer to `/lineage-status`; those that know more are not reached otherwise.
    net.world.wire.dropped.clear();
    drop(
      net,
      copy,
      ['/key-status', '/reserve', '/claim', '/lineage-update', '/challenge'],
      [...knowing, ...servers],
    );
    drop(
      net,
      copy,
      ['/lineage-status'],
      knowing.filter((server) => !servers.includes(server)),
    );
    const asked = new Map<string, number>();
    net.world.wire.forge = ({ from, endpoint, path }) => {
      if (from !== copy.name || path !== '/lineage-status') return undefined;
      asked.set(endpoint, (asked.get(endpoint) ?? 0) + 1);
      return (asked.get(endpoint) ?? 0) > 1 ? 'hang' : undefined;
    };
    let told = 0;
    onDelivered(net, copy, ({ path, answer }) => {
      if (path === '/lineage-status' && answer.status === 200) told++;
    });
    await net.settle(120_000);
    expect(told).toBeGreaterThan(0);
    expect(await net.witness.write(copy)).toBe(false);
    await net.close();
  });

  it('an instance that holds asks all servers before it makes anything new', LONG, async () => {
    const { net, node, servers, newest } = await formedNetwork(2122, 12);
    await net.witness.write(node);
    const copy = net.addTwin(node);
    cutOff(net, node);
    copy.start();
    await net.settle(30_000);
    for (const server of servers) server.drain();
    await net.settle(120_000);
    const moved = (await fileOf(copy)).generations[0].slots;
    expect(copy.state.name).toBe('backed');
    const isLeft = (server: SimulatedNode) =>
      !moved.some(
        (slot) => server.open !== undefined && equalBytes(slot.server, server.open.identity.account),
      );
    expect(servers.every(isLeft)).toBe(true);
    for (const server of servers) {
      await restart(net, server);
      await net.settle(20_000);
    }
    await net.settle(120_000);
    expect(servers.map(({ state }) => state.name)).toEqual(Array(5).fill('backed'));
    expect(servers.every(isLeft)).toBe(true);
    expect(await net.witness.write(copy)).toBe(true);
    // Nor does its visit of one server at a time tell it.
    drop(net, node, ['/lineage-update']);
    net.world.wire.cut.clear();
    let generations = 0;
    for (let waited = 0; waited < 120_000 && node.state.name !== 'fenced'; waited += 500) {
      await net.settle(500);
      generations = (node.open?.book.newest?.generation ?? 0) - newest.generation;
    }
    expect(node.state.name).toBe('fenced');
    expect(generations).toBe(0);
    await net.close();
  });
});

describe('a disk that fails', () => {
  it('once, at the boot record: the boot holds later all the same', LONG, async () => {
    const { net, node } = await formedNetwork(2131);
    await net.settle(10_000);
    await net.world.clock.until(node.kill());
    node.start();
    let isClaimed = false;
    let failed = 0;
    onDelivered(net, node, ({ path }) => {
      if (path === '/claim') isClaimed = true;
    });
    node.disk.inject(({ kind, path }) => {
      if (!isClaimed || failed > 0 || kind !== 'sync' || !path.includes('/store/')) return undefined;
      failed++;
      return { code: 'EIO' };
    });
    await net.settle(180_000);
    expect(failed).toBe(1);
    expect(node.state.name).toBe('backed');
    expect(await net.witness.write(node)).toBe(true);
    await net.close();
  });

  it('for the store alone: slots are still replaced, and the store key is not lost', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2132);
    await net.settle(10_000);
    node.disk.inject(({ kind, path }) =>
      kind === 'sync' && path.includes('/store/') ? { code: 'EIO' } : undefined,
    );
    expect(await net.witness.write(node)).toBe(false);
    for (const server of servers) {
      await restart(net, server);
      await net.settle(60_000);
    }
    node.disk.inject(undefined);
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });

  it('is full: slots are still replaced, and the store key is not lost', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2133);
    await net.settle(10_000);
    node.disk.inject(({ kind, path }) =>
      kind === 'write' && path.includes('/store/') ? { code: 'ENOSPC' } : undefined,
    );
    expect(await net.witness.write(node)).toBe(false);
    for (const server of servers) {
      await restart(net, server);
      await net.settle(60_000);
    }
    node.disk.inject(undefined);
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });
});

describe('a full disk of a boot that holds and has not written its first record', () => {
  it('does not cost the only copy of the store key', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2161);
    await net.settle(10_000);
    await net.world.clock.until(node.kill());
    drop(net, node, ['/reserve']);
    node.start();
    await net.settle(8_000);
    expect(node.state.name).toBe('unclaimed');
    for (const server of servers) {
      await restart(net, server);
      await net.settle(30_000);
    }
    node.disk.inject(({ kind, path }) =>
      kind === 'write' && path.startsWith('/data/node/') ? { code: 'ENOSPC' } : undefined,
    );
    net.world.wire.dropped.clear();
    await net.settle(60_000);
    node.disk.inject(undefined);
    await net.settle(120_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });

  it('since its first claim: slots are still replaced while servers restart', LONG, async () => {
    const { net, node, servers } = await formedNetwork(2162);
    await net.settle(10_000);
    await net.world.clock.until(node.kill());
    let isFull = false;
    node.disk.inject(({ kind, path }) =>
      isFull && kind === 'write' && path.includes('/store/') ? { code: 'ENOSPC' } : undefined,
    );
    onDelivered(net, node, ({ path }) => {
      if (path === '/claim') isFull = true;
    });
    node.start();
    await net.settle(20_000);
    for (const server of servers) {
      await restart(net, server);
      await net.settle(60_000);
    }
    node.disk.inject(undefined);
    await net.settle(120_000);
    expect(node.state.name).toBe('backed');
    await net.close();
  });
});

describe('a host that drops the answers to the links of new slots', () => {
  it.each([
    { title: 'and nothing else', others: [] },
    { title: 'and requests to forget', others: ['/forget'] },
    { title: 'and requests to forget and visits', others: ['/forget', '/lineage-update'] },
  ])('leaves no server behind that can never give a slot again: $title', LONG, async ({ others }) => {
    const { net, node, first } = await formedNetwork(2141, 6);
    drop(net, node, ['/key-status'], [first], 'answers');
    drop(net, node, others, [first]);
    await restart(net, first);
    const account = node.open?.identity.account ?? new Uint8Array();
    const keys = () =>
      [...(first.keyServer?.vault.keys() ?? [])].filter((key) => equalBytes(key.account, account)).length;
    await net.settle(1_200_000);
    const left = keys();
    net.world.wire.dropped.clear();
    await net.settle(300_000);
    expect({ left: left > 32, state: node.state.name, after: keys() }).toMatchObject({
      state: 'backed',
      after: 1,
    });
    await net.close();
  });
});

describe('a server that invents reservations', () => {
  const t = 3;
  const lineageOf = () => new Lineage(new SecretBytes(new Uint8Array(32).fill(5)));
  const account = AccountId.of(new Uint8Array(32));
  const targets: HoldTarget[] = [0, 1, 2, 3, 4].map((index) => ({
    peer: {
      account: AccountId.of(new Uint8Array(32).fill(index + 1)),
      x25519PublicKey: X25519PublicKey.of(new Uint8Array(32)),
      endpoint: `${index}`,
    },
    held: {
      account,
      slotId: SlotId.of(new Uint8Array(16).fill(index)),
      key: new SecretBytes(new Uint8Array(32)),
      observer: { observe: () => undefined },
    },
    generation: 1,
  }));

  /** Servers as the rules have them, of which some are down and some invent the highest number. */
  class Servers {
    readonly facts = new Map(targets.map(({ peer }) => [peer.endpoint, NO_FACTS]));
    down: readonly string[] = [];
    liars: readonly string[] = [];
    requests = 0;

    readonly client = {
      reserve: (peer: PeerRecord, _held: HeldSlot, wish: Reservation) =>
        this.#answer(peer, (facts) => reserve(facts, wish)),
      claim: (peer: PeerRecord, _held: HeldSlot, from: Incarnation) =>
        this.#answer(peer, (facts) => show(facts, from)),
    } as unknown as PeerClient;

    async #answer({ endpoint }: PeerRecord, change: (facts: LineageFacts) => LineageFacts) {
      this.requests++;
      if (this.down.includes(endpoint)) throw new Error('down');
      const facts = change(this.facts.get(endpoint) ?? NO_FACTS);
      this.facts.set(endpoint, facts);
      const lie = { number: Number.MAX_SAFE_INTEGER, boot: new Uint8Array(16).fill(9) };
      const reserved = this.liars.includes(endpoint) ? lie : facts.reserved;
      return { lineage: { ...facts, reserved, slots: [] } };
    }
  }

  it('while too few others answer does not keep later boots climbing for as long', LONG, async () => {
    const servers = new Servers();
    const quorum = { targets, thresholds: new Map([[1, t]]) };
    const never = new AbortController().signal;
    servers.liars = ['0'];
    servers.down = ['1', '2'];
    const first = new AccountHold(lineageOf(), new Uint8Array(8).fill(1));
    // Some half an hour at the pace of a guardian.
    for (let attempt = 0; attempt < 1_000; attempt++)
      expect(await takeHold(servers.client, first, quorum, never)).toBe(false);
    servers.liars = [];
    servers.down = [];
    const next = new AccountHold(lineageOf(), new Uint8Array(8).fill(2));
    let attempts = 1;
    while (attempts < 2_000 && !(await takeHold(servers.client, next, quorum, never))) attempts++;
    expect(attempts).toBeLessThanOrEqual(10);
  });
});

describe('former lineages of one server', () => {
  it('are closed each by itself, also when one of them cannot be', async () => {
    const secretOf = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
    const server = AccountId.of(new Uint8Array(32).fill(1));
    const account = AccountId.of(new Uint8Array(32).fill(2));
    const instanceId = InstanceId.of(new Uint8Array(16).fill(3));
    const record = {
      account: server,
      x25519PublicKey: X25519PublicKey.of(new Uint8Array(32)),
      endpoint: 'a:1',
    };
    const former = (byte: number) => ({
      secret: secretOf(byte),
      last: { number: 5, boot: new Uint8Array(8).fill(byte) },
      generations: [{ servers: [{ server, instanceId }], t: 1 }],
    });
    const asked = new Set<string>();
    const newer = new Lineage(secretOf(11)).incarnation(9, new Uint8Array(8).fill(9));
    const parts = {
      client: {
        lineageUpdate: async (_peer: unknown, { key, observer }: HeldLineage) => {
          asked.add(toHex(lineageIdOf(key)));
          // It knows of a newer instance under the first one, and so closes nothing.
          const lineage = { ...NO_FACTS, shown: newer, slots: [] };
          observer.observe(lineage);
          return { lineage };
        },
      },
      vetter: { platformOf: () => 'a platform' },
      clock: { nowMs: () => 0 },
      random: (length: number) => new Uint8Array(length),
      log: () => undefined,
      options: { retryMinMs: 0, retryMaxMs: 0 },
      onOvertaken: () => false,
    };
    const node = {
      identity: { account },
      hold: AccountHold.ofNewLineage(new Lineage(secretOf(13)), new Uint8Array(8)),
      store: { head: () => ({ sequence: 1, digest: new Uint8Array(32) }) },
      book: { has: () => false, slots: () => [] },
      older: {
        erasable: [],
        settle: async () => true,
        lineages: [former(11), former(12)],
        dropped: 0,
        noteChain: async () => true,
        accept: async () => true,
        erased: async () => true,
        closed: async () => true,
      },
    };
    const erasure = new KeyErasure(
      parts as unknown as ConstructorParameters<typeof KeyErasure>[0],
      node as unknown as OpenNode,
    );
    const snapshot = { servers: [record] } as unknown as ChainSnapshot;
    for (let tick = 0; tick < 5; tick++) {
      erasure.run(snapshot, { byServer: new Map(), isBacked: false }, new AbortController().signal);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const names = [11, 12].map((byte) => toHex(lineageIdOf(new Lineage(secretOf(byte)).keyOf(server))));
    expect(names.filter((name) => asked.has(name))).toEqual(names);
  });
});

describe('a server that shows a mark that its client never made', () => {
  it('costs, as the only other server, a generation only after growing pauses', LONG, async () => {
    const { net, node, newest, first } = await formedNetwork(2151, 6);
    net.world.wire.forge = ({ from, endpoint, path, body }) => {
      if (from !== node.name || endpoint !== first.endpoint || path !== '/key-status') return undefined;
      const request = decodeKeyStatus(body);
      const server = first.keyServer;
      const key = first.memory?.find(
        request.envelope.account,
        request.envelope.name,
        net.world.clock.nowMs(),
      );
      if (server === undefined || key === undefined || request.content.lineage !== undefined)
        return undefined;
      const { state } = decodeServerState(JSON.parse(JSON.stringify(server.keyStatus(body))));
      if (state.lineage === undefined) return undefined;
      const shown = { number: state.lineage.shown.number + 1, bootId: first.random(16) };
      const lie = { ...state, lineage: { ...state.lineage, shown } };
      const mac = responseMac(key.key, 'key-status', request.mac, serverStateBytes(lie));
      return { status: 200, body: JSON.parse(JSON.stringify(serverStateToWire(lie, mac))) };
    };
    await net.settle(1_200_000);
    const file = await fileOf(node);
    expect(file.generations[0].generation - newest.generation).toBeLessThanOrEqual(14);
    await net.close();
  });
});

describe('answers that come after a boot has ended', () => {
  it('are ignored: its keys are wiped by then', async () => {
    const ended = new Lineage(new SecretBytes(new Uint8Array(32).fill(3)));
    const hold = new AccountHold(ended, new Uint8Array(8).fill(1));
    let answer: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const facts: LineageFacts = show(NO_FACTS, ended.incarnation(9, new Uint8Array(8).fill(2)));
    const client = {
      reserve: async () => {
        await late;
        return { lineage: { ...facts, slots: [] } };
      },
    } as unknown as PeerClient;
    const target = { peer: undefined, held: undefined, generation: 1 } as unknown as HoldTarget;
    const quorum = { targets: [target], thresholds: new Map([[1, 1]]) };
    const taking = takeHold(client, hold, quorum, new AbortController().signal);
    ended.wipe();
    answer();
    expect(await taking).toBe(false);
  });
});
