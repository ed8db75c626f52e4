import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { survivals } from '../support/disk-survival.ts';
import { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { fileOf } from '../support/slot-picture.ts';

const LONG = { timeout: 300_000 };

const keyOf = ({ open }: SimulatedNode): string | undefined =>
  open === undefined ? undefined : toHex(open.storeKey.reveal());
const accountOf = ({ open }: SimulatedNode): string | undefined =>
  open === undefined ? undefined : toHex(open.identity.account);

/** The states of the disk after a cut, used in turn, so that neighbouring steps cover all of them. */
const survivalAt = (cut: number) => survivals[cut % survivals.length] ?? survivals[0];

/** Three servers, the fewest without `bootstrap` (2 of 3), and the machine under test. */
async function network(seed: number): Promise<SimulatedNetwork> {
  const net = new SimulatedNetwork(seed);
  await net.form(4);
  expect(net.nodes.map(({ state }) => state.name)).toEqual(Array(4).fill('backed'));
  return net;
}

/** Runs a machine until its power goes at step `cut`; false when it did everything before that. */
async function runsInto(
  net: SimulatedNetwork,
  node: SimulatedNode,
  cut: number,
  forMs: number,
): Promise<boolean> {
  node.disk.cutAt(cut);
  node.start();
  await net.world.clock.advance(forMs);
  const isCut = node.disk.operations.off;
  await net.world.clock.until(isCut ? node.kill(survivalAt(cut), cut) : node.stop());
  return isCut;
}

describe('a power cut', () => {
  it(
    'at every step of a first boot leaves either no node, or a complete node that opens again',
    LONG,
    async () => {
      const net = await network(861);
      const outcomes: Record<string, number> = {};
      let isCut = true;
      for (let cut = 1; isCut; cut++) {
        const late = net.addMachine();
        isCut = await runsInto(net, late, cut, 1_500);
        const wasThere = (await late.disk.stat('/data/node')) !== undefined;
        // What was once put into place is never gone.
        const wasMade = late.events.some(({ event }) => event === 'node.created');
        expect(wasThere || !wasMade, `made and gone, cut at ${cut}`).toBe(true);
        const file = wasThere ? await fileOf(late) : undefined;
        late.start();
        await net.world.clock.advance(2_500);
        // Enough servers hold keys, so an existing node opens, and an existing store is never given up.
        expect(late.state.name, `cut at ${cut}`).toBe('backed');
        if (file !== undefined) expect(accountOf(late), `cut at ${cut}`).toBe(toHex(file.account));
        outcomes[wasThere ? 'whole' : 'none'] = (outcomes[wasThere ? 'whole' : 'none'] ?? 0) + 1;
        const key = keyOf(late);
        await net.world.clock.until(late.kill('kept', cut));
        late.start();
        await net.world.clock.advance(800);
        expect(keyOf(late), `cut at ${cut}, second start`).toBe(key);
        await net.world.clock.until(late.stop());
      }
      expect(outcomes['none']).toBeGreaterThan(5);
      expect(outcomes['whole']).toBeGreaterThan(1);
      expect(net.world.violations).toEqual([]);
      await net.close();
    },
  );

  it(
    'at every step of a recovery and of the healing after it never loses the confirmed key',
    LONG,
    async () => {
      const net = await network(862);
      const [node, server] = net.nodes;
      if (node === undefined || server === undefined) throw new Error('no machines');
      const key = keyOf(node);
      await net.world.clock.until(node.stop());
      const generations = new Set<number>();
      let isCut = true;
      for (let cut = 1; isCut; cut++) {
        // While it is down a server loses its memory, so that every start has a generation to make and one to give up.
        await net.world.clock.until(server.kill());
        server.start();
        await net.world.clock.advance(1_500);
        expect(server.open, `server before cut ${cut}`).toBeDefined();
        isCut = await runsInto(net, node, node.disk.steps + cut, 3_000);
        node.start();
        await net.world.clock.advance(4_000);
        expect(keyOf(node), `cut at ${cut}`).toBe(key);
        expect(node.state.name, `cut at ${cut}`).toBe('backed');
        const file = await fileOf(node);
        expect(file.generations).toHaveLength(1);
        generations.add(file.generations[0].generation);
        await net.world.clock.until(node.stop());
      }
      expect(generations.size).toBeGreaterThan(5);
      expect(net.world.violations).toEqual([]);
      await net.close();
    },
  );
});
