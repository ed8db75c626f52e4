import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const LONG = { timeout: 120_000 };
const hang = (): Promise<never> => new Promise(() => undefined);

/** All of the guardian's own waits end with it; what is left are turns of the disk. */
const PROMPT_MS = 100;

const net = new SimulatedNetwork(890);
const { clock, chain, wire, collateral } = net.world;
const original = { snapshot: chain.snapshot, collateralFor: collateral.collateralFor };
let node: SimulatedNode;

beforeAll(async () => {
  await net.form(4);
  node = net.nodes[0] ?? net.addMachine();
}, 60_000);
afterAll(async () => net.close());

function calm(): void {
  chain.snapshot = original.snapshot;
  collateral.collateralFor = original.collateralFor;
  for (const machine of net.nodes) machine.beforeQuote = async () => undefined;
  wire.misbehaviour.clear();
}

/** Closes a machine; its folders must be unlocked afterwards. */
async function closes(machine: SimulatedNode): Promise<void> {
  const { disk } = machine;
  await clock.until(machine.stop(), PROMPT_MS);
  for (const folder of ['/data', '/data/node/store']) {
    if ((await disk.stat(folder)) === undefined) continue;
    const lock = await disk.lock(folder);
    expect(lock, folder).toHaveProperty('release');
    if ('release' in lock) await lock.release();
  }
}

/** What can hang for ever without anybody's fault. */
const hangs: Readonly<Record<string, (machine: SimulatedNode) => void>> = {
  'the quote': (machine) => {
    machine.beforeQuote = hang;
  },
  'the chain': () => {
    chain.snapshot = hang;
  },
  collateral: () => {
    collateral.collateralFor = hang;
  },
  'every peer': () => {
    for (const { endpoint } of net.nodes) wire.misbehaviour.set(endpoint, 'hang');
  },
};

describe('closing a guardian', () => {
  it('wipes every key of the node', LONG, async () => {
    const { open } = node;
    if (open === undefined) throw new Error('not open');
    const { storeKey, identity, book, hold, store } = open;
    const [head, keys] = [store.head(), book.slots().map(({ slot }) => book.keyOf(slot.slotId))];
    await closes(node);
    for (const secret of [storeKey, identity.accountSeed, hold.lineage.secret, ...keys]) {
      expect(() => secret?.reveal()).toThrow('wiped');
    }
    expect(() => hold.headOf(head)).toThrow('wiped');
    node.start();
    await net.settle(20_000);
    expect(node.state.name).toBe('backed');
  });

  it('ends at any moment of a boot, and the next boot opens the store', LONG, async () => {
    const key = Buffer.from(node.open?.storeKey.reveal() ?? []).toString('hex');
    await closes(node);
    for (let afterMs = 0; afterMs <= 700; afterMs += 35) {
      node.start();
      await clock.advance(afterMs);
      await closes(node);
    }
    node.start();
    await net.settle(20_000);
    expect(Buffer.from(node.open?.storeKey.reveal() ?? []).toString('hex')).toBe(key);
    expect(node.state.name).toBe('backed');
  });

  it('waits for the running attempt, at any disk operation', LONG, async () => {
    await closes(node);
    for (let at = 1, isReached = true; isReached; at++) {
      const { disk } = node;
      let operations = 0;
      let closing: Promise<unknown> | undefined;
      disk.inject(({ path }) => {
        if (!path.startsWith('/data/node/') || ++operations !== at) return undefined;
        // Not a turn later than it says that it is closed.
        closing = node.stop().then(() => disk.lock('/data/node/store'));
        return undefined;
      });
      node.start();
      await clock.advance(1_000);
      isReached = closing !== undefined;
      if (closing === undefined) await closes(node);
      else expect(await closing, `operation ${at}`).toHaveProperty('release');
      disk.inject(undefined);
    }
    node.start();
    await net.settle(20_000);
    expect(node.state.name).toBe('backed');
  });

  it('ends at any moment of the creation of a node, and leaves a complete node or none', LONG, async () => {
    for (let afterMs = 0; afterMs <= 700; afterMs += 70) {
      const late = net.addMachine();
      late.start();
      await clock.advance(afterMs);
      await closes(late);
      const files = [...late.disk.files().keys()].filter((path) => path.startsWith('/data/node/'));
      expect(files.length === 0 || files.includes('/data/node/keyslots')).toBe(true);
    }
  });

  it.each(Object.entries(hangs))(
    'ends while %s hangs: at the creation of a node, in a recovery, in healing',
    LONG,
    async (_what, begin) => {
      try {
        const late = net.addMachine();
        begin(late);
        late.start();
        await clock.advance(1_000);
        await closes(late);
        calm();

        await closes(node);
        begin(node);
        node.start();
        await clock.advance(1_000);
        await closes(node);
        calm();

        node.start();
        await net.settle(20_000);
        expect(node.state.name).toBe('backed');
        // A server forgets, so that healing asks for quotes, collateral and keys too.
        const server = net.nodes[1];
        await clock.until(server?.kill() ?? hang());
        server?.start();
        await clock.advance(900);
        begin(node);
        node.nudge();
        await clock.advance(1_000);
        await closes(node);
      } finally {
        calm();
        if (!node.isRunning) node.start();
        await net.settle(30_000);
      }
      expect(node.state.name).toBe('backed');
    },
  );
});
