import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { RandomSource } from '../../src/crypto/random.ts';
import type { FileSystem } from '../../src/disk/file-system.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import type { Admission } from '../../src/store/api/admission.ts';
import type { BackupReport } from '../../src/store/api/backup-api.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { seededDice } from './disk-dice.ts';
import type { Survival } from './disk-survival.ts';
import { SimulatedDisk } from './simulated-disk.ts';

/** Tuning that tests use. */
export interface StoreOptions {
  readonly segmentBytes?: number;
  /** 512 unless given, so that a few records use it up. */
  readonly roomBytes?: number;
  readonly compaction?: 'automatic' | 'manual';
  /** Bytes of log after which the index is written again; 0: whenever it can be. */
  readonly checkpointBytes?: number;
  readonly random?: RandomSource;
  readonly admit?: Admission;
}

export const createStore = (
  fileSystem: FileSystem,
  path: string,
  key: SecretBytes,
  options: StoreOptions = {},
): Promise<SealedStore> => SealedStore.create({ ...options, fileSystem, path, storeKey: key });

export const openStore = (
  fileSystem: FileSystem,
  path: string,
  key: SecretBytes,
  options: StoreOptions = {},
): Promise<SealedStore> => SealedStore.open({ ...options, fileSystem, path, storeKey: key });

const FOLDER = '/data';
export const STORE_PATH = `${FOLDER}/store`;

/** A disk with a store on it that is not open, and the keys that may open it. */
export class DormantStore {
  readonly disk: SimulatedDisk;
  /** More than one while it is unknown whether a change of the key came through; the newest last. */
  readonly keys: readonly SecretBytes[];
  readonly options: StoreOptions;

  constructor(disk: SimulatedDisk, keys: readonly SecretBytes[], options: StoreOptions) {
    this.disk = disk;
    this.keys = keys;
    this.options = options;
  }

  /** The same keys for another disk, such as a tampered copy. */
  on(disk: SimulatedDisk): DormantStore {
    return new DormantStore(disk, this.keys, this.options);
  }

  async reopen(): Promise<SimulatedStore> {
    for (const key of this.keys) {
      try {
        const store = await openStore(this.disk, STORE_PATH, key, this.options);
        return new SimulatedStore(this.disk, [key], this.options, store);
      } catch (error) {
        const wrong = error instanceof LatchkeyError && error.code === 'STORE_WRONG_KEY';
        if (!wrong || key === this.keys.at(-1)) throw error;
      }
    }
    throw new Error('no key');
  }
}

/** A store on a simulated disk. */
export class SimulatedStore {
  readonly disk: SimulatedDisk;
  readonly options: StoreOptions;
  readonly store: SealedStore;
  /** Set by tests that let the disk fail: the store may refuse further writes. */
  poisoned = false;
  #keys: readonly SecretBytes[];

  constructor(disk: SimulatedDisk, keys: readonly SecretBytes[], options: StoreOptions, store: SealedStore) {
    this.disk = disk;
    this.#keys = keys;
    this.options = options;
    this.store = store;
  }

  /** Makes a store that takes all of its random bytes from the seed. */
  static async create(options: StoreOptions = {}, seed = 1): Promise<SimulatedStore> {
    const disk = new SimulatedDisk();
    await disk.mkdir(FOLDER);
    await disk.syncDirectory('/');
    const dice = seededDice(seed);
    const seeded = { random: dice.bytes, compaction: 'manual', roomBytes: 512, ...options } as const;
    const key = new SecretBytes(new Uint8Array(32).fill(0x5e));
    return new SimulatedStore(disk, [key], seeded, await createStore(disk, STORE_PATH, key, seeded));
  }

  get keys(): readonly SecretBytes[] {
    return this.#keys;
  }

  /** What a power cut at this moment leaves. */
  leftBy(survival: Survival, seed: number): DormantStore {
    return new DormantStore(this.disk.afterPowerCut(survival, seed), this.#keys, this.options);
  }

  /** What the next process finds when only this one is killed. */
  leftByKill(): DormantStore {
    // Its work in the background ends too, or it would change the disk of the next process.
    this.disk.cutAt(this.disk.steps);
    return new DormantStore(this.disk.afterKill(), this.#keys, this.options);
  }

  /** Changes the store key; until that is acknowledged either key may be the right one. */
  async rotate(): Promise<void> {
    const [present] = this.#keys;
    const next = new SecretBytes(seededDice(present?.reveal()[0] ?? 0).bytes(32));
    this.#keys = [...this.#keys, next];
    await this.store.rotateStoreKey(next);
    this.#keys = [next];
  }

  /** Writes a backup to a new file of the simulated disk. */
  async backup(path: string): Promise<BackupReport> {
    const file = await this.disk.open(path, 'create');
    let position = 0;
    const report = await this.store.backup(async (bytes) => {
      await file.write([bytes], position);
      position += bytes.length;
    });
    await file.sync();
    await file.close();
    return report;
  }

  /** Cuts the power and opens what is left. */
  powerCut(survival: Survival, seed = 1): Promise<SimulatedStore> {
    return this.leftBy(survival, seed).reopen();
  }
}

/** Cuts the power and opens what is left; the store must open, and leave nothing open when that fails. */
export const reopenAfterCut = (
  simulated: SimulatedStore | DormantStore,
  survival: Survival,
  seed: number,
): Promise<SimulatedStore> =>
  simulated instanceof SimulatedStore
    ? simulated.powerCut(survival, seed)
    : new DormantStore(
        simulated.disk.afterPowerCut(survival, seed),
        simulated.keys,
        simulated.options,
      ).reopen();
