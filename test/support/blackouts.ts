import { answerTo, custodians, knowledgeIn, trustWith } from './custodians.ts';
import { seededDice } from './disk-dice.ts';
import { formedNetwork } from './formed-network.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** What a series of total blackouts of one network came to. */
export interface BlackoutResult {
  readonly blackouts: number;
  /** Stores that were not open and backed again after a blackout. */
  readonly lost: number;
  readonly violations: readonly string[];
}

/** All processes end at once, so that no server has any key left; then all machines start again. */
export async function blackOut(net: SimulatedNetwork): Promise<void> {
  for (const node of net.nodes) await net.world.clock.until(node.kill());
  for (const node of net.nodes) node.start();
  await net.settle(20_000);
}

/**
 * Total blackouts of a network of four machines, one after another. After each of them every node asks, in an order of
 * its own, two of the three custodians.
 * @param hasCustody without it nobody is asked.
 */
export async function seriesOfBlackouts(
  seed: number,
  count: number,
  hasCustody: boolean,
): Promise<BlackoutResult> {
  const dice = seededDice(seed);
  const { net } = await formedNetwork(seed, 4, hasCustody ? trustWith(2) : undefined);
  let lost = 0;
  let blackouts = 0;
  while (blackouts < count && lost === 0) {
    blackouts++;
    await blackOut(net);
    if (hasCustody) {
      for (const node of shuffled(net.nodes, (below) => dice.below(below))) {
        await openByTwo(net, node, dice.below(custodians.length));
      }
    }
    await net.settle(90_000);
    lost += net.nodes.filter(({ state }) => state.name !== 'backed').length;
    if (hasCustody) net.check();
  }
  await net.close();
  return { blackouts, lost, violations: net.world.violations };
}

function shuffled<T>(items: readonly T[], below: (limit: number) => number): readonly T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(below(rest.length), 1));
}

/** All custodians but one answer. */
async function openByTwo(net: SimulatedNetwork, node: SimulatedNode, absent: number): Promise<void> {
  const request = await net.world.clock.until(node.custody.request());
  const answers = custodians
    .filter((_custodian, index) => index !== absent)
    .map((custodian) => answerTo(request, custodian, knowledgeIn(net)));
  await net.world.clock.until(node.custody.open(answers, false));
}
