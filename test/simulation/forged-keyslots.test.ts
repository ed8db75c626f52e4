import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { buildGeneration } from '../../src/keyslots/generations.ts';
import { encodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { hostMadeDisk, TWO_OF_TWO } from '../support/host-made-disk.ts';
import { HostMadeServer, type MakeQuote } from '../support/host-made-server.ts';
import { aLineageSecret } from '../support/lineages.ts';
import { KEYSLOTS, type SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { ownBody } from '../support/simulated-network-world.ts';

const LONG = { timeout: 60_000 };
const YEAR_MS = 365 * 86_400_000;
const foreignPki = createDevelopmentPki({ seed: new Uint8Array(32).fill(99) });
const otherImage = { ...ownBody, rtMr2: new Uint8Array(48).fill(9) };

/** Which quotes a host can show for its two servers. */
const hosts: readonly {
  readonly title: string;
  readonly quoteOf: (net: SimulatedNetwork, number: number) => MakeQuote;
  readonly reason: string;
}[] = [
  {
    title: 'no TDX machine, and answers as the chain',
    quoteOf: (_net, number) => (reportData) =>
      foreignPki.quote({ reportData, platform: number, body: ownBody }),
    reason: 'REGISTRATION_MISMATCH',
  },
  {
    title: 'two genuine machines with another image, registered on the chain',
    quoteOf: (net, number) => (reportData) =>
      net.world.pki.quote({ reportData, platform: 60 + number, body: otherImage }),
    reason: 'MEASUREMENT_REFUSED',
  },
  {
    title: 'the attestation key of one machine, registered on the chain with two accounts',
    quoteOf: (net) => (reportData) => net.world.pki.quote({ reportData, platform: 60, body: ownBody }),
    reason: 'platform-limit',
  },
];

const failuresOf = ({ events }: SimulatedNode, server: HostMadeServer): string =>
  events
    .filter(({ fields }) => fields['server'] === encodeSs58(server.account))
    .map(({ fields }) => String(fields['reason']))
    .join('\n');

/** How far a node's clock is ahead of the true time, as its challenges show. */
function aheadMs(net: SimulatedNetwork, node: SimulatedNode): number {
  const challenge = node.keyServer?.challenge({
    accountId: encodeSs58(node.stash),
    ephemeralPublicKey: `0x${toHex(new Uint8Array(32).fill(9))}`,
  });
  return (challenge?.expiresAtMs ?? Number.NaN) - net.world.clock.nowMs();
}

describe('a host that writes the keyslot file itself', () => {
  it.each(hosts)('with $title: the store stays closed', LONG, async ({ quoteOf, reason }) => {
    const { net } = await formedNetwork(901);
    const servers = [1, 2].map((number) => new HostMadeServer(net.world, number, quoteOf(net, number)));
    net.strangers.push(...servers.map((server) => server.record()));
    net.publish();
    const victim = net.addMachine();
    await net.world.clock.until(hostMadeDisk(victim, servers));
    victim.start();
    await net.settle(60_000);
    expect(victim.open).toBeUndefined();
    expect(victim.state).toMatchObject({ name: 'locked' });
    expect(servers.map((server) => failuresOf(victim, server)).join('\n')).toContain(reason);
    // The node asks no key from a server that is not proven by its registration.
    if (reason === 'REGISTRATION_MISMATCH') expect(servers.flatMap(({ asked }) => asked)).toEqual([]);
    await endNetwork(net);
  });
});

describe('a host that adds its own newer generation to the real keyslot file', () => {
  it('with servers that pass every check: the store opens with the real generation', LONG, async () => {
    const { net, node, file } = await formedNetwork(903);
    const key = toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0));
    // Two machines of the host that are genuine and accepted: recovery cannot tell them from others.
    const servers = [1, 2].map(
      (number) =>
        new HostMadeServer(net.world, number, (reportData) =>
          net.world.pki.quote({ reportData, platform: 60 + number, body: ownBody }),
        ),
    );
    net.strangers.push(...servers.map((server) => server.record()));
    await net.world.clock.until(node.kill());
    const [real] = file.generations;
    const forged = await buildGeneration(
      {
        ...file,
        storeKey: new SecretBytes(new Uint8Array(32).fill(3)),
        lineageSecret: aLineageSecret(),
        generation: real.generation + 1,
        quorum: TWO_OF_TWO,
        enrolled: servers.map(({ slot }) => slot),
      },
      node.random,
    );
    node.disk.tamper(KEYSLOTS, encodeKeyslotFile({ ...file, generations: [forged, real] }));
    net.publish();
    node.start();
    await net.settle(5_000);
    expect(servers.every(({ asked }) => asked.includes('/request-encryption-key'))).toBe(true);
    expect(node.events.map(({ event }) => event)).toContain('generation.of-another-store');
    expect(toHex(node.open?.storeKey.reveal() ?? new Uint8Array(0))).toBe(key);
    await endNetwork(net);
  });
});

describe('the time of a recovery', () => {
  it('far ahead of chain and own clock is reported and not used, also from t servers', LONG, async () => {
    const { net, node, servers } = await formedNetwork(904);
    for (const server of servers) server.timeLieMs = 10 * YEAR_MS;
    await restart(net, node);
    await net.settle(5_000);
    expect(node.open).toBeDefined();
    expect(node.events.map(({ event }) => event)).toContain('time.jump-refused');
    expect(aheadMs(net, node)).toBeLessThan(YEAR_MS);
    await net.close();
  });

  it('from an unknown server in a forged older generation does not help n − t liars', LONG, async () => {
    const { net, node, file, servers } = await formedNetwork(902);
    const { clock, wire, pki } = net.world;
    const stranger = new HostMadeServer(net.world, 1, (reportData) =>
      pki.quote({ reportData, platform: 60, body: ownBody }),
    );
    stranger.timeLieMs = 10 * YEAR_MS;
    net.strangers.push(stranger.record());
    const [liarA, liarB, honest, ...others] = servers;
    for (const liar of [liarA, liarB]) if (liar !== undefined) liar.timeLieMs = 10 * YEAR_MS;
    // The honest server answers after the older generation was asked; the other two do not answer.
    if (honest !== undefined) wire.delayMs.set(honest.endpoint, 900);
    for (const { endpoint } of others) wire.misbehaviour.set(endpoint, 'hang');
    await clock.until(node.kill());
    const [newest] = file.generations;
    const filler = new HostMadeServer(net.world, 2, () => new Uint8Array(8));
    const older = await buildGeneration(
      {
        ...file,
        storeKey: new SecretBytes(new Uint8Array(32)),
        lineageSecret: aLineageSecret(),
        generation: newest.generation - 1,
        quorum: TWO_OF_TWO,
        enrolled: [stranger.slot, filler.slot],
      },
      node.random,
    );
    node.disk.tamper(KEYSLOTS, encodeKeyslotFile({ ...file, generations: [newest, older] }));
    net.publish();
    node.start();
    await net.settle(20_000);
    expect(node.open).toBeDefined();
    expect(aheadMs(net, node)).toBeLessThan(YEAR_MS);
    await net.close();
  });
});
