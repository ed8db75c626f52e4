import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { FormerClients } from '../../../src/node/former-clients.ts';
import { countClients } from '../../../src/node/serving.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const net = new SimulatedNetwork(701);
let server: SimulatedNode;

beforeAll(async () => {
  await net.form(6);
  server = net.nodes[0] ?? net.addMachine();
}, 60_000);
afterAll(async () => net.close());

describe('clients that a store did not take', () => {
  it('are recorded with the next one that it takes, once each, but not those whose keys are gone', async () => {
    let isBroken = false;
    let attempts = 0;
    const store = new MemoryStore({
      beforeWrite: async () => {
        attempts++;
        await Promise.resolve();
        if (isBroken) throw new Error('the lease was not renewed');
      },
    });
    const clock = { nowMs: () => 0, sleep: async () => undefined };
    const clients = new FormerClients({ store, log: () => undefined, clock });
    await clients.begin(1_000);
    const accountOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
    isBroken = true;
    await expect(clients.served(accountOf(1))).rejects.toThrow('lease');
    // The key of one is gone during its own attempt, that of another one before the next attempt.
    const failing = expect(clients.served(accountOf(4))).rejects.toThrow('lease');
    await clients.forgotten(accountOf(4));
    await failing;
    await expect(clients.served(accountOf(3))).rejects.toThrow('lease');
    await clients.forgotten(accountOf(3));
    isBroken = false;
    attempts = 0;
    await Promise.all([clients.served(accountOf(2)), clients.served(accountOf(5))]);
    const recorded = [...(await store.namespace('latchkey/served')).names()];
    expect(recorded).toEqual(['01', '02', '05'].map((byte) => byte.repeat(32)));
    expect(attempts).toBe(3);
  });
});

describe('former clients', () => {
  it('are notified by a restarted server, which is ready when all are back', async () => {
    await net.world.clock.until(server.kill());
    server.start();
    await net.world.clock.advance(600);
    expect(server.serving?.formerClients.pending).toBeGreaterThan(0);
    // A clock that is corrected after the start ends no wait: the next server would be stopped too early.
    server.clockSkewMs = 3_600_000;
    expect(server.serving?.formerClients.pending).toBeGreaterThan(0);
    server.clockSkewMs = 0;
    await net.world.clock.advance(4_000);
    expect(server.serving?.formerClients.pending).toBe(0);
    expect(net.nodes.map(({ state }) => state.name)).toEqual(Array(6).fill('backed'));
  });

  it('that are gone delay a restarted server only until its deadline', async () => {
    const gone = net.nodes[3];
    if (gone === undefined) throw new Error('no node');
    await net.world.clock.until(gone.kill());
    let told = 0;
    const serve = async (path: string) => {
      if (path === '/server-restarted') told++;
      throw new Error('it does not come back');
    };
    net.world.wire.place(gone.endpoint, { serve });
    await net.world.clock.until(server.kill());
    server.start();
    await net.world.clock.advance(10_000);
    expect(server.serving?.formerClients.pending).toBeGreaterThan(0);
    await net.world.clock.advance(25_000);
    expect(server.serving?.formerClients.pending).toBe(0);
    // With longer and longer waits: each time costs a client a check of all its slots.
    expect(told).toBeGreaterThan(3);
    expect(told).toBeLessThan(10);
    net.world.wire.place(gone.endpoint, undefined);
    // Nor ever again: it has nothing there that the next restart could take from it.
    await net.world.clock.until(server.kill());
    server.start();
    await net.world.clock.advance(600);
    expect(server.serving?.formerClients.pending).toBeGreaterThan(0);
    await net.world.clock.advance(8_000);
    expect(server.serving?.formerClients.pending).toBe(0);
    gone.start();
    await net.settle(30_000);
  });

  it('at risk are counted: those that would fall below their threshold without this server', async () => {
    const keyServer = server.keyServer;
    if (keyServer === undefined) throw new Error('not serving');
    expect(countClients(keyServer, net.world.clock.nowMs()).atRisk).toBe(0);
    // Everybody loses two of its five servers; the wire keeps them from coming back.
    const lost = net.nodes.slice(1, 3);
    for (const other of lost) net.world.wire.misbehaviour.set(other.endpoint, 'hang');
    await net.settle(60_000);
    expect(countClients(keyServer, net.world.clock.nowMs()).atRisk).toBeGreaterThan(0);
    net.world.wire.misbehaviour.clear();
    await net.settle(90_000);
    expect(countClients(keyServer, net.world.clock.nowMs()).atRisk).toBe(0);
    expect(net.world.violations).toEqual([]);
  });
});
