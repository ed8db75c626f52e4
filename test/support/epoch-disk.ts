import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { FileSystem } from '../../src/disk/file-system.ts';
import type { Admission } from '../../src/store/api/admission.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { seededDice } from './disk-dice.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const FOLDER = '/node';
/** Path of the sealed store on a simulated disk. */
export const EPOCH_STORE = `${FOLDER}/store`;

const optionsOn = (fileSystem: FileSystem, seed: number, segmentBytes: number) => ({
  fileSystem,
  path: EPOCH_STORE,
  storeKey: new SecretBytes(new Uint8Array(32).fill(7)),
  random: seededDice(seed).bytes,
  segmentBytes,
  // Files end with the last record, so that tests know where; room has tests of its own.
  roomBytes: 0,
});

/** A disk with an empty sealed store on it, and the store. */
export async function newEpochDisk(
  seed = 1,
  segmentBytes = 1024 * 1024,
): Promise<{ readonly disk: SimulatedDisk; readonly store: SealedStore }> {
  const disk = new SimulatedDisk();
  await disk.mkdir(FOLDER);
  await disk.syncDirectory('/');
  const store = await SealedStore.create(optionsOn(disk, seed, segmentBytes));
  return { disk, store };
}

/** Opens the store that is on a disk; another seed for each life, as nonces must never repeat. */
export const openEpochStore = (
  disk: FileSystem,
  seed = 2,
  segmentBytes = 1024 * 1024,
  admit?: Admission,
): Promise<SealedStore> =>
  SealedStore.open({
    ...optionsOn(disk, seed, segmentBytes),
    ...(admit === undefined ? {} : { admit }),
  });
