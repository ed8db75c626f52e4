import { describe, expect, it } from 'vitest';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { changeKey, endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import type { Exchange } from '../support/simulated-network-wire.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';
import { fileOf, keptSlots } from '../support/slot-picture.ts';

const LONG = { timeout: 300_000 };
const LEASE_MS = 30_000;
const leased = parseTrustSection({ ...defaultTrust, fencing: { leaseMs: LEASE_MS } });

/**
 * All servers of a machine restart, one after another. Its host keeps what each of them attested before it ended, and
 * shows that again once it is told to; then it also answers requests to close or erase something that there is nothing.
 */
async function replayingHost(net: SimulatedNetwork, node: SimulatedNode) {
  const attested = new Map<string, Exchange['answer']>();
  for (const server of net.nodes.filter((other) => other !== node)) {
    const attestation = await net.world.clock.until(server.keyServer?.attestation() ?? expect.fail());
    attested.set(server.endpoint, { status: 200, body: attestation });
    await restart(net, server);
    await net.settle(40_000);
  }
  await net.settle(20_000);
  expect(node.state.name).toBe('backed');
  const replay = (): void => {
    net.world.wire.forge = ({ from, endpoint, path }) => {
      if (from !== node.name) return undefined;
      if (path === '/attestation') return attested.get(endpoint);
      if (path !== '/lineage-update') return undefined;
      return { status: 404, body: { code: 'LINEAGE_UNKNOWN', detail: 'this server knows no such lineage' } };
    };
  };
  return { replay };
}

describe('an attestation of the process before the one that issued a slot', () => {
  it('closes no generation that was left behind', LONG, async () => {
    const { net, node } = await formedNetwork(1911);
    const { replay } = await replayingHost(net, node);
    const file = await fileOf(node);
    const [former] = file.generations;
    replay();
    // Its account moves to another server: a new generation is made, and the former one is left.
    const [holder] = net.nodes.filter((other) => other !== node);
    holder?.drain();
    await net.settle(60_000);
    const [newest] = (await fileOf(node)).generations;
    expect(newest.generation).toBeGreaterThan(former.generation);
    await net.settle(60_000);
    expect(keptSlots(net, file, former)).toBeGreaterThanOrEqual(former.t);
    expect(node.open?.older.open.map(({ generation }) => generation)).toContain(former.generation);
    await endNetwork(net);
  });

  it('closes no lineage of a former store key, so that two instances write under a lease', LONG, async () => {
    const { net, node } = await formedNetwork(1912, 7, leased);
    const { replay } = await replayingHost(net, node);
    expect(await net.witness.write(node)).toBe(true);
    replay();
    const copy = await changeKey(net, node);
    copy.start();
    const both: number[] = [];
    for (let second = 0; second < 120; second++) {
      await net.settle(1_000);
      const wrote = [await net.witness.write(node), await net.witness.write(copy)];
      if (wrote.every(Boolean)) both.push(second);
    }
    expect(both).toEqual([]);
    await net.close();
  });
});
