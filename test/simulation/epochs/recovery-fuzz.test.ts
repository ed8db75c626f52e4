import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import type { SealedStore } from '../../../src/store/sealed-store.ts';
import { type Dice, seededDice } from '../../support/disk-dice.ts';
import { survivals } from '../../support/disk-survival.ts';
import { bytesOf, keyOf, secretOf, stateOf } from '../../support/dkg-members.ts';
import { newEpochDisk, openEpochStore } from '../../support/epoch-disk.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';
import { type Kind, kinds, RecoveryModel, shown } from './recovery-model.ts';

const OPERATIONS = 128;
const SEGMENT_BYTES = 4096;
/** More with LATCHKEY_EPOCH_SEEDS, for a long run. */
const seeds = Array.from({ length: Number(process.env['LATCHKEY_EPOCH_SEEDS'] ?? 2) * 6 }, (_, at) => at + 1);

/** A journal on a machine that may lose its power between any two operations of the disk. */
class Fuzzer {
  readonly #dice: Dice;
  readonly #model = new RecoveryModel();
  #disk: SimulatedDisk;
  #store: SealedStore;
  #journal: EpochJournal;
  #counter = 0;
  recoveries = 0;

  private constructor(dice: Dice, disk: SimulatedDisk, store: SealedStore, journal: EpochJournal) {
    this.#dice = dice;
    this.#disk = disk;
    this.#store = store;
    this.#journal = journal;
  }

  static async start(seed: number): Promise<Fuzzer> {
    const { disk, store } = await newEpochDisk(seed, SEGMENT_BYTES);
    const journal = await EpochJournal.open(store);
    await journal.commitEpoch(0, stateOf('seed'));
    return new Fuzzer(seededDice(seed), disk, store, journal);
  }

  async step(): Promise<void> {
    const choice = this.#dice.below(20);
    // Armed, and the next operations run until the power goes.
    if (choice === 0) this.#disk.cutAt(this.#disk.steps + 1 + this.#dice.below(12));
    else if (choice === 1) this.#armFault();
    else if (choice === 2) await this.#recover();
    else if (choice === 3) await this.#commit();
    else if (choice === 4) await this.#prune();
    else if (choice === 5) this.#read();
    else if (choice === 6)
      await Promise.all([this.#append(), this.#append(), this.#append(), this.#append()]);
    else await this.#append();
  }

  async end(): Promise<void> {
    await this.#recover();
    await this.#store.close();
  }

  #armFault(): void {
    const at = this.#disk.steps + this.#dice.below(8);
    const dropsDirty = this.#dice.chance(0.5);
    const code = this.#dice.pick(['EIO', 'ENOSPC']);
    this.#disk.inject(({ kind, step }) => {
      const fails = step >= at && (kind === 'write' || kind === 'sync' || kind === 'create');
      return fails ? { code, dropsDirty, writtenBytes: 5 } : undefined;
    });
  }

  async #append(): Promise<void> {
    const epoch = Math.max(0, (this.#journal.current()?.number ?? 0) - this.#dice.below(3));
    const kind = this.#dice.pick(kinds);
    const participant = keyOf(`participant ${this.#dice.below(6)}`);
    const message = this.#dice.bytes(1 + this.#dice.below(600));
    const name = `${kind}/${toHex(participant)}`;
    if (epoch >= this.#journal.prunedBelow && !this.#model.has(epoch, name))
      this.#model.tries(epoch, name, toHex(message));
    await this.#attempt(async () => {
      if (await this.#write(kind, epoch, participant, message)) {
        this.#model.acknowledged(epoch, name, toHex(message));
        expect(shown(this.#journal, epoch).get(name)).toBe(toHex(message));
      }
    });
  }

  #write(kind: Kind, epoch: number, participant: Uint8Array, message: Uint8Array): Promise<boolean> {
    const journal = this.#journal;
    if (kind === 'acks') return journal.appendAck(epoch, participant, message);
    if (kind === 'logs') return journal.appendLog(epoch, participant, message);
    if (kind === 'evidence') return journal.appendEvidence(epoch, participant, message);
    const privateMessage = secretOf(toHex(message));
    return journal.appendDealing(epoch, participant, { publicMessage: message, privateMessage });
  }

  async #commit(): Promise<void> {
    const next = (this.#journal.current()?.number ?? 0) + 1 + this.#dice.below(2);
    this.#counter += 1;
    this.#model.triesEpoch(next);
    const share = { index: 1, scalar: secretOf(`share ${next}`) };
    await this.#attempt(async () => {
      await this.#journal.commitEpoch(next, stateOf(`seed ${this.#counter}`, { round: next, share }));
      this.#model.entered(next);
    });
  }

  async #prune(): Promise<void> {
    const min = this.#dice.below((this.#journal.current()?.number ?? 0) + 1);
    this.#model.triesPrune(min);
    await this.#attempt(async () => {
      await this.#journal.prune(min);
      this.#model.prunedTo(min);
    });
  }

  #read(): void {
    const epochs = this.#journal.epochs();
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    expect(epochs.every((epoch) => epoch >= this.#journal.prunedBelow)).toBe(true);
  }

  /** A failure must be a typed one, of the disk or of the guard. */
  async #attempt(task: () => Promise<void>): Promise<void> {
    await task().catch((error: unknown) => {
      if (!(error instanceof LatchkeyError)) throw error;
    });
  }

  async #recover(): Promise<void> {
    this.recoveries += 1;
    const dice = this.#dice;
    const left = this.#disk.afterPowerCut(dice.pick(survivals), dice.below(2 ** 31));
    await this.#store.close().catch(() => undefined);
    this.#disk = left;
    // Now and then the power goes again while the store is being opened.
    if (dice.chance(0.3)) left.cutAt(left.steps + dice.below(6));
    const opened = await this.#open().catch(() => undefined);
    if (opened === undefined) {
      this.#disk = left.afterPowerCut(dice.pick(survivals), dice.below(2 ** 31));
      await this.#open();
    } else if (left.steps > 0) left.cutAt(Number.POSITIVE_INFINITY);
    expect(this.#model.recover(this.#journal)).toEqual([]);
    await this.#checkSecrets();
  }

  async #open(): Promise<true> {
    this.#store = await openEpochStore(this.#disk, this.#dice.below(2 ** 31), SEGMENT_BYTES);
    this.#journal = await EpochJournal.open(this.#store);
    return true;
  }

  async #checkSecrets(): Promise<void> {
    const journal = this.#journal;
    const current = journal.current()?.number ?? 0;
    expect(await journal.secrets.getSeed(current)).toBeDefined();
    const share = await journal.secrets.getShare(current);
    if (current > 0) expect(share?.scalar.equals(secretOf(`share ${current}`))).toBe(true);
    for (const { participant, message } of journal.dealings(current)) {
      const part = await journal.privateDealing(current, participant);
      expect(part?.equals(secretOf(toHex(message)))).toBe(true);
    }
    if (journal.prunedBelow > 0)
      expect(await journal.secrets.getSeed(journal.prunedBelow - 1)).toBeUndefined();
  }
}

describe('E15 fuzz: recover, mutate, recover, with the bounds oracle', () => {
  it.each(seeds)(`${OPERATIONS} operations, seed %i`, { timeout: 60_000 }, async (seed) => {
    const fuzzer = await Fuzzer.start(seed);
    for (let operation = 0; operation < OPERATIONS; operation++) await fuzzer.step();
    await fuzzer.end();
    expect(fuzzer.recoveries).toBeGreaterThan(2);
  });

  it('the oracle notices a lost, a changed and an invented record (positive control)', async () => {
    const { store } = await newEpochDisk();
    const journal = await EpochJournal.open(store);
    await journal.commitEpoch(0, stateOf('seed'));
    await journal.appendAck(0, keyOf('a'), bytesOf('ack'));
    const name = `acks/${toHex(keyOf('a'))}`;
    const invented = new RecoveryModel();
    expect(invented.recover(journal)).toEqual([`epoch 0 has an unknown ${name}`]);
    const changed = new RecoveryModel();
    changed.acknowledged(0, name, 'ff');
    expect(changed.recover(journal)).toContain(`epoch 0 lost or changed ${name}`);
    const lost = new RecoveryModel();
    lost.acknowledged(0, name, toHex(bytesOf('ack')));
    lost.acknowledged(0, 'acks/00', '00');
    lost.entered(3);
    expect(lost.recover(journal)).toEqual(['epoch is 0', 'epoch 0 lost or changed acks/00']);
    await store.close();
  });
});
