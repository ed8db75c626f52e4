import { describe, expect, it } from 'vitest';
import { type HoldQuorum, takeHold } from '../../../src/boot/heal/take-hold.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import type { LineageObserver, PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import type { Head } from '../../../src/lineage/head.ts';
import type { Incarnation, Reservation } from '../../../src/lineage/incarnation.ts';
import { deposit, type LineageFacts, NO_FACTS, reserve, show } from '../../../src/lineage/rules.ts';
import { serverAt } from '../../support/checked-slots.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);
const digest = new Uint8Array(32).fill(7);
const signal = new AbortController().signal;
const unreachable = new Error('unreachable');

/** A server that keeps the rules, or does not answer some requests. */
class Server {
  facts: LineageFacts = NO_FACTS;
  readonly asked: string[] = [];
  silent: readonly string[] = [];
  /** Requests that it answers with KEY_UNKNOWN: it was restarted, and has no slot of this boot any more. */
  unknown: readonly string[] = [];
  /** Awaited before each answer. */
  before: (path: string) => Promise<void> = async () => undefined;

  async answer(path: string, change: (facts: LineageFacts) => LineageFacts) {
    this.asked.push(path);
    await this.before(path);
    if (this.silent.includes(path)) throw unreachable;
    if (this.unknown.includes(path)) throw new PeerError({ kind: 'forgot', detail: 'KEY_UNKNOWN' });
    this.facts = change(this.facts);
    return { lineage: stateOf(this.facts) };
  }
}

/** A client of these servers, in place of the wire; the account of a server has its number in each byte. */
const clientOf = (servers: readonly Server[]): PeerClient => {
  const at = ({ account }: Pick<PeerRecord, 'account'>): Server => {
    const server = servers[account[0] ?? servers.length];
    if (server === undefined) throw unreachable;
    return server;
  };
  const client = {
    reserve: (peer: PeerRecord, _slot: unknown, wish: Reservation) =>
      at(peer).answer('reserve', (facts) => reserve(facts, wish)),
    claim: (peer: PeerRecord, _slot: unknown, from: Incarnation) =>
      at(peer).answer('claim', (facts) => show(facts, from)),
    lineageStatus: async (peer: PeerRecord, { observer }: { readonly observer: LineageObserver }) => {
      const state = await at(peer).answer('lineage-status', (facts) => facts);
      observer.observe(state.lineage);
      return state;
    },
  };
  // It asks for nothing else.
  return client as unknown as PeerClient;
};

const serversOf = (count: number) => Array.from({ length: count }, () => new Server());
const quorumOf = (servers: readonly Server[], t: number, generation = 1): HoldQuorum => ({
  // Nothing looks at the rest of peer and slot.
  targets: servers.map((_server, index) => ({
    peer: { account: serverAt(index) },
    held: { account: serverAt(200) },
    generation,
  })) as unknown as HoldQuorum['targets'],
  thresholds: new Map([[generation, t]]),
});
const boot = (byte: number, rollback?: RollbackCheck) =>
  new AccountHold(lineage, bootOf(byte), lineage.incarnation(1, bootOf(1)), rollback);
const take = (servers: readonly Server[], t: number, hold: AccountHold): Promise<boolean> =>
  takeHold(clientOf(servers), hold, quorumOf(servers, t), signal);
const shownAt = (servers: readonly Server[]) => servers.map(({ facts }) => facts.shown.number);

/** A check of a store that the first boot wrote up to sequence 10. */
async function checkOf(accepts = false): Promise<RollbackCheck> {
  const check = new RollbackCheck(lineage, [], new RollbackAcceptance(accepts));
  const found = { storeId: digest, head: { generation: 0, sequence: 10, digest } };
  await check.judge({ ...found, digestAt: () => undefined, get: async () => undefined });
  return check;
}
const newer: Head = lineage.head(lineage.incarnation(1, bootOf(1)), 11, digest);

describe('taking hold of the account', () => {
  it('reserves at all servers, then shows the mark, and holds at t of them', async () => {
    const servers = serversOf(3);
    const hold = boot(5);
    expect(await take(servers, 2, hold)).toBe(true);
    expect(hold.holds).toBe(true);
    for (const server of servers) expect(server.asked).toEqual(['reserve', 'claim']);
    expect(shownAt(servers)).toEqual([2, 2, 2]);
  });

  it('shows nothing when fewer than t servers reserve', async () => {
    const servers = serversOf(3);
    for (const server of servers.slice(1)) server.silent = ['reserve'];
    const hold = boot(5);
    expect([await take(servers, 2, hold), hold.holds]).toEqual([false, false]);
    expect(shownAt(servers)).toEqual([0, 0, 0]);
    // Once: it was not beaten, so that another number would not help.
    for (const server of servers) expect(server.asked).toEqual(['reserve']);
  });

  it('does not hold when fewer than t servers show the mark', async () => {
    const servers = serversOf(3);
    for (const server of servers.slice(1)) server.silent = ['claim'];
    const hold = boot(5);
    expect([await take(servers, 2, hold), hold.holds]).toEqual([false, false]);
  });

  it('keeps its number when it tries again: its own mark and reservation do not beat it', async () => {
    const servers = serversOf(3);
    for (const server of servers.slice(1)) server.silent = ['claim'];
    const hold = boot(5);
    expect(await take(servers, 2, hold)).toBe(false);
    for (const server of servers) server.silent = [];
    expect([await take(servers, 2, hold), hold.incarnation.number]).toEqual([true, 2]);
  });

  it('gives up after six rounds in which another boot went above it each time', async () => {
    const servers = serversOf(3);
    let number = 10;
    const overtake = (server: Server) => async (path: string) => {
      if (path === 'reserve')
        server.facts = { ...NO_FACTS, reserved: lineage.reservation(number++, bootOf(9)) };
    };
    for (const server of servers) server.before = overtake(server);
    expect(await take(servers, 2, boot(5))).toBe(false);
    for (const server of servers) expect(server.asked).toEqual(Array(6).fill('reserve'));
  });

  it('asks nobody once its caller has ended', async () => {
    const servers = serversOf(3);
    const ended = takeHold(clientOf(servers), boot(5), quorumOf(servers, 2), AbortSignal.abort());
    expect(await ended).toBe(false);
    for (const server of servers) expect(server.asked).toEqual([]);
  });

  it('asks nobody when a newer head was seen before: the disk is an older one', async () => {
    const servers = serversOf(3);
    const check = await checkOf();
    check.note({ head: newer });
    await expect(take(servers, 2, boot(5, check))).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
    for (const server of servers) expect(server.asked).toEqual([]);
  });

  it('counts servers of one generation only', async () => {
    const servers = serversOf(2);
    const [one, other] = quorumOf(servers, 2).targets;
    if (one === undefined || other === undefined) throw new Error('no targets');
    const thresholds = new Map([
      [1, 2],
      [2, 2],
    ]);
    const mixed = { targets: [one, { ...other, generation: 2 }], thresholds };
    expect(await takeHold(clientOf(servers), boot(5), mixed, signal)).toBe(false);
    expect(shownAt(servers)).toEqual([0, 0]);
  });

  it('goes above a number that is taken below t, and keeps one that t servers accept', async () => {
    const taken = { ...NO_FACTS, reserved: lineage.reservation(7, bootOf(9)) };
    const servers = serversOf(3);
    for (const server of servers.slice(1)) server.facts = taken;
    const above = boot(5);
    expect([await take(servers, 2, above), above.incarnation.number]).toEqual([true, 8]);
    const mostly = serversOf(3);
    for (const server of mostly.slice(2)) server.facts = taken;
    const kept = boot(5);
    expect([await take(mostly, 2, kept), kept.incarnation.number]).toEqual([true, 2]);
  });

  it('goes above a mark of its node that one of the servers shows', async () => {
    const servers = serversOf(3);
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    first.facts = show(NO_FACTS, lineage.incarnation(5, bootOf(9)));
    const hold = boot(5);
    expect(await take(servers, 3, hold)).toBe(true);
    expect(shownAt(servers)).toEqual([6, 6, 6]);
  });

  it('does not hold when a newer mark was shown meanwhile, although t servers show its own: it goes above', async () => {
    const servers = serversOf(3);
    const [one, two, last] = servers;
    if (one === undefined || two === undefined || last === undefined) throw new Error('no server');
    let isFirst = true;
    last.before = async (path) => {
      if (path !== 'claim' || !isFirst) return;
      isFirst = false;
      last.facts = show(last.facts, lineage.incarnation(5, bootOf(9)));
    };
    // The other two answer later.
    for (const server of [one, two]) {
      server.before = async () => {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      };
    }
    const hold = boot(5);
    expect(await take(servers, 2, hold)).toBe(true);
    expect([hold.incarnation.number, hold.overtakenBy]).toEqual([6, undefined]);
  });

  it('is stopped by a newer head in an answer to a reservation, before its mark is shown anywhere', async () => {
    const servers = serversOf(3);
    const [, , last] = servers;
    if (last === undefined) throw new Error('no server');
    last.facts = deposit(show(NO_FACTS, newer.incarnation), newer.incarnation, newer);
    const hold = boot(5, await checkOf());
    // One server that remembers it is enough, although the other two would do.
    await expect(take(servers, 3, hold)).rejects.toMatchObject({
      code: 'STORE_ROLLED_BACK',
    });
    expect(hold.holds).toBe(false);
    for (const server of servers) expect(server.asked).not.toContain('claim');
  });

  it('is stopped by a head that reached a server after the reservation', async () => {
    const servers = serversOf(3);
    for (const server of servers) {
      server.before = async (path) => {
        if (path !== 'claim') return;
        server.facts = deposit(show(server.facts, newer.incarnation), newer.incarnation, newer);
      };
    }
    const hold = boot(5, await checkOf());
    await expect(take(servers, 3, hold)).rejects.toMatchObject({
      code: 'STORE_ROLLED_BACK',
    });
    expect(hold.holds).toBe(false);
  });

  it.each(['reserve', 'claim'])('learns of a newer mark where its slot is gone, at the %s', async (path) => {
    const servers = serversOf(3);
    const hold = boot(5);
    for (const server of servers.slice(1)) {
      server.unknown = [path];
      server.facts = show(NO_FACTS, lineage.incarnation(9, bootOf(9)));
      // Its own answer to a reservation would show the mark, too.
      server.before = async (asked) => {
        if (asked === 'reserve') server.facts = NO_FACTS;
        if (asked === path) server.facts = show(NO_FACTS, lineage.incarnation(9, bootOf(9)));
      };
    }
    expect(await take(servers, 2, hold)).toBe(false);
    expect(hold.incarnation.number).toBe(10);
  });

  it('is stopped by a newer head at a server that was restarted since, and asks only such a server for it', async () => {
    const servers = serversOf(3);
    for (const server of servers.slice(1)) {
      server.unknown = ['reserve'];
      server.facts = deposit(show(NO_FACTS, newer.incarnation), newer.incarnation, newer);
    }
    await expect(take(servers, 2, boot(5, await checkOf()))).rejects.toMatchObject({
      code: 'STORE_ROLLED_BACK',
    });
    expect(servers.map(({ asked }) => asked.filter((path) => path === 'lineage-status').length)).toEqual([
      0, 1, 1,
    ]);
  });

  it('is refused where the lineage is closed', async () => {
    const servers = serversOf(3);
    for (const server of servers) server.facts = { ...NO_FACTS, closed: true };
    expect(await take(servers, 2, boot(5))).toBe(false);
    expect(shownAt(servers)).toEqual([0, 0, 0]);
  });
});

describe('two boots of one node that take hold at the same time', () => {
  it('in any order of the answers exactly one holds in the end, and the other one knows of it', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const dice = seededDice(seed);
      const servers = serversOf(3);
      const turns = (): Promise<void> => {
        const count = dice.bytes(1)[0] ?? 0;
        return Array.from({ length: count % 9 }).reduce<Promise<void>>(
          (last) => last.then(() => undefined),
          Promise.resolve(),
        );
      };
      for (const server of servers) server.before = turns;
      const boots = [boot(5), boot(6)];
      const later = async (hold: AccountHold): Promise<void> => {
        for (let attempt = 0; attempt < 20 && !hold.holds; attempt++) await take(servers, 2, hold);
      };
      await Promise.all(boots.map(later));
      // Each shows its mark again, as at every look at its slots.
      for (const hold of boots) {
        for (const server of servers) {
          if (hold.holds) server.facts = show(server.facts, hold.incarnation);
          hold.observe(stateOf(server.facts));
        }
      }
      const writing = boots.filter(({ holds, overtakenBy }) => holds && overtakenBy === undefined);
      expect(writing, `seed ${seed}`).toHaveLength(1);
    }
  });
});
