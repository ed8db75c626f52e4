import { afterEach, describe, expect, it } from 'vitest';
import { Dealer } from '../../../src/epochs/dealer.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { Player } from '../../../src/epochs/player.ts';
import { stateDigest } from '../../../src/epochs/state-digest.ts';
import type { SealedStore } from '../../../src/store/sealed-store.ts';
import { survivals } from '../../support/disk-survival.ts';
import {
  bytesOf,
  journalAt,
  keyOf,
  roundOf,
  schemeOf,
  secretOf,
  stateOf,
} from '../../support/dkg-members.ts';
import { newEpochDisk, openEpochStore } from '../../support/epoch-disk.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';

const dealing = (text: string) => ({
  publicMessage: bytesOf(text),
  privateMessage: secretOf(`${text} private`),
});
const share = (text: string) => ({ index: 1, scalar: secretOf(text) });

/** Stores that a test opened; a cut one cannot be closed, which is no concern of the test. */
const opened: SealedStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close().catch(() => undefined);
});

async function openOn(disk: SimulatedDisk, seed: number) {
  const store = await openEpochStore(disk, seed);
  opened.push(store);
  return { store, journal: await EpochJournal.open(store) };
}

/** A disk with a journal in epoch 1, and something in epochs 0 and 1. */
async function grown(): Promise<SimulatedDisk> {
  const { disk, store } = await newEpochDisk();
  const journal = await journalAt(0, 'seed 0', store);
  await journal.appendDealing(0, keyOf('a'), dealing('old'));
  await journal.commitEpoch(1, stateOf('seed 1', { round: 1, share: share('share 1') }));
  await journal.appendDealing(1, keyOf('a'), dealing('a'));
  await journal.appendAck(1, keyOf('a'), bytesOf('ack a'));
  await store.close();
  return disk;
}

/** Every operation that writes, and what must be there once it was acknowledged. */
const rows: readonly {
  readonly row: string;
  readonly act: (journal: EpochJournal) => Promise<unknown>;
  readonly done: (journal: EpochJournal) => boolean | Promise<boolean>;
}[] = [
  {
    row: 'E2 E4 appendDealing',
    act: (journal) => journal.appendDealing(1, keyOf('b'), dealing('b')),
    done: async (journal) =>
      (await journal.privateDealing(1, keyOf('b')))?.equals(secretOf('b private')) ?? false,
  },
  {
    row: 'E2 the first record of an epoch',
    act: (journal) => journal.appendDealing(2, keyOf('b'), dealing('b')),
    done: (journal) => journal.dealings(2).length === 1,
  },
  {
    row: 'E2 appendAck',
    act: (journal) => journal.appendAck(1, keyOf('b'), bytesOf('ack b')),
    done: (journal) => journal.acks(1).length === 2,
  },
  {
    row: 'E2 appendLog',
    act: (journal) => journal.appendLog(1, keyOf('b'), bytesOf('log b')),
    done: (journal) => journal.hasLog(1, keyOf('b')),
  },
  {
    row: 'E6 appendEvidence',
    act: (journal) => journal.appendEvidence(1, keyOf('b'), bytesOf('proof')),
    done: (journal) => journal.evidence(1).length === 1,
  },
  {
    row: 'E3 commitEpoch: share, seed, then the epoch',
    act: (journal) => journal.commitEpoch(2, stateOf('seed 2', { round: 2, share: share('share 2') })),
    done: async (journal) =>
      journal.current()?.number === 2 &&
      ((await journal.secrets.getShare(2))?.scalar.equals(secretOf('share 2')) ?? false) &&
      ((await journal.secrets.getSeed(2))?.equals(secretOf('seed 2')) ?? false),
  },
  {
    row: 'E9 prune',
    act: (journal) => journal.prune(1),
    done: async (journal) =>
      journal.prunedBelow === 1 &&
      journal.dealings(0).length === 0 &&
      (await journal.secrets.getSeed(0)) === undefined,
  },
  {
    row: 'E16 putDealing',
    act: (journal) => journal.secrets.putDealing(1, keyOf('c'), secretOf('part')),
    done: async (journal) =>
      (await journal.secrets.getDealing(1, keyOf('c')))?.equals(secretOf('part')) ?? false,
  },
];

describe('every mutating row, cut at every step of the disk', () => {
  it.each(rows)('$row', { timeout: 120_000 }, async ({ act, done }) => {
    const base = await grown();
    const whole = base.clone();
    const before = whole.steps;
    const undisturbed = await openOn(whole, 3);
    const opening = whole.steps - before;
    await act(undisturbed.journal);
    const steps = whole.steps - before - opening;
    expect(steps).toBeGreaterThan(0);
    expect(await done(undisturbed.journal)).toBe(true);
    for (let cut = 1; cut <= steps + 1; cut++) {
      for (const [at, survival] of survivals.entries()) {
        const disk = base.clone();
        const { journal } = await openOn(disk, 4);
        disk.cutAt(disk.steps + cut);
        const acknowledged = await act(journal).then(
          () => true,
          () => false,
        );
        expect(acknowledged).toBe(cut > steps);
        const { journal: again } = await openOn(disk.afterPowerCut(survival, cut * 10 + at), 5);
        if (acknowledged) expect(await done(again)).toBe(true);
        expect(again.current()?.number).toBeGreaterThanOrEqual(1);
        expect((await again.privateDealing(1, keyOf('a')))?.equals(secretOf('a private'))).toBe(true);
        expect(again.acks(1)[0]?.message).toBeDefined();
        expect((await again.secrets.getShare(1))?.scalar.equals(secretOf('share 1'))).toBe(true);
        // Whatever was left, the same again completes it.
        await act(again);
        expect(await done(again)).toBe(true);
        if (at > 0) continue;
        // Recovery is deterministic: what was left gives the same journal again.
        const digest = stateDigest(again);
        const third = await openOn(disk.afterPowerCut(survival, cut * 10 + at), 6);
        await act(third.journal);
        expect(stateDigest(third.journal)).toBe(digest);
      }
    }
  });
});

describe('E4 ack only after durable dealing: the player on a real store', () => {
  const schemes = [schemeOf(0), schemeOf(1), schemeOf(2), schemeOf(3)] as const;
  const [dealerScheme, playerScheme] = schemes;
  const round = roundOf(schemes, 0);

  async function shipment() {
    const dealer = await Dealer.create({
      journal: await journalAt(0, 'dealer'),
      scheme: dealerScheme,
      round,
    });
    const part = dealer
      ?.sharesToDistribute()
      .find(({ player }) => Buffer.compare(player, playerScheme.self.publicKey) === 0);
    if (part === undefined) throw new Error('nothing to send');
    return part;
  }

  async function baseDisk(): Promise<SimulatedDisk> {
    const { disk, store } = await newEpochDisk();
    await journalAt(0, 'player', store);
    await store.close();
    return disk;
  }

  async function playerOn(disk: SimulatedDisk, seed: number) {
    const { journal } = await openOn(disk, seed);
    const player = await Player.create({ journal, scheme: playerScheme, round });
    if (player === undefined) throw new Error('no player');
    return { player, journal };
  }

  it('cut at every step: the same ack or none, and an ack means that the dealing is there', {
    timeout: 60_000,
  }, async () => {
    const { publicMessage, sealed } = await shipment();
    const base = await baseDisk();
    const expected = playerScheme.signAck(round, dealerScheme.self.publicKey, publicMessage);
    const outcomes = { ack: 0, none: 0 };
    for (let cut = 1; outcomes.ack === 0; cut++) {
      for (const survival of survivals) {
        const disk = base.clone();
        const { player } = await playerOn(disk, 4);
        disk.cutAt(disk.steps + cut);
        const answer = await player
          .handle(dealerScheme.self.publicKey, publicMessage, sealed)
          .catch(() => ({ verdict: 'none' as const }));
        const left = await playerOn(disk.afterPowerCut(survival, cut), 5);
        if (answer.verdict === 'valid') {
          expect(answer.ack).toEqual(expected);
          expect(left.journal.dealing(0, dealerScheme.self.publicKey)).toEqual(publicMessage);
          outcomes.ack += 1;
        } else outcomes.none += 1;
        const later = await left.player.handle(dealerScheme.self.publicKey, publicMessage, sealed);
        expect(later).toEqual({ verdict: 'valid', ack: expected });
      }
    }
    expect(outcomes.none).toBeGreaterThan(survivals.length);
  });

  it('fsync fails: no ack until the store is opened again; then the same ack', async () => {
    const { publicMessage, sealed } = await shipment();
    for (const dropsDirty of [true, false]) {
      const disk = (await baseDisk()).clone();
      const { player, journal } = await playerOn(disk, 4);
      disk.inject(({ kind }) => (kind === 'sync' ? { code: 'EIO', dropsDirty } : undefined));
      const handle = (by: Player) => by.handle(dealerScheme.self.publicKey, publicMessage, sealed);
      await expect(handle(player)).rejects.toMatchObject({ family: 'problem' });
      disk.inject(undefined);
      await expect(handle(player)).rejects.toMatchObject({ family: 'problem' });
      expect(journal.dealings(0)).toEqual([]);
      const again = await playerOn(disk.afterPowerCut('lost', 1), 5);
      expect(await handle(again.player)).toMatchObject({ verdict: 'valid' });
    }
  });

  it('disk full: no ack; once there is room the same dealing gets an ack', async () => {
    const { publicMessage, sealed } = await shipment();
    const disk = (await baseDisk()).clone();
    const { player } = await playerOn(disk, 4);
    disk.inject(({ kind }) => (kind === 'write' ? { code: 'ENOSPC', writtenBytes: 100 } : undefined));
    const handle = () => player.handle(dealerScheme.self.publicKey, publicMessage, sealed);
    await expect(handle()).rejects.toMatchObject({ family: 'problem' });
    disk.inject(undefined);
    expect(await handle()).toMatchObject({ verdict: 'valid' });
  });
});
