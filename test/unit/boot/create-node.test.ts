import { afterEach, describe, expect, it, vi } from 'vitest';
import { createIdentity, readIdentity } from '../../../src/boot/node/identity.ts';
import { SlotBook } from '../../../src/boot/node/slot-book.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import { firstIncarnation } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const LONG = { timeout: 60_000 };

describe('two processes that create a node in one folder at the same time', () => {
  it.each([0, 1, 40, 230, 600])('create exactly one node, the second %i ms later', LONG, async (laterMs) => {
    const net = new SimulatedNetwork(821);
    await net.form(4);
    const [one, two] = [net.addMachine(), net.addMachine()];
    two.disk = one.disk;
    const births = (): string[] =>
      [one, two].flatMap(({ events }) =>
        events.filter(({ event }) => event === 'node.created').map(({ fields }) => String(fields['account'])),
      );
    one.start();
    await net.world.clock.advance(laterMs);
    two.start();
    await net.settle(20_000);
    const [winner, other] = one.open === undefined ? [two, one] : [one, two];
    expect([winner.state.name, other.open]).toEqual(['backed', undefined]);
    expect(births()).toHaveLength(1);
    const account = toHex(winner.open?.identity.account ?? new Uint8Array(0));
    // No server keeps keys of a node that was never made.
    const served = new Set(
      net.nodes.flatMap(({ keyServer }) =>
        [...(keyServer?.vault.keys() ?? [])].map((key) => toHex(key.account)),
      ),
    );
    const known = net.nodes.flatMap(({ open }) => (open === undefined ? [] : [toHex(open.identity.account)]));
    expect([...served].filter((name) => !known.includes(name))).toEqual([]);
    // When the one that has it ends, the other takes the same node over.
    await net.world.clock.until(winner.stop());
    await net.settle(20_000);
    expect(toHex(other.open?.identity.account ?? new Uint8Array(1))).toBe(account);
    expect(births()).toHaveLength(1);
    expect(net.world.violations).toEqual([]);
    await net.close();
  });
});

afterEach(() => void vi.restoreAllMocks());

/** Every 32 bytes that a machine draws, as they were and as they are. */
function watchSecrets(machine: SimulatedNode): { readonly was: Uint8Array; readonly is: Uint8Array }[] {
  const drawn: { was: Uint8Array; is: Uint8Array }[] = [];
  const random = machine.random;
  Object.assign(machine, {
    random: (length: number) => {
      const is = random(length);
      if (length === 32) drawn.push({ was: is.slice(), is });
      return is;
    },
  });
  return drawn;
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

describe('the creation of a node that does not succeed', () => {
  const ends: Readonly<Record<string, (net: SimulatedNetwork, late: SimulatedNode) => Promise<void>>> = {
    'cannot be put into place': async (net, late) => {
      late.disk.inject(({ kind, path }) =>
        kind === 'rename' && path === '/data/node' ? { code: 'EIO' } : undefined,
      );
      late.start();
      await net.world.clock.advance(1_500);
      expect(late.events.map(({ event }) => event)).toContain('store.locked');
      await net.world.clock.until(late.stop());
    },
    'is stopped before all slots are confirmed': async (net, late) => {
      // One server never links its slot, so the node is never whole.
      net.world.wire.forge = ({ from, endpoint, path }) =>
        from === late.name && path === '/key-status' && endpoint === net.nodes[0]?.endpoint
          ? { status: 503, body: {} }
          : undefined;
      late.start();
      await net.world.clock.advance(1_500);
      expect([late.state.name, late.open]).toEqual(['degraded', undefined]);
      await net.world.clock.until(late.stop());
    },
  };

  it.each(Object.entries(ends))('leaves none of its keys in memory: %s', LONG, async (_how, end) => {
    const net = new SimulatedNetwork(822);
    await net.form(4);
    const late = net.addMachine();
    const drawn = watchSecrets(late);
    let account = '';
    net.world.wire.onExchange = ({ from, body }) => {
      const claimed = typeof body === 'object' && body !== null && 'accountId' in body && body.accountId;
      if (from === late.name && claimed && account === '') account = String(claimed);
    };
    const learnt = vi.spyOn(SlotBook.prototype, 'learn');
    await end(net, late);
    const seed = drawn.find(({ was }) => encodeSs58(sr25519PublicKey(was)) === account);
    expect(seed && isZero(seed.is)).toBe(true);
    // The store key is drawn before everything else.
    expect(drawn[0] && isZero(drawn[0].is)).toBe(true);
    const keys = learnt.mock.calls.map(([, key]) => key);
    expect(keys.length).toBeGreaterThan(2);
    for (const key of keys) expect(() => key.reveal()).toThrow('wiped');
    await net.close();
  });
});

describe('the creation of a node that is stopped', () => {
  it('leaves no key at its servers, not even one that was confirmed', LONG, async () => {
    const net = new SimulatedNetwork(823);
    await net.form(5);
    const late = net.addMachine();
    // One server never links its slot, so the node is never whole. It erases the key nevertheless.
    net.world.wire.forge = ({ from, endpoint, path }) =>
      from === late.name && path === '/key-status' && endpoint === net.nodes[0]?.endpoint
        ? { status: 503, body: {} }
        : undefined;
    late.start();
    await net.world.clock.advance(1_500);
    expect([late.state.name, late.open]).toEqual(['degraded', undefined]);
    const known = net.nodes.flatMap(({ open }) => (open === undefined ? [] : [toHex(open.identity.account)]));
    const keysOfOthers = () =>
      net.nodes.flatMap(({ keyServer }) =>
        [...(keyServer?.vault.keys() ?? [])].filter((key) => !known.includes(toHex(key.account))),
      ).length;
    expect(keysOfOthers()).toBeGreaterThan(2);
    await net.world.clock.until(late.stop());
    expect(keysOfOthers()).toBe(0);
    await net.close();
  });
});

describe('the identity of a node that is opened', () => {
  it('leaves no copy of its X25519 secret behind', async () => {
    const store = new MemoryStore();
    const made = await createIdentity(store, systemRandom, firstIncarnation);
    const namespace = await store.namespace('latchkey/identity');
    const given: Uint8Array[] = [];
    const get = async (name: string) => {
      const value = await namespace.get(name);
      if (value !== undefined) given.push(value);
      return value;
    };
    vi.spyOn(store, 'namespace').mockResolvedValue({ ...namespace, get });
    expect((await readIdentity(store)).account).toEqual(made.account);
    // The seed belongs to the identity, which wipes it when the node is closed.
    expect(given.map(isZero)).toEqual([false, true]);
  });
});
