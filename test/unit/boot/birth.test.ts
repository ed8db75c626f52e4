import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const LONG = { timeout: 60_000 };

describe('two processes that begin a fresh node in one folder at once', () => {
  it.each([0, 1, 40, 230, 600])('make exactly one node, the second %i ms later', LONG, async (laterMs) => {
    const net = new SimulatedNetwork(821);
    await net.form(4);
    const [one, two] = [net.addMachine(), net.addMachine()];
    two.disk = one.disk;
    const births = (): string[] =>
      [one, two].flatMap(({ events }) =>
        events.filter(({ event }) => event === 'node.created').map(({ fields }) => String(fields['account'])),
      );
    one.start();
    await net.world.clock.advance(laterMs);
    two.start();
    await net.settle(20_000);
    const [winner, other] = one.open === undefined ? [two, one] : [one, two];
    expect([winner.state.name, other.open]).toEqual(['backed', undefined]);
    expect(births()).toHaveLength(1);
    const account = toHex(winner.open?.identity.account ?? new Uint8Array(0));
    // Nobody serves keys of a node that never was.
    const served = new Set(
      net.nodes.flatMap(({ keyServer }) =>
        [...(keyServer?.vault.keys() ?? [])].map((key) => toHex(key.account)),
      ),
    );
    const known = net.nodes.flatMap(({ open }) => (open === undefined ? [] : [toHex(open.identity.account)]));
    expect([...served].filter((name) => !known.includes(name))).toEqual([]);
    // When the one that has it ends, the other takes the same node over.
    await net.world.clock.until(winner.stop());
    await net.settle(20_000);
    expect(toHex(other.open?.identity.account ?? new Uint8Array(1))).toBe(account);
    expect(births()).toHaveLength(1);
    expect(net.world.violations).toEqual([]);
    await net.close();
  });
});
