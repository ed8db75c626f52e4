import { describe, expect, it } from 'vitest';
import { measurementId } from '../../src/trust/measurement.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import { answerTo, custodians, custodyOf, knowledgeIn } from '../support/custodians.ts';
import { accepting, FleetOperators, STORY_DELAY_MS, sectionUnder } from '../support/fleet-story.ts';
import { AuthorityWorld } from '../support/fleet-world.ts';
import { endNetwork, formedNetwork } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { codeOf } from '../support/thrown.ts';

const LONG = { timeout: 300_000 };
const COUNT = 5;
const authority = new AuthorityWorld('story of a blackout');

/** Two trust sections of one fleet, with custodians. */
const [former, next] = [0, 1].map((mark) =>
  parseTrustSection({ ...sectionUnder(authority, {}, mark), custody: custodyOf(2) }),
) as [TrustSection, TrustSection];

/** A fleet under the former section, all of whose machines are off now; what they knew was the first manifest. */
async function allDown(seed: number) {
  const signers: FleetOperators[] = [];
  const { net } = await formedNetwork(seed, COUNT, former, (made) => {
    signers.push(new FleetOperators(made, authority));
    const [operators] = signers;
    if (operators !== undefined) operators.publish([operators.sign(accepting(Date.UTC(2026, 0, 1), former))]);
  });
  const [operators] = signers;
  if (operators === undefined) throw new TypeError('the network was prepared');
  for (const node of net.nodes) await net.world.clock.until(net.witness.write(node));
  await net.settle(20_000);
  for (const node of net.nodes) await net.world.clock.until(node.kill());
  return { net, operators, sinceMs: net.world.clock.nowMs() };
}

/** What a custodian with a copy of the section that a machine runs under answers to it. */
async function ask(net: SimulatedNetwork, node: SimulatedNode, trust: TrustSection): Promise<void> {
  const { clock } = net.world;
  const request = await clock.until(node.custody.request());
  const knowledge = { ...knowledgeIn(net), trust, measurements: [measurementId(node.body)] };
  const answers = custodians.slice(0, 2).map((custodian) => answerTo(request, custodian, knowledge));
  expect(await clock.until(node.custody.open(answers, false))).toMatchObject({ opens: true });
}

const states = ({ nodes }: SimulatedNetwork): string[] => nodes.map(({ state }) => state.name);
const serials = ({ nodes }: SimulatedNetwork) => nodes.map(({ fleet }) => fleet?.report().manifest?.serial);

describe('a fleet that moves while all of its nodes are down', () => {
  it(
    'comes back with the newest manifest and the next image and section: no store is lost',
    LONG,
    async () => {
      const { net, operators, sinceMs } = await allDown(4301);
      operators.publish([operators.sign(accepting(sinceMs, former, next))]);
      await net.settle(STORY_DELAY_MS);
      operators.publish([operators.sign(accepting(sinceMs, next))]);
      for (const node of net.nodes) {
        node.trust = next;
        node.image = 1;
        node.start();
      }
      await net.settle(20_000);
      expect(states(net)).toEqual(Array(COUNT).fill('locked'));
      expect(serials(net)).toEqual(Array(COUNT).fill(3));
      for (const node of net.nodes) await ask(net, node, next);
      await net.settle(120_000);
      expect(states(net)).toEqual(Array(COUNT).fill('backed'));
      // Each store has what was written before, and goes on.
      await net.witness.writeAll();
      await endNetwork(net);
    },
  );

  it('comes back half with the former section, and hears the manifest from one machine', LONG, async () => {
    const { net, operators, sinceMs } = await allDown(4302);
    const [informed] = net.nodes;
    const before = net.world.manifestsFor('');
    net.world.manifestsFor = () => undefined;
    operators.publish([operators.sign(accepting(sinceMs, former, next))], (name) => name === informed?.name);
    for (const [index, node] of net.nodes.entries()) {
      node.trust = index % 2 === 0 ? next : former;
      node.start();
    }
    await net.settle(20_000);
    expect(before).toBeDefined();
    expect(serials(net)).toEqual(Array(COUNT).fill(2));
    for (const node of net.nodes) await ask(net, node, node.trust ?? former);
    await net.settle(STORY_DELAY_MS + 120_000);
    expect(states(net)).toEqual(Array(COUNT).fill('backed'));
    await endNetwork(net);
  });

  it(
    'a machine that is started with the section of before gets no answer, and loses nothing',
    LONG,
    async () => {
      const { net, operators, sinceMs } = await allDown(4303);
      operators.publish([operators.sign(accepting(sinceMs, next))]);
      for (const node of net.nodes) {
        node.trust = next;
        node.start();
      }
      const late = net.nodes.at(-1);
      if (late === undefined) throw new RangeError('a network has machines');
      await net.world.clock.until(late.kill());
      late.trust = former;
      late.start();
      await net.settle(20_000);
      for (const node of net.nodes.slice(0, -1)) await ask(net, node, next);
      await net.settle(120_000);
      const request = await net.world.clock.until(late.custody.request());
      const [alice = expect.fail()] = custodians;
      expect(codeOf(() => answerTo(request, alice, { ...knowledgeIn(net), trust: next }))).toBe(
        'TRUST_SECTION_REFUSED',
      );
      expect(late.state.name).toBe('locked');
      net.check();
      await net.world.clock.until(late.kill());
      late.trust = next;
      late.start();
      await net.settle(20_000);
      await ask(net, late, next);
      await net.settle(120_000);
      expect(states(net)).toEqual(Array(COUNT).fill('backed'));
      await endNetwork(net);
    },
  );
});
