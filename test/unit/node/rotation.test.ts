import { afterEach, beforeEach, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const LONG = { timeout: 600_000 };
let net: SimulatedNetwork;
beforeEach(async () => {
  net = new SimulatedNetwork(912);
  await net.form(5);
}, 300_000);
afterEach(async () => {
  await net.close();
}, 300_000);

async function eventually(condition: () => boolean, atMostMs = 300_000): Promise<void> {
  for (let waited = 0; !condition(); waited += 250) {
    if (waited > atMostMs) throw new Error('it never came');
    await net.world.clock.advance(250);
  }
}

const isBacked = ({ node }: LoneNode) => node.state.name === 'backed';

let starts = 0;

async function backedNode(disk: SimulatedDisk): Promise<LoneNode> {
  starts++;
  const lone = await loneNode(net.world, { disk, start: starts });
  await lone.node.start();
  await eventually(() => isBacked(lone));
  return lone;
}

/** A copy of the present store key, which outlives it. */
function keyOf({ node }: LoneNode): SecretBytes {
  if (node.open === undefined) throw new Error('closed');
  return new SecretBytes(node.open.storeKey.reveal());
}

async function thrownCode(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return 'none';
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : String(error);
  }
}

async function keep(lone: LoneNode, name: string): Promise<void> {
  const space = await lone.node.open?.store.namespace('test');
  await space?.put(name, new TextEncoder().encode(name));
}

async function kept(lone: LoneNode): Promise<readonly string[]> {
  const space = await lone.node.open?.store.namespace('test');
  return [...(space?.names() ?? [])];
}

const opens = (disk: SimulatedDisk, storeKey: SecretBytes): Promise<string> =>
  thrownCode(async () => {
    const store = await SealedStore.open({ fileSystem: disk, path: '/data/node/store', storeKey });
    await store.close();
  });

it('a rotation ends with a complete generation of the new key; the former key fails', LONG, async () => {
  const disk = new SimulatedDisk();
  const lone = await backedNode(disk);
  await keep(lone, 'before');
  const open = lone.node.open;
  if (open === undefined) throw new Error('closed');
  const former = keyOf(lone);
  const formerSlots = open.book.slots().map(({ slot }) => toHex(slot.slotId));
  const before = open.book.newest?.generation ?? 0;

  const generation = await net.world.clock.until(lone.node.rotateStoreKey());
  expect(generation).toBe(before + 1);
  await keep(lone, 'after');
  await eventually(() => isBacked(lone));
  const { book } = lone.node.open ?? open;
  expect(book.isComplete).toBe(true);
  expect(book.file?.generations.map((one) => one.generation)).toEqual([generation]);
  // The servers erased the keys of the former slots.
  const held = () =>
    net.nodes.flatMap(({ keyServer }) =>
      [...(keyServer?.vault.keys() ?? [])].map(({ slotId }) => toHex(slotId)),
    );
  await eventually(() => !held().some((slotId) => formerSlots.includes(slotId)));
  await lone[Symbol.asyncDispose]();

  expect(await opens(disk.clone(), former)).toBe('STORE_WRONG_KEY');
  await using again = await backedNode(disk);
  expect(await kept(again)).toEqual(['after', 'before']);
});

/** Places at which the disk is cut, spread over all steps of a rotation, its last one included. */
const CUTS = 9;

it(
  'after a power cut during a rotation the next start opens the store, and the node is backed again',
  LONG,
  async () => {
    const outcomes = { former: 0, rotated: 0 };
    const codes: string[] = [];
    const origin = new SimulatedDisk();
    const first = await backedNode(origin);
    await keep(first, 'before');
    const start = origin.steps;
    await net.world.clock.until(first.node.rotateStoreKey());
    const steps = origin.steps - start;
    await first[Symbol.asyncDispose]();
    // The servers have erased the keys of an earlier state, so each run continues from the previous one.
    let disk = origin;
    for (let number = 0; number < CUTS; number++) {
      const cut = 1 + Math.round((number * (steps - 1)) / (CUTS - 1));
      const lone = await backedNode(disk);
      const former = keyOf(lone);
      disk.cutAt(disk.steps + cut);
      codes.push(await thrownCode(() => net.world.clock.until(lone.node.rotateStoreKey())));
      const after = disk.afterPowerCut(cut % 2 === 0 ? 'lost' : 'kept', cut);
      // Its disk is cut off, so that closing may fail.
      await lone.node.close().catch(() => undefined);
      const again = await backedNode(after);
      expect(await kept(again), `cut at ${cut} of ${steps}`).toEqual(['before']);
      outcomes[former.equals(keyOf(again)) ? 'former' : 'rotated']++;
      await again[Symbol.asyncDispose]();
      disk = after;
    }
    expect(outcomes.former).toBeGreaterThan(1);
    expect(outcomes.rotated, codes.join(' ')).toBeGreaterThan(1);
  },
);

it('a rotation is refused and changes nothing while a server does not answer', LONG, async () => {
  await using lone = await backedNode(new SimulatedDisk());
  const before = keyOf(lone);
  const server = lone.node.open?.book.slots()[0]?.slot.server;
  const machine = net.nodes.find(
    ({ keyServer }) =>
      keyServer !== undefined && toHex(keyServer.identity.account) === toHex(server ?? new Uint8Array()),
  );
  if (machine === undefined) throw new Error('no server');
  net.world.wire.misbehaviour.set(machine.endpoint, 'hang');
  const code = await thrownCode(() => net.world.clock.until(lone.node.rotateStoreKey()));
  expect(['ROTATION_INCOMPLETE', 'ROTATION_NOT_BACKED']).toContain(code);
  expect(before.equals(keyOf(lone))).toBe(true);
  net.world.wire.misbehaviour.clear();
  await eventually(() => isBacked(lone));
  await net.world.clock.until(lone.node.rotateStoreKey());
  expect(before.equals(keyOf(lone))).toBe(false);
});
