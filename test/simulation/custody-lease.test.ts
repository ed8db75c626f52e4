import { describe, expect, it } from 'vitest';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { blackOut } from '../support/blackouts.ts';
import { answerTo, custodians, custodyOf, knowledgeIn } from '../support/custodians.ts';
import { endNetwork, formedNetwork } from '../support/formed-network.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';

const trust = parseTrustSection({ ...defaultTrust, custody: custodyOf(2), fencing: { leaseMs: 30_000 } });

describe('a total blackout under a write lease', () => {
  it('the stores that custodians opened take writes again', { timeout: 120_000 }, async () => {
    const { net } = await formedNetwork(70, 4, trust);
    const { clock } = net.world;
    await blackOut(net);
    for (const node of net.nodes) {
      const request = await clock.until(node.custody.request());
      const answers = custodians.slice(1).map((one) => answerTo(request, one, knowledgeIn(net)));
      await clock.until(node.custody.open(answers, false));
    }
    await net.settle(20_000);
    for (const { state } of net.nodes) {
      // The process before this one may still write, as far as this one can know.
      expect(state).toMatchObject({ name: 'unclaimed', reason: expect.stringContaining('lease') });
    }
    await net.settle(120_000);
    expect(net.nodes.map(({ state }) => state)).toEqual(
      net.nodes.map(() => expect.objectContaining({ name: 'backed' })),
    );
    for (const node of net.nodes) expect(await net.witness.write(node)).toBe(true);
    await endNetwork(net);
  });
});
