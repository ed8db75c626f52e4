import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { type Choice, chooseServers, eligibleServers } from '../../src/keyslots/choose-servers.ts';
import { mostSlotsTogether, thresholdFor } from '../../src/keyslots/threshold.ts';

const account = (name: string): AccountId => AccountId.of(sha256(new TextEncoder().encode(name)));

function record(index: number, change: Partial<ServerRecord> = {}): ServerRecord {
  return {
    stash: account(`stash ${index}`),
    account: account(`server ${index}`),
    x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(index)),
    endpoint: `server${index}:1`,
    quote: new Uint8Array(0),
    active: true,
    signer: false,
    ...change,
  };
}

const network = (size: number): ServerRecord[] => Array.from({ length: size }, (_, index) => record(index));
const ownPlatform = (server: ServerRecord): string => toHex(server.account);
const names = (choice: Choice): string[] => choice.chosen.map((server) => server.endpoint);

function choose(
  servers: readonly ServerRecord[],
  self: AccountId,
  change: Partial<Parameters<typeof chooseServers>[0]> = {},
): Choice {
  const eligible = eligibleServers({ servers }, { account: self });
  const quorum = thresholdFor(eligible.length, { bootstrap: true }) ?? { t: 1, n: 1 };
  return chooseServers({
    eligible,
    quorum,
    enrolled: [],
    isUsable: () => true,
    platformOf: ownPlatform,
    ...change,
  });
}

const client = account('client');

describe('choosing servers', () => {
  it('K10 does not depend on the order of the chain state', () => {
    const servers = network(12);
    const expected = names(choose(servers, client));
    fc.assert(
      fc.property(fc.shuffledSubarray(servers, { minLength: 12 }), (shuffled) => {
        expect(names(choose(shuffled, client))).toEqual(expected);
      }),
    );
  });

  it('K9 never chooses itself, its own stash, an inactive server or an account twice', () => {
    const flags = fc.record({ active: fc.boolean(), signer: fc.boolean(), twin: fc.boolean() });
    fc.assert(
      fc.property(fc.array(flags, { minLength: 1, maxLength: 15 }), fc.nat(14), (all, selfIndex) => {
        const servers = all.flatMap(({ active, signer, twin }, index) => {
          const server = record(index, { active, signer });
          return twin ? [server, { ...server, stash: account(`twin ${index}`) }] : [server];
        });
        const self = servers[selfIndex % servers.length] ?? record(0);
        const sibling = record(99, { stash: self.stash });
        const { chosen } = choose([...servers, sibling], self.account);
        expect(chosen.every((server) => server.active)).toBe(true);
        const accounts = chosen.map((server) => toHex(server.account));
        expect(accounts).not.toContain(toHex(self.account));
        expect(accounts).not.toContain(toHex(sibling.account));
        expect(new Set(accounts).size).toBe(accounts.length);
      }),
    );
  });

  it('takes the smaller stash of an account with two records', () => {
    const one = record(1);
    const other = record(1, { stash: account('other stash'), endpoint: 'other:1' });
    const [smaller] = toHex(one.stash) < toHex(other.stash) ? [one, other] : [other, one];
    for (const servers of [
      [one, other],
      [other, one],
    ]) {
      expect(eligibleServers({ servers }, { account: client })).toEqual([smaller]);
    }
  });

  it('excludes the stash of a node that has no record yet', () => {
    const servers = network(6);
    const stash = servers[2]?.stash ?? client;
    const eligible = eligibleServers({ servers }, { account: client, stash });
    expect(eligible.map((server) => server.endpoint)).not.toContain('server2:1');
    expect(eligible).toHaveLength(5);
  });

  it('takes non-signers first, and signers when there are no others', () => {
    const servers = network(8).map((server, index) => ({ ...server, signer: index < 5 }));
    const { chosen } = choose(servers, client);
    expect(chosen.slice(0, 3).every((server) => !server.signer)).toBe(true);
    expect(chosen.slice(3).map((server) => server.signer)).toEqual([true, true]);
  });

  it('spreads many accounts evenly', () => {
    const servers = network(20);
    const load = new Map<string, number>();
    for (let index = 0; index < 2000; index++) {
      for (const name of names(choose(servers, account(`client ${index}`)))) {
        load.set(name, (load.get(name) ?? 0) + 1);
      }
    }
    // 2000 × 5 / 20 = 500 each; the standard deviation of a fair choice is 19.4, so 100 is beyond five of them.
    expect(load.size).toBe(20);
    for (const count of load.values()) expect(Math.abs(count - 500)).toBeLessThan(100);
  });

  it('K10 moves few slots: a server that leaves the chain changes only its own clients, by one server each', () => {
    const servers = network(12);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), fc.nat(11), (clientIndex, gone) => {
        const self = account(`client ${clientIndex}`);
        const before = names(choose(servers, self));
        const after = names(choose(servers.toSpliced(gone, 1), self));
        const kept = before.filter((name) => after.includes(name));
        expect(kept).toHaveLength(before.includes(`server${gone}:1`) ? 4 : 5);
      }),
    );
  });

  it('is sticky: new servers do not displace enrolled servers', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 1, max: 30 }),
        (clientIndex, more) => {
          const self = account(`client ${clientIndex}`);
          const enrolled = choose(network(8), self).chosen.map((server) => server.account);
          const grown = choose(network(8 + more), self, { enrolled });
          expect(grown.chosen.map((server) => toHex(server.account)).sort()).toEqual(
            enrolled.map(toHex).sort(),
          );
        },
      ),
    );
  });

  it('skips unusable servers and reports them', () => {
    const servers = network(9);
    const best = names(choose(servers, client))[0];
    const choice = choose(servers, client, { isUsable: (server) => server.endpoint !== best });
    expect(choice.chosen).toHaveLength(5);
    expect(names(choice)).not.toContain(best);
    expect(choice.skipped).toEqual([
      { server: expect.objectContaining({ endpoint: best }), reason: 'unusable' },
    ]);
  });

  it('keeps to max(1, n − t) slots on one platform and one stash, also for the enrolled', () => {
    const places = fc.array(fc.record({ platform: fc.nat(4), stash: fc.nat(4) }), {
      minLength: 3,
      maxLength: 15,
    });
    fc.assert(
      fc.property(places, fc.boolean(), (all, allEnrolled) => {
        const servers = all.map(({ stash }, index) => record(index, { stash: account(`shared ${stash}`) }));
        const platformOf = ({ endpoint }: ServerRecord): string =>
          `${all[Number(endpoint.slice(6, -2))]?.platform}`;
        const enrolled = allEnrolled ? servers.map((server) => server.account) : [];
        const { chosen, missing } = choose(servers, client, { platformOf, enrolled });
        const quorum = thresholdFor(servers.length, { bootstrap: false }) ?? { t: 0, n: 0 };
        const most = mostSlotsTogether(quorum);
        for (const keyOf of [platformOf, (server: ServerRecord) => toHex(server.stash)]) {
          const groups = chosen.map(keyOf);
          for (const group of groups) {
            expect(groups.filter((other) => other === group).length).toBeLessThanOrEqual(most);
          }
        }
        expect(chosen.length + missing).toBe(quorum.n);
      }),
    );
  });

  it('a server without a known platform gets no slot', () => {
    const { chosen, missing, skipped } = choose(network(4), client, { platformOf: () => undefined });
    expect(chosen).toEqual([]);
    expect(missing).toBe(4);
    expect(skipped.map(({ reason }) => reason)).toEqual(Array(4).fill('platform-unknown'));
  });
});
