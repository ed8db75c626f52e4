import { afterEach, beforeEach, expect, it } from 'vitest';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const LONG = { timeout: 600_000 };
const HOUR_MS = 3_600_000;
const refused = { status: 503, body: {} };
let net: SimulatedNetwork;
beforeEach(async () => {
  net = new SimulatedNetwork(914);
  await net.form(5);
}, 300_000);
afterEach(async () => {
  await net.close();
}, 300_000);

async function backedNode(disk: SimulatedDisk, start: number): Promise<LoneNode> {
  const lone = await loneNode(net.world, { disk, start });
  await lone.node.start();
  for (let waited = 0; lone.node.state.name !== 'backed'; waited += 250) {
    if (waited > 300_000) throw new Error('it never came');
    await net.world.clock.advance(250);
  }
  return lone;
}

const openOf = ({ node }: LoneNode) => {
  if (node.open === undefined) throw new Error('closed');
  return node.open;
};

/** The keys of a node that servers hold. */
const heldFor = (account: Uint8Array): readonly string[] =>
  net.nodes.flatMap(({ keyServer }) =>
    [...(keyServer?.vault.keys() ?? [])].flatMap((key) =>
      toHex(key.account) === toHex(account) ? [toHex(key.slotId)] : [],
    ),
  );

async function codeOf(rotation: Promise<number>): Promise<string> {
  return await net.world.clock.until(rotation).then(
    () => 'rotated',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  );
}

it(
  'a power cut before the keyslot file has the new slots leaves none of them at the servers',
  LONG,
  async () => {
    const cut = await backedNode(new SimulatedDisk(), 1);
    const { account } = openOf(cut).identity;
    const before = heldFor(account);
    let isCut = false;
    cut.disk.inject(({ path, step }) => {
      if (!path.endsWith('keyslots.new')) return undefined;
      isCut = true;
      cut.disk.cutAt(step);
      // The process is dead from here on.
      for (const { endpoint } of net.nodes) net.world.wire.cut.add(`lone>${endpoint}`);
      return undefined;
    });
    await codeOf(cut.node.rotateStoreKey());
    const after = cut.disk.afterPowerCut('kept', 1);
    await cut.node.close().catch(() => undefined);
    await net.world.clock.advance(30_000);
    net.world.wire.cut.clear();
    expect(isCut).toBe(true);
    expect(heldFor(account)).toHaveLength(2 * before.length);
    const again = await backedNode(after, 2);
    await net.world.clock.advance(HOUR_MS);
    for (const { memory } of net.nodes) memory?.sweep(net.world.clock.nowMs());
    const own = openOf(again)
      .book.slots()
      .map(({ slot }) => toHex(slot.slotId));
    expect([...heldFor(account)].sort()).toEqual(own.sort());
    await again[Symbol.asyncDispose]();
    await Promise.resolve(cut[Symbol.asyncDispose]()).catch(() => undefined);
  },
);

it('the new slots are kept beyond their first hour before the store key changes', LONG, async () => {
  await using lone = await backedNode(new SimulatedDisk(), 1);
  const { account } = openOf(lone).identity;
  const former = new Set(heldFor(account));
  let confirmed = 0;
  lone.disk.inject(({ kind, path }) => {
    if (kind !== 'rename' || !path.endsWith('/store/MANIFEST')) return undefined;
    confirmed = net.nodes
      .flatMap(({ keyServer }) => [...(keyServer?.vault.keys() ?? [])])
      .filter((key) => toHex(key.account) === toHex(account))
      .filter(({ slotId, confirmed: isKept }) => !former.has(toHex(slotId)) && isKept).length;
    return undefined;
  });
  expect(await codeOf(lone.node.rotateStoreKey())).toBe('rotated');
  expect(confirmed).toBe(former.size);
});

it('the store key stays when one of the new slots cannot be kept', LONG, async () => {
  await using lone = await backedNode(new SimulatedDisk(), 1);
  const storeKey = openOf(lone).storeKey;
  const own = openOf(lone)
    .book.slots()
    .map(({ slot }) => toPrefixedHex(slot.slotId));
  const [server] = net.nodes;
  net.world.wire.forge = ({ from, endpoint, path, body }) => {
    const text = JSON.stringify(body);
    const isNewSlot = !own.some((slotId) => text.includes(slotId)) && !text.includes('"lineage"');
    return from === 'lone' && endpoint === server?.endpoint && path === '/key-status' && isNewSlot
      ? refused
      : undefined;
  };
  expect(await codeOf(lone.node.rotateStoreKey())).toBe('ROTATION_INCOMPLETE');
  expect(openOf(lone).storeKey).toBe(storeKey);
  net.world.wire.forge = () => undefined;
  await net.world.clock.advance(20_000);
  expect(await codeOf(lone.node.rotateStoreKey())).toBe('rotated');
});

it.each([
  [2, 'rotated'],
  [3, 'ROTATION_INCOMPLETE'],
] as const)(
  'with %s of 5 servers that do not show the mark of this instance the outcome is %s',
  LONG,
  async (count, outcome) => {
    await using lone = await backedNode(new SimulatedDisk(), 1);
    const own = openOf(lone)
      .book.slots()
      .map(({ slot }) => toPrefixedHex(slot.slotId));
    const silent = net.nodes.slice(0, count).map(({ endpoint }) => endpoint);
    // They give new slots, and do not answer for the present ones: another instance may hold them.
    net.world.wire.forge = ({ from, endpoint, path, body }) =>
      from === 'lone' &&
      silent.includes(endpoint) &&
      path === '/key-status' &&
      own.some((slotId) => JSON.stringify(body).includes(slotId))
        ? refused
        : undefined;
    expect(await codeOf(lone.node.rotateStoreKey())).toBe(outcome);
  },
);

it(
  'new slots that were kept are erased after a rotation that failed, also where that takes time',
  LONG,
  async () => {
    await using lone = await backedNode(new SimulatedDisk(), 1);
    const { account } = openOf(lone).identity;
    const before = heldFor(account);
    const slotIds = openOf(lone)
      .book.slots()
      .map(({ slot }) => toPrefixedHex(slot.slotId));
    const isOwn = (body: unknown) => slotIds.some((slotId) => JSON.stringify(body).includes(slotId));
    // The new slots are kept; then too few servers show the mark, and no request to erase passes.
    let isKept = false;
    net.world.wire.forge = ({ from, path, body }) => {
      if (from !== 'lone') return undefined;
      isKept ||= path === '/key-status' && !isOwn(body) && !JSON.stringify(body).includes('"lineage"');
      return isKept && (path === '/key-status' ? isOwn(body) : path.startsWith('/forget'))
        ? refused
        : undefined;
    };
    expect(await codeOf(lone.node.rotateStoreKey())).toBe('ROTATION_INCOMPLETE');
    expect(isKept).toBe(true);
    expect(heldFor(account)).toHaveLength(2 * before.length);
    net.world.wire.forge = () => undefined;
    await net.world.clock.advance(60_000);
    expect([...heldFor(account)].sort()).toEqual([...before].sort());
    expect(openOf(lone).older.lineages).toEqual([]);
    expect(await codeOf(lone.node.rotateStoreKey())).toBe('rotated');
  },
);
