import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { nodeFileSystem } from '../disk/node-file-system.ts';
import type { Admission } from './api/admission.ts';
import type { StoreObserver } from './api/health.ts';
import type { Restoration } from './backup/restore.ts';
import { MIN_PADDING_BYTES } from './log/record.ts';
import { LARGEST_SEGMENT_TARGET, MAX_ROOM_BYTES, SEGMENT_HEADER_BYTES } from './log/segment.ts';
import { copyAdmission } from './open/admit.ts';
import { type Creation, freshOrigin } from './open/creation.ts';
import type { Access } from './open/open-files.ts';
import type { RecoverySource } from './open/recovery.ts';
import type { StoreTuning } from './store-state.ts';

/** Options that creating and opening share. */
export interface StoreOptions {
  /** Production default: the operating system's. */
  readonly fileSystem?: FileSystem;
  /** Folder of the store, absolute. */
  readonly path: string;
  /** 32 bytes; the store keeps a copy of its own until it is closed. */
  readonly storeKey: SecretBytes;
  readonly random?: RandomSource;
  /** Length of a log segment after which a new one is begun, in bytes; 64 MiB by default, at most 1 GiB. */
  readonly segmentBytes?: number;
  /** Plaintexts are padded to multiples of this many bytes (16 by default), which hides their exact lengths. */
  readonly paddingBytes?: number;
  /**
   * Most zeros that are written behind the log, ready for the next records, in bytes; 64 KiB by default, 0 for none.
   * They make single writes quicker and are cut off when the segment is finished or the store is closed.
   */
  readonly roomBytes?: number;
  /**
   * The index is written to a checkpoint, from which the next opening goes on, when the log has grown by this many bytes
   * and by four times the size of the last checkpoint, and when the store is closed; 1 MiB by default. A store that is
   * smaller has none. 0: after each segment and each compaction, however much that costs; `Infinity`: never.
   */
  readonly checkpointBytes?: number;
  /** `automatic` (the default) compacts in the background; `manual` only by {@link SealedStore.compact}. */
  readonly compaction?: 'automatic' | 'manual';
  /** Is told when writing or compacting fails, and when it works again. */
  readonly observer?: StoreObserver;
}

/** Options of a new store. */
export interface CreateOptions extends StoreOptions {
  /** 16 bytes; random by default. */
  readonly storeId?: Uint8Array;
  /** Up to 1024 bytes that lie in the header in the clear and help to get the store key; see `store-header.ts`. */
  readonly unlock?: Uint8Array;
}

/** Options of opening. */
export interface OpenOptions extends StoreOptions {
  /** Judges what was read, before anything on the disk is changed; throws to refuse the store. */
  readonly admit?: Admission;
}

/** Options of restoring a backup; `storeKey` is the store key at the time of the backup. */
export type RestoreOptions = StoreOptions & Omit<Restoration, 'tuning'>;

const DEFAULT_ROOM_BYTES = 64 * 1024;
const DEFAULT_CHECKPOINT_BYTES = 1024 * 1024;
const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;

/** The input of a creation without the key; the bytes are copied at once. */
export function creationOf(options: CreateOptions): Omit<Creation, 'storeKey'> {
  const { fileSystem = nodeFileSystem, path, storeId, unlock } = options;
  return {
    fileSystem,
    path,
    storeId: storeId === undefined ? undefined : copyBytes(storeId, 'storeId'),
    unlock: unlock === undefined ? undefined : copyBytes(unlock, 'unlock'),
    tuning: tuningOf(options),
    origin: freshOrigin(),
  };
}

/** The input of an opening without the key, copied. @throws RangeError, TypeError for impossible options. */
export function sourceOf(options: OpenOptions, access: Access): Omit<RecoverySource, 'storeKey'> {
  const { fileSystem = nodeFileSystem, path, admit } = options;
  const own = admit === undefined ? undefined : copyAdmission(admit);
  return { fileSystem, path, admit: own, tuning: tuningOf(options), access };
}

/** The tuning of a store. @throws RangeError, TypeError for impossible values. */
export function tuningOf({
  random = systemRandom,
  observer,
  segmentBytes,
  paddingBytes,
  roomBytes,
  checkpointBytes,
  compaction,
}: StoreOptions): StoreTuning {
  const tuning = {
    random,
    observer,
    segmentBytes: segmentBytes ?? DEFAULT_SEGMENT_BYTES,
    paddingBytes: paddingBytes ?? MIN_PADDING_BYTES,
    roomBytes: roomBytes ?? DEFAULT_ROOM_BYTES,
    checkpointBytes: checkpointBytes ?? DEFAULT_CHECKPOINT_BYTES,
  };
  if (compaction !== undefined && compaction !== 'automatic' && compaction !== 'manual')
    throw new TypeError(`compaction must be automatic or manual, got ${String(compaction)}`);
  if (!Number.isInteger(tuning.segmentBytes)) throw new RangeError('segmentBytes must be a whole number');
  if (!(tuning.segmentBytes > SEGMENT_HEADER_BYTES && tuning.segmentBytes <= LARGEST_SEGMENT_TARGET))
    throw new RangeError(
      `segmentBytes must be over ${SEGMENT_HEADER_BYTES} and at most ${LARGEST_SEGMENT_TARGET}`,
    );
  if (
    tuning.paddingBytes % MIN_PADDING_BYTES !== 0 ||
    tuning.paddingBytes < 1 ||
    tuning.paddingBytes > 65_536
  )
    throw new RangeError(`paddingBytes must be a multiple of ${MIN_PADDING_BYTES} up to 65536`);
  if (Number.isNaN(tuning.checkpointBytes) || tuning.checkpointBytes < 0)
    throw new RangeError('checkpointBytes must be a number from 0');
  if (!(Number.isInteger(tuning.roomBytes) && tuning.roomBytes >= 0 && tuning.roomBytes <= MAX_ROOM_BYTES))
    throw new RangeError(`roomBytes must be a whole number up to ${MAX_ROOM_BYTES}`);
  return tuning;
}
