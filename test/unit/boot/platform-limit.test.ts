import { describe, expect, it } from 'vitest';
import { explain } from '../../../src/boot/node/node-state.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { mostSlotsTogether } from '../../../src/keyslots/threshold.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { MachineOwner, SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 60_000 };
/** n = 5, t = 3: at most two together. */
const MOST = mostSlotsTogether({ t: 3, n: 5 });
const CROWDED = 100;
const stash = AccountId.of(new Uint8Array(32).fill(0xee));

/** The node of the story, and servers of these owners, all registered. */
async function formed(seed: number, owners: readonly MachineOwner[]) {
  const net = new SimulatedNetwork(seed);
  const node = net.addMachine();
  for (const owner of owners) net.addMachine(owner);
  for (const machine of net.nodes) machine.start();
  await net.world.clock.advance(1_000);
  for (const machine of net.nodes) await net.register(machine);
  await net.settle(30_000);
  return { net, node };
}

/** How many slots of the newest generation are together. */
async function together(
  net: SimulatedNetwork,
  node: SimulatedNode,
): Promise<{ slots: number; most: number }> {
  const [newest] = (await fileOf(node)).generations;
  const machines = machinesOf(net, newest);
  const onOne = machines.filter(({ platform, stash: own }) => platform === CROWDED || own === stash);
  return { slots: machines.length, most: onOne.length };
}

const crowds: readonly (readonly [string, MachineOwner])[] = [
  ['platform', { platform: CROWDED }],
  ['stash', { stash }],
];

describe.each(crowds)('servers on one %s', (name, crowd) => {
  it(
    'get at most n − t slots; with too few other servers the node stays degraded and reports the reason',
    LONG,
    async () => {
      const { net, node } = await formed(831, [crowd, crowd, crowd, {}, {}]);
      expect(MOST).toBe(2);
      expect(await together(net, node)).toEqual({ slots: 4, most: 2 });
      expect(node.state).toMatchObject({ name: 'degraded', live: 4, n: 5, t: 3 });
      expect(explain(node.state)).toContain(`4 of 5 servers gave a key; passed over: 1 ${name}-limit`);
      // Another one of the crowd does not help, one of its own does.
      for (const [owner, state] of [
        [crowd, 'degraded'],
        [{}, 'backed'],
      ] as const) {
        const late = net.addMachine(owner);
        late.start();
        await net.world.clock.advance(3_000);
        await net.register(late);
        await net.settle(60_000);
        expect(node.state.name).toBe(state);
        expect((await together(net, node)).most).toBeLessThanOrEqual(MOST);
      }
      expect(net.world.violations).toEqual([]);
      await net.close();
    },
  );

  it('get none at a re-enrolment when the servers that keep their slots fill the limit', LONG, async () => {
    const { net, node } = await formed(832, [crowd, crowd, crowd, {}, {}, {}, {}]);
    expect((await together(net, node)).slots).toBe(5);
    // Every server outside the crowd forgets in turn, so that every re-enrolment has a place to fill.
    for (const server of net.nodes
      .slice(1)
      .filter(({ platform, stash: own }) => platform !== CROWDED && own !== stash)) {
      await net.world.clock.until(server.kill());
      await net.settle(60_000);
      expect((await together(net, node)).most).toBeLessThanOrEqual(MOST);
      server.start();
      await net.settle(20_000);
      expect(node.state.name).toBe('backed');
    }
    expect(net.world.violations).toEqual([]);
    await net.close();
  });
});
