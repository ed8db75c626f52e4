import { describe, expect, it } from 'vitest';
import { Dealer } from '../../../src/epochs/dealer.ts';
import type { Round } from '../../../src/epochs/dkg-scheme.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { decodeEquivocation, provesEquivocation } from '../../../src/epochs/equivocation.ts';
import type { FeldmanScheme } from '../../../src/epochs/feldman/feldman-scheme.ts';
import { Player } from '../../../src/epochs/player.ts';
import { concludeRound, recordLog } from '../../../src/epochs/round-logs.ts';
import { bytesOf, journalAt, keyOf, roundOf, schemeOf, secretOf } from '../../support/dkg-members.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const schemes = [schemeOf(0), schemeOf(1), schemeOf(2), schemeOf(3)] as const;
const [zero, one, two, three] = schemes;
const round = roundOf(schemes, 0);

async function dealerOf(scheme: FeldmanScheme, store = new MemoryStore(), seed = 'seed') {
  const journal = await journalAt(0, seed, store);
  const dealer = await Dealer.create({ journal, scheme, round });
  if (dealer === undefined) throw new Error('no dealer');
  return { journal, dealer, store };
}

async function playerOf(scheme: FeldmanScheme, store = new MemoryStore()) {
  const journal = await journalAt(0, 'seed of the player', store);
  const player = await Player.create({ journal, scheme, round });
  if (player === undefined) throw new Error('no player');
  return { journal, player, store };
}

/** What the dealer would send to this player. */
function shipment(dealer: Dealer, to: FeldmanScheme) {
  const mine = dealer
    .sharesToDistribute()
    .find(({ player }) => Buffer.compare(player, to.self.publicKey) === 0);
  if (mine === undefined) throw new Error('nothing to send');
  return mine;
}

const ackOf = (player: FeldmanScheme, dealer: FeldmanScheme, publicMessage: Uint8Array, of: Round = round) =>
  player.signAck(of, dealer.self.publicKey, publicMessage);

describe('E4 ack only after durable dealing', () => {
  it('the ack waits for the disk', async () => {
    const { dealer } = await dealerOf(zero);
    let armed = false;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const store = new MemoryStore({ afterWrite: () => (armed ? held : undefined) });
    const { player, journal } = await playerOf(one, store);
    armed = true;
    const { publicMessage, sealed } = shipment(dealer, one);
    let answered = false;
    const answer = player.handle(zero.self.publicKey, publicMessage, sealed).then((result) => {
      answered = true;
      return result;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    expect(journal.dealings(0)).toEqual([]);
    release();
    expect(await answer).toMatchObject({ verdict: 'valid' });
    expect(journal.dealings(0)).toHaveLength(1);
  });

  it('no ack is given when any write fails; later the same dealing gets an ack', async () => {
    const { dealer } = await dealerOf(zero);
    const { publicMessage, sealed } = shipment(dealer, one);
    for (let failing = 0; failing < 2; failing++) {
      let writes = Number.NEGATIVE_INFINITY;
      const store = new MemoryStore({
        beforeWrite: () => {
          if (writes++ === failing) throw new Error('EIO');
        },
      });
      const { player, journal } = await playerOf(one, store);
      writes = 0;
      await expect(player.handle(zero.self.publicKey, publicMessage, sealed)).rejects.toThrow('EIO');
      expect(journal.dealings(0)).toEqual([]);
      const again = await player.handle(zero.self.publicKey, publicMessage, sealed);
      expect(again).toEqual({ verdict: 'valid', ack: ackOf(one, zero, publicMessage) });
    }
  });
});

describe('E5 dealer restart', () => {
  it('the restarted dealer deals the same polynomial and the same parts from its seed', async () => {
    const { dealer, store } = await dealerOf(zero);
    const journal = await EpochJournal.open(store);
    const again = await Dealer.create({ journal, scheme: schemeOf(0), round });
    expect(again?.sharesToDistribute()).toEqual(dealer.sharesToDistribute());
    const { dealer: other } = await dealerOf(zero, new MemoryStore(), 'another seed');
    expect(other.publicMessage).not.toEqual(dealer.publicMessage);
  });

  it('the restarted dealer replays its acks and asks only the other players', async () => {
    const { dealer, store } = await dealerOf(zero);
    for (const player of [one, two])
      expect(await dealer.handle(player.self.publicKey, ackOf(player, zero, dealer.publicMessage))).toBe(
        'valid',
      );
    const again = await Dealer.create({ journal: await EpochJournal.open(store), scheme: zero, round });
    const asked = again?.sharesToDistribute().map(({ player }) => player);
    expect(asked).toEqual(dealer.sharesToDistribute().map(({ player }) => player));
    expect(asked).toHaveLength(2);
  });

  it('an ack in the journal that does not verify does not count', async () => {
    const { journal } = await dealerOf(zero);
    await journal.appendAck(0, one.self.publicKey, new Uint8Array(64));
    const again = await Dealer.create({ journal, scheme: zero, round });
    expect(again?.sharesToDistribute()).toHaveLength(4);
  });

  it('a node is not a dealer after its own log is recorded, without a seed, or in a round of others', async () => {
    const { dealer, journal } = await dealerOf(zero);
    for (const player of schemes)
      await dealer.handle(player.self.publicKey, ackOf(player, zero, dealer.publicMessage));
    dealer.finalize();
    const log = dealer.takeFinalized() ?? new Uint8Array(0);
    expect(await recordLog({ journal, scheme: zero, round }, zero.self.publicKey, log)).toBe('valid');
    expect(await Dealer.create({ journal, scheme: zero, round })).toBeUndefined();
    expect(await Dealer.create({ journal, scheme: zero, round: roundOf(schemes, 9) })).toBeUndefined();
    expect(await Dealer.create({ journal, scheme: schemeOf(7), round })).toBeUndefined();
  });
});

describe('E6 player: same dealer twice gives the same ack; different content never a second; evidence is kept', () => {
  it('concurrently, repeated, and after a restart', async () => {
    const { dealer } = await dealerOf(zero);
    const { player, store } = await playerOf(one);
    const { publicMessage, sealed } = shipment(dealer, one);
    const handle = (by: Player) => by.handle(zero.self.publicKey, publicMessage, sealed);
    const [first, second] = await Promise.all([handle(player), handle(player)]);
    expect(first).toMatchObject({ verdict: 'valid' });
    expect(second).toEqual(first);
    const { writes } = store;
    expect(await handle(player)).toEqual(first);
    expect(store.writes).toBe(writes);
    const again = await Player.create({
      journal: await EpochJournal.open(store),
      scheme: schemeOf(1),
      round,
    });
    expect(again && (await handle(again))).toEqual(first);
  });

  it('two dealings of one dealer, in any order, before and after a restart: one ack, and a public proof', async () => {
    const { dealer } = await dealerOf(zero, new MemoryStore(), 'seed A');
    const { dealer: forked } = await dealerOf(zero, new MemoryStore(), 'seed B');
    const { player, store } = await playerOf(one);
    const both = [shipment(dealer, one), shipment(forked, one)];
    const answers = await Promise.all(
      both.map(({ publicMessage, sealed }) => player.handle(zero.self.publicKey, publicMessage, sealed)),
    );
    expect(answers.map(({ verdict }) => verdict)).toEqual(['valid', 'fault']);
    expect(answers[1]).toEqual({ verdict: 'fault', reason: 'equivocation' });
    const journal = await EpochJournal.open(store);
    const again = await Player.create({ journal, scheme: one, round });
    const late = await again?.handle(
      zero.self.publicKey,
      both[1]?.publicMessage ?? new Uint8Array(0),
      bytesOf('x'),
    );
    expect(late).toEqual({ verdict: 'fault', reason: 'equivocation' });
    const [entry] = journal.evidence(0);
    expect(entry?.participant).toEqual(zero.self.publicKey);
    const proof = decodeEquivocation(entry?.message ?? new Uint8Array(0));
    expect(provesEquivocation(two, round, zero.self.publicKey, proof)).toBe(true);
    expect(provesEquivocation(two, round, three.self.publicKey, proof)).toBe(false);
    const same = { first: proof.first, second: proof.first };
    expect(provesEquivocation(two, round, zero.self.publicKey, same)).toBe(false);
  });

  it('an unsigned second dealing is no evidence against the dealer', async () => {
    const { dealer } = await dealerOf(zero);
    const { player, journal } = await playerOf(one);
    const { publicMessage, sealed } = shipment(dealer, one);
    await player.handle(zero.self.publicKey, publicMessage, sealed);
    const forged = publicMessage.map((byte, at) => (at === publicMessage.length - 1 ? byte ^ 1 : byte));
    expect(await player.handle(zero.self.publicKey, forged, sealed)).toEqual({
      verdict: 'fault',
      reason: 'invalid',
    });
    expect(journal.evidence(0)).toEqual([]);
  });

  it('an invalid dealing is a fault, an unknown dealer is skipped, and nothing is written', async () => {
    const { dealer } = await dealerOf(zero);
    const { player, store } = await playerOf(one);
    const { writes } = store;
    const { publicMessage, sealed } = shipment(dealer, one);
    const wrongPart = shipment(dealer, two).sealed;
    expect(await player.handle(zero.self.publicKey, publicMessage, wrongPart)).toMatchObject({
      verdict: 'fault',
    });
    expect(await player.handle(zero.self.publicKey, new Uint8Array(0), sealed)).toMatchObject({
      verdict: 'fault',
    });
    for (const stranger of [keyOf('stranger'), new Uint8Array(0), new Uint8Array(31), new Uint8Array(1000)])
      expect(await player.handle(stranger, publicMessage, sealed)).toEqual({ verdict: 'skip' });
    expect(store.writes).toBe(writes);
    expect(await player.handle(zero.self.publicKey, publicMessage, sealed)).toMatchObject({
      verdict: 'valid',
    });
  });
});

describe('E7 unknown player, finalized dealer, duplicate, invalid ack: skip, skip, skip, fault', () => {
  it('unknown player', async () => {
    const { dealer } = await dealerOf(zero);
    for (const stranger of [keyOf('stranger'), new Uint8Array(0), new Uint8Array(33)])
      expect(await dealer.handle(stranger, ackOf(one, zero, dealer.publicMessage))).toBe('skip');
  });

  it('finalized dealer', async () => {
    const { dealer, journal } = await dealerOf(zero);
    dealer.finalize();
    expect(await dealer.handle(one.self.publicKey, ackOf(one, zero, dealer.publicMessage))).toBe('skip');
    expect(journal.acks(0)).toEqual([]);
  });

  it('duplicate, also while the first is being written', async () => {
    const { dealer, store } = await dealerOf(zero);
    const ack = ackOf(one, zero, dealer.publicMessage);
    const answers = await Promise.all([
      dealer.handle(one.self.publicKey, ack),
      dealer.handle(one.self.publicKey, ack),
    ]);
    expect(answers).toEqual(['valid', 'skip']);
    const { writes } = store;
    expect(await dealer.handle(one.self.publicKey, ack)).toBe('skip');
    expect(store.writes).toBe(writes);
  });

  it('invalid ack: of another player, another dealing, another round, or junk', async () => {
    const { dealer, journal } = await dealerOf(zero);
    const { publicMessage } = dealer;
    for (const ack of [
      ackOf(two, zero, publicMessage),
      ackOf(one, zero, bytesOf('another')),
      ackOf(one, two, publicMessage),
      ackOf(one, zero, publicMessage, roundOf(schemes, 1)),
      new Uint8Array(64),
      new Uint8Array(0),
    ])
      expect(await dealer.handle(one.self.publicKey, ack)).toBe('fault');
    expect(journal.acks(0)).toEqual([]);
    expect(await dealer.handle(one.self.publicKey, ackOf(one, zero, publicMessage))).toBe('valid');
  });

  it('an ack that could not be written is expected again', async () => {
    let failing = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (failing) throw new Error('ENOSPC');
      },
    });
    const { dealer } = await dealerOf(zero, store);
    const ack = ackOf(one, zero, dealer.publicMessage);
    failing = true;
    await expect(dealer.handle(one.self.publicKey, ack)).rejects.toThrow('ENOSPC');
    expect(dealer.sharesToDistribute()).toHaveLength(4);
    failing = false;
    expect(await dealer.handle(one.self.publicKey, ack)).toBe('valid');
  });

  it('a dealer finalizes once; the log can be read until it is taken', async () => {
    const { dealer } = await dealerOf(zero);
    expect(dealer.finalized()).toBeUndefined();
    for (const player of [zero, one, two])
      await dealer.handle(player.self.publicKey, ackOf(player, zero, dealer.publicMessage));
    dealer.finalize();
    dealer.finalize();
    const log = dealer.finalized();
    expect(log && one.readLog(round, zero.self.publicKey, log)).toBeDefined();
    expect(dealer.takeFinalized()).toEqual(log);
    expect(dealer.takeFinalized()).toBeUndefined();
    expect(dealer.finalized()).toBeUndefined();
  });

  it('a dealer has no log when too many acks are missing', async () => {
    const { dealer } = await dealerOf(zero);
    dealer.finalize();
    expect(dealer.finalized()).toBeUndefined();
  });
});

/** A whole first round in which everyone acknowledges everything; returns the nodes. */
async function wholeRound() {
  const nodes = await Promise.all(
    schemes.map(async (scheme, at) => {
      const store = new MemoryStore();
      const journal = await journalAt(0, `seed ${at}`, store);
      const dealer = await Dealer.create({ journal, scheme, round });
      const player = await Player.create({ journal, scheme, round });
      if (dealer === undefined || player === undefined) throw new Error('no roles');
      return { store, journal, scheme, dealer, player };
    }),
  );
  for (const from of nodes) {
    const dealerKey = from.scheme.self.publicKey;
    for (const to of nodes) {
      const { publicMessage, sealed } = shipment(from.dealer, to.scheme);
      const answer = await to.player.handle(dealerKey, publicMessage, sealed);
      if (answer.verdict === 'valid') await from.dealer.handle(to.scheme.self.publicKey, answer.ack);
    }
    from.dealer.finalize();
    const log = from.dealer.takeFinalized() ?? new Uint8Array(0);
    for (const { journal, scheme } of nodes) await recordLog({ journal, scheme, round }, dealerKey, log);
  }
  return nodes;
}

describe('E8 missing private dealing gives an observer, not a crash', () => {
  it('the observer knows the output, has no share, and does not disturb the other players', async () => {
    const [node, other] = await wholeRound();
    if (node === undefined || other === undefined) throw new Error('no nodes');
    const secrets = await node.store.namespace('epochs/dkg/secrets/0000000000000000', { erasable: true });
    for (const name of [...secrets.names({ prefix: 'dealing/' })]) await secrets.delete(name);
    const journal = await EpochJournal.open(node.store);
    const membership = { journal, scheme: node.scheme, round };
    expect(await Player.create(membership)).toBeUndefined();
    const observed = await concludeRound(membership);
    const known = await concludeRound({ journal: other.journal, scheme: other.scheme, round });
    expect(observed?.output).toEqual(known?.output);
    expect(observed?.share).toBeUndefined();
    expect(known?.share).toBeDefined();
    await journal.commitEpoch(1, { round: 1, rngSeed: secretOf('next'), ...observed });
    const next = roundOf(schemes, 1, observed?.output);
    expect(await Dealer.create({ journal, scheme: node.scheme, round: next })).toBeUndefined();
    expect(await Player.create({ journal, scheme: node.scheme, round: next })).toBeDefined();
  });

  it('a node without a log with its own ack stays a player', async () => {
    const { dealer } = await dealerOf(zero);
    const { player, store } = await playerOf(one);
    const { publicMessage, sealed } = shipment(dealer, one);
    const first = await player.handle(zero.self.publicKey, publicMessage, sealed);
    const secrets = await store.namespace('epochs/dkg/secrets/0000000000000000', { erasable: true });
    for (const name of [...secrets.names({ prefix: 'dealing/' })]) await secrets.delete(name);
    const again = await Player.create({ journal: await EpochJournal.open(store), scheme: one, round });
    expect(await again?.handle(zero.self.publicKey, publicMessage, sealed)).toEqual(first);
  });

  it('an invalid log is a fault; a second log and an unknown dealer are skipped', async () => {
    const [node] = await wholeRound();
    if (node === undefined) throw new Error('no node');
    const journal = await journalAt(0, 'seed', new MemoryStore());
    const membership = { journal, scheme: node.scheme, round };
    const [log] = node.journal.logs(0);
    if (log === undefined) throw new Error('no log');
    expect(await recordLog(membership, log.participant, bytesOf('junk'))).toBe('fault');
    expect(await recordLog(membership, keyOf('stranger'), log.message)).toBe('skip');
    expect(await recordLog(membership, log.participant, log.message)).toBe('valid');
    expect(await recordLog(membership, log.participant, log.message)).toBe('skip');
    expect(await concludeRound(membership)).toBeUndefined();
  });
});

describe('finalize with a threshold', () => {
  /** A dealer that has the acks of this many players. */
  async function acknowledged(acks: number) {
    const { dealer } = await dealerOf(zero);
    for (const scheme of schemes.slice(0, acks)) {
      const ack = ackOf(scheme, zero, dealer.publicMessage);
      expect(await dealer.handle(scheme.self.publicKey, ack)).toBe('valid');
    }
    return dealer;
  }

  it.each([
    [3, undefined, true],
    [3, 0, true],
    [3, 3, true],
    [3, 4, false],
    [4, 4, true],
    // The scheme needs three of four, also when the caller would accept fewer.
    [2, 2, false],
    [2, undefined, false],
  ])('%i acks with the threshold %s: a log is %s', async (acks, threshold, hasLog) => {
    const dealer = await acknowledged(acks);
    dealer.finalize(threshold);
    expect(dealer.finalized() !== undefined).toBe(hasLog);
    dealer.finalize();
    expect(dealer.finalized() !== undefined).toBe(hasLog);
  });

  it.each([-1, 5, 1.5, Number.NaN])(
    'a threshold of %d is refused, and the dealing continues',
    async (threshold) => {
      const dealer = await acknowledged(3);
      expect(() => dealer.finalize(threshold)).toThrow(RangeError);
      const ack = ackOf(three, zero, dealer.publicMessage);
      expect(await dealer.handle(three.self.publicKey, ack)).toBe('valid');
      dealer.finalize(4);
      expect(dealer.finalized()).toBeDefined();
    },
  );
});
