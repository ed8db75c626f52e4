import { describe, expect, it } from 'vitest';
import { Renewal } from '../../../src/boot/heal/renewal.ts';
import { LINEAGE_NAMESPACE } from '../../../src/boot/node/boot-record.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { endNetwork, type FormedNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { VirtualClock } from '../../support/simulated-network-clock.ts';
import { fileOf, keptSlots } from '../../support/slot-picture.ts';

const LONG = { timeout: 120_000 };
/** Much longer than a check of all slots, which is made every 8 s. */
const EVERY_MS = 600_000;
const START_MS = 1_800_000_000_000;
/** A few checks. */
const CHECKS_MS = 60_000;

/** All nodes of the network renew their slots at this interval. */
const renewing = (seed: number, count: number, patienceMs = 15_000) =>
  formedNetwork(seed, count, undefined, ({ world }) => {
    const healing = { ...world.config.healing, patienceMs, renewEveryMs: EVERY_MS };
    Object.assign(world, { config: { ...world.config, healing } });
  });

const numberOf = (file: KeyslotFile): number => file.generations[0].generation;
const accountsOf = (file: KeyslotFile): string[] =>
  file.generations[0].slots.map(({ server }) => toHex(server)).sort();
/** Lets time pass until the newest generation of the node has another number; returns how long that took. */
async function untilRenewed({ net, node }: FormedNetwork, before: number, mostMs: number): Promise<number> {
  for (let passedMs = 0; passedMs <= mostMs; passedMs += 10_000) {
    if (numberOf(await fileOf(node)) !== before) return passedMs;
    await net.settle(10_000);
  }
  throw new Error(`still generation ${before} after ${mostMs} ms`);
}

/** Counts the challenges that the node asks for: an enrolment begins with them. */
function challengesOf({ net, node }: FormedNetwork): () => number {
  let count = 0;
  net.world.wire.observers.add({
    served: ({ from, path }) => {
      if (from === node.name && path === '/challenge') count++;
    },
    delivered: () => undefined,
  });
  return () => count;
}

describe('renewal of slots (V11)', () => {
  it(
    'V11 renews a healthy generation after the interval, not before: same servers, other keys',
    LONG,
    async () => {
      const formed = await renewing(621, 6);
      const { net, node } = formed;
      const before = numberOf(await fileOf(node));
      await net.settle(EVERY_MS - 2 * CHECKS_MS);
      expect(numberOf(await fileOf(node))).toBe(before);
      const old = await fileOf(node);
      await untilRenewed(formed, before, 2 * CHECKS_MS);
      await net.settle(CHECKS_MS);
      const renewed = await fileOf(node);
      expect(node.state).toMatchObject({ name: 'backed', live: 5, n: 5 });
      expect(renewed.generations).toHaveLength(1);
      expect(accountsOf(renewed)).toEqual(accountsOf(old));
      // The servers were told to erase the keys of the former generation.
      expect(keptSlots(net, old, old.generations[0])).toBe(0);
      // And once more after the same time: the interval begins again.
      await net.settle(EVERY_MS - 3 * CHECKS_MS);
      expect(numberOf(await fileOf(node))).toBe(numberOf(renewed));
      await untilRenewed(formed, numberOf(renewed), 3 * CHECKS_MS);
      await restart(net, node);
      await net.settle(CHECKS_MS);
      expect(node.state.name).toBe('backed');
      await endNetwork(net);
    },
  );

  it('V11 never renews without the setting', LONG, async () => {
    const { net, node, file } = await formedNetwork(622, 6);
    await net.settle(2 * EVERY_MS);
    expect(numberOf(await fileOf(node))).toBe(numberOf(file));
    await endNetwork(net);
  });

  it('V11 restarts make a renewal neither earlier nor later', LONG, async () => {
    const formed = await renewing(623, 6);
    const { net, node } = formed;
    const before = numberOf(await fileOf(node));
    // The node restarts every two minutes; its store remembers the age of its slots.
    for (let passedMs = 0; passedMs < EVERY_MS - 2 * CHECKS_MS; passedMs += 2 * CHECKS_MS) {
      await net.settle(2 * CHECKS_MS);
      expect(numberOf(await fileOf(node))).toBe(before);
      await restart(net, node);
    }
    await untilRenewed(formed, before, 3 * CHECKS_MS);
    const renewed = numberOf(await fileOf(node));
    for (let restarts = 0; restarts < 3; restarts++) {
      await restart(net, node);
      await net.settle(2 * CHECKS_MS);
      expect(numberOf(await fileOf(node))).toBe(renewed);
    }
    await endNetwork(net);
  });

  it('V11 asks for nothing while fewer than n servers could take part', LONG, async () => {
    const formed = await renewing(624, 6, 10 * EVERY_MS);
    const { net, node } = formed;
    const before = numberOf(await fileOf(node));
    const asked = challengesOf(formed);
    await net.settle(EVERY_MS - 2 * CHECKS_MS);
    net.world.wire.misbehaviour.set(formed.first.endpoint, 'hang');
    await net.settle(2 * EVERY_MS);
    expect(node.state).toMatchObject({ name: 'degraded', live: 4 });
    expect(numberOf(await fileOf(node))).toBe(before);
    expect(asked()).toBe(0);
    net.world.wire.misbehaviour.clear();
    await untilRenewed(formed, before, CHECKS_MS);
    await endNetwork(net);
  });

  it(
    'V11 keeps the generation when a server gives no new key, and does not ask again at once',
    LONG,
    async () => {
      const formed = await renewing(625, 6);
      const { net, node, first } = formed;
      const before = numberOf(await fileOf(node));
      const asked = challengesOf(formed);
      const path = '/request-encryption-key';
      net.world.wire.dropped.add({ from: node.name, endpoint: first.endpoint, path, what: 'requests' });
      for (let passedMs = 0; asked() === 0 && passedMs <= 2 * EVERY_MS; passedMs += CHECKS_MS)
        await net.settle(CHECKS_MS);
      const askedOnce = asked();
      expect(askedOnce).toBeGreaterThan(0);
      await net.settle(EVERY_MS - 2 * CHECKS_MS);
      expect(node.state).toMatchObject({ name: 'backed', live: 5 });
      expect(numberOf(await fileOf(node))).toBe(before);
      expect(asked()).toBe(askedOnce);
      net.world.wire.dropped.clear();
      await untilRenewed(formed, before, 5 * CHECKS_MS);
      await endNetwork(net);
    },
  );

  it(
    'V11 asks for new keys once in a while only, when its disk takes no new keyslot file',
    LONG,
    async () => {
      const formed = await renewing(626, 6);
      const { net, node } = formed;
      const before = numberOf(await fileOf(node));
      const asked = challengesOf(formed);
      node.disk.inject(({ kind, path }) =>
        kind === 'rename' && path.includes('keyslots') ? { code: 'EIO' } : undefined,
      );
      for (let passedMs = 0; asked() === 0 && passedMs <= 2 * EVERY_MS; passedMs += CHECKS_MS)
        await net.settle(CHECKS_MS);
      const askedOnce = asked();
      expect(askedOnce).toBeGreaterThan(0);
      await net.settle(EVERY_MS - 2 * CHECKS_MS);
      expect(asked()).toBe(askedOnce);
      expect(numberOf(await fileOf(node))).toBe(before);
      node.disk.inject(undefined);
      await untilRenewed(formed, before, 5 * CHECKS_MS);
      await net.settle(CHECKS_MS);
      expect(node.state).toMatchObject({ name: 'backed', live: 5 });
      await endNetwork(net);
    },
  );
});

describe('the age of a generation', () => {
  const renewalOf = (clock: Clock, store: MemoryStore) =>
    new Renewal({ clock, log: silentLog, renewEveryMs: EVERY_MS }, store);

  it('is not made younger by an older keyslot file', async () => {
    const clock = new VirtualClock(START_MS);
    const store = new MemoryStore();
    expect(await renewalOf(clock, store).isDue(7)).toBe(false);
    await clock.advance(EVERY_MS);
    expect(await renewalOf(clock, store.reopened()).isDue(6)).toBe(true);
    expect(await renewalOf(clock, store.reopened()).isDue(8)).toBe(false);
  });

  it('begins again when the clock is set back, or its record is none', async () => {
    const store = new MemoryStore();
    await renewalOf(new VirtualClock(START_MS), store).isDue(7);
    const back = new VirtualClock(START_MS - 10 * EVERY_MS);
    const renewal = renewalOf(back, store);
    expect(await renewal.isDue(7)).toBe(false);
    await back.advance(EVERY_MS);
    expect(await renewal.isDue(7)).toBe(true);
    const namespace = await store.namespace(LINEAGE_NAMESPACE);
    await namespace.put('newest-since', new Uint8Array(15));
    expect(await renewalOf(back, store).isDue(7)).toBe(false);
  });

  it('waits after an attempt that brought nothing, also when the clock is set back meanwhile', async () => {
    const monotonic = new VirtualClock(0);
    let wallMs = START_MS;
    const clock: Clock = {
      nowMs: () => wallMs + monotonic.nowMs(),
      monotonicMs: () => monotonic.nowMs(),
      sleep: (milliseconds, signal) => monotonic.sleep(milliseconds, signal),
    };
    const renewal = renewalOf(clock, new MemoryStore());
    // The host sets the clock ahead, and back during the wait.
    wallMs += 100 * EVERY_MS;
    await renewal.isDue(7);
    await monotonic.advance(EVERY_MS);
    expect(await renewal.isDue(7)).toBe(true);
    renewal.begins();
    expect(await renewal.isDue(7)).toBe(false);
    wallMs += 100 * EVERY_MS;
    expect(await renewal.isDue(7)).toBe(false);
    wallMs = START_MS;
    expect(await renewal.isDue(7)).toBe(false);
    await monotonic.advance(EVERY_MS);
    expect(await renewal.isDue(7)).toBe(true);
  });

  it('makes nothing due while it cannot be noted', async () => {
    const clock = new VirtualClock(START_MS);
    const store = new MemoryStore({
      beforeWrite: () => {
        throw new ProblemError('STORE_DISK_FULL', 'the disk is full');
      },
    });
    const renewal = renewalOf(clock, store);
    expect(await renewal.isDue(7)).toBe(false);
    await clock.advance(2 * EVERY_MS);
    expect(await renewal.isDue(7)).toBe(false);
  });
});
