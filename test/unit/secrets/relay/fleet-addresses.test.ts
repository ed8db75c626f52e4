import { describe, expect, it } from 'vitest';
import { FleetAddresses } from '../../../../src/secrets/relay/fleet-addresses.ts';

/** Names of a fleet of `count` nodes, and a resolver that counts. */
function fleetOf(count: number) {
  const asked: string[] = [];
  const fleet = {
    asked,
    nowMs: 0,
    endpoints: Array.from({ length: count }, (_, at) => `node-${at}.test:80`),
    resolve: async (_name: string): Promise<readonly string[]> => ['192.0.2.1'],
  };
  const addresses = new FleetAddresses(
    () => fleet.endpoints,
    (name) => {
      asked.push(name);
      return fleet.resolve(name);
    },
    () => fleet.nowMs,
  );
  return { fleet, addresses };
}

describe('addresses of the fleet', () => {
  it('are looked up once for many requests, and again after a minute', async () => {
    const { fleet, addresses } = fleetOf(3);
    for (let request = 0; request < 5; request++) await Promise.all([addresses.all(), addresses.all()]);
    expect(fleet.asked).toHaveLength(3);
    fleet.nowMs = 60_000;
    fleet.resolve = async () => ['192.0.2.2'];
    // The former addresses count until the new ones are there.
    expect(await addresses.all()).toContainEqual({ address: '192.0.2.1', port: 80 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(await addresses.all()).toEqual(
      Array.from({ length: 3 }, () => ({ address: '192.0.2.2', port: 80 })),
    );
    expect(fleet.asked).toHaveLength(6);
  });

  it('are looked up again when the clock was set back', async () => {
    const { fleet, addresses } = fleetOf(1);
    fleet.nowMs = 1e12;
    await addresses.all();
    fleet.nowMs = 0;
    await addresses.all();
    expect(fleet.asked).toHaveLength(2);
  });

  it('stay when a later lookup fails', async () => {
    const { fleet, addresses } = fleetOf(1);
    await addresses.all();
    fleet.nowMs = 60_000;
    fleet.resolve = () => Promise.reject(new Error('no answer'));
    await addresses.all();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await addresses.all()).toEqual([{ address: '192.0.2.1', port: 80 }]);
  });

  it('hold up no request a second time when a name hangs, and every request gets those that are known', async () => {
    const { fleet, addresses } = fleetOf(1);
    await addresses.all();
    fleet.nowMs = 60_000;
    fleet.resolve = () => new Promise(() => undefined);
    for (let request = 0; request < 20; request++) expect(await addresses.all()).toHaveLength(1);
    expect(fleet.asked).toHaveLength(2);
  });

  it('are looked up a few at a time', async () => {
    const { fleet, addresses } = fleetOf(100);
    let running = 0;
    let most = 0;
    fleet.resolve = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return [];
    };
    expect(await addresses.all()).toEqual([]);
    expect([fleet.asked.length, most]).toEqual([100, 8]);
  });

  it('need no lookup where an endpoint is an address', async () => {
    const { fleet, addresses } = fleetOf(0);
    fleet.endpoints = ['192.0.2.7:1', 'https://[2001:db8::1]:2/'];
    expect(await addresses.all()).toEqual([
      { address: '192.0.2.7', port: 1 },
      { address: '2001:db8::1', port: 2 },
    ]);
    expect(fleet.asked).toEqual([]);
  });
});
