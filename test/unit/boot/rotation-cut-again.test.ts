import { afterEach, beforeEach, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const LONG = { timeout: 600_000 };
let net: SimulatedNetwork;
beforeEach(async () => {
  net = new SimulatedNetwork(915);
  await net.form(5);
}, 300_000);
afterEach(async () => {
  await net.close();
}, 300_000);

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 250) {
    if (waited > 300_000) throw new Error('the state did not come');
    await net.world.clock.advance(250);
  }
}

async function backedNode(disk: SimulatedDisk, start: number): Promise<LoneNode> {
  const lone = await loneNode(net.world, { disk, start });
  await lone.node.start();
  await until(() => lone.node.state.name === 'backed');
  return lone;
}

const slotsOf = ({ node }: LoneNode): readonly string[] =>
  node.open?.book.slots().map(({ slot }) => toHex(slot.slotId)) ?? [];

/** The slots of the lone node that servers hold. */
const heldFor = (account: Uint8Array | undefined): readonly string[] =>
  net.nodes.flatMap(({ keyServer }) =>
    [...(keyServer?.vault.keys() ?? [])].flatMap((key) =>
      account !== undefined && toHex(key.account) === toHex(account) ? [toHex(key.slotId)] : [],
    ),
  );

/** Changes the store key; the process dies at a step of its disk. @returns the disk of the next process. */
async function cutRotation(
  lone: LoneNode,
  isStep: (kind: string, path: string) => boolean,
): Promise<SimulatedDisk> {
  let isCut = false;
  lone.disk.inject(({ kind, path, step }) => {
    if (isCut || !isStep(kind, path)) return undefined;
    isCut = true;
    lone.disk.cutAt(step);
    // No request of the dead process reaches a server.
    for (const { endpoint } of net.nodes) net.world.wire.cut.add(`lone>${endpoint}`);
    return undefined;
  });
  await net.world.clock.until(lone.node.rotateStoreKey()).catch(() => undefined);
  expect(isCut).toBe(true);
  const after = lone.disk.afterPowerCut('kept', 1);
  await Promise.resolve(lone[Symbol.asyncDispose]()).catch(() => undefined);
  await net.world.clock.advance(30_000);
  net.world.wire.cut.clear();
  return after;
}

const beforeTheKeyChanges = (kind: string, path: string): boolean =>
  kind === 'create' && path.includes('/store/MANIFEST');

it(
  'a change of the store key that is killed again and again before the key changes leaves no slots',
  LONG,
  async () => {
    let lone = await backedNode(new SimulatedDisk(), 1);
    const account = lone.node.open?.identity.account;
    for (const round of [2, 3, 4]) {
      const before = heldFor(account);
      const after = await cutRotation(lone, beforeTheKeyChanges);
      expect(heldFor(account)).toHaveLength(2 * before.length);
      lone = await backedNode(after, round);
      await until(() => heldFor(account).length === before.length);
      expect([...heldFor(account)].sort()).toEqual([...slotsOf(lone)].sort());
      expect(lone.node.open?.older.lineages).toEqual([]);
    }
    await lone[Symbol.asyncDispose]();
  },
);

it(
  'a copy of the disk from the middle of a change erases nothing of the copy that went on under the new key',
  LONG,
  async () => {
    const gone = await backedNode(new SimulatedDisk(), 1);
    const account = gone.node.open?.identity.account;
    const former = slotsOf(gone);
    let copy: SimulatedDisk | undefined;
    gone.disk.inject(({ kind, path }) => {
      if (beforeTheKeyChanges(kind, path)) copy ??= gone.disk.clone().afterPowerCut('kept', 1);
      return undefined;
    });
    // The host keeps the former lineage open: else the copy could not be opened at all.
    net.world.wire.forge = ({ from, path }) =>
      from === 'lone' && path === '/lineage-update' ? { status: 503, body: {} } : undefined;
    await net.world.clock.until(gone.node.rotateStoreKey());
    const present = slotsOf(gone);
    await until(() => gone.node.state.name === 'backed');
    await net.world.clock.advance(30_000);
    expect(present).not.toEqual(former);
    const newest = gone.disk.afterPowerCut('kept', 1);
    await gone[Symbol.asyncDispose]();
    net.world.wire.forge = () => undefined;
    if (copy === undefined) throw new Error('no copy was made');
    const older = await backedNode(copy, 2);
    expect(slotsOf(older)).toEqual(former);
    await net.world.clock.advance(120_000);
    expect(heldFor(account)).toEqual(expect.arrayContaining([...present]));
    await older[Symbol.asyncDispose]();
    // The operator puts the newest disk back: it opens, and says that another instance wrote.
    const again = await loneNode(net.world, { disk: newest, start: 3 });
    await again.node.start();
    await until(() => again.node.open !== undefined || again.node.state.name === 'fenced');
    await again[Symbol.asyncDispose]();
  },
);
