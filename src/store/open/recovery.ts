import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { FileSystem, FolderLock } from '../../disk/file-system.ts';
import type { Admission } from '../api/admission.ts';
import { readFailure } from '../files/disk-failure.ts';
import { readManifestFile, type StoreHeader } from '../keys/store-header.ts';
import { RecordKeys } from '../keys/store-keys.ts';
import { type Manifest, openManifest } from '../log/manifest.ts';
import type { Segment } from '../log/segment.ts';
import { StoreState, type StoreTuning } from '../store-state.ts';
import { AskedDigests } from './asked-digests.ts';
import { loadCheckpoint } from './checkpoint-reader.ts';
import { type Access, type OpenedSegment, openKeysFile, openSegment } from './open-files.ts';
import { Replay } from './replay.ts';
import { type CoveredPart, replaySegment } from './replay-segment.ts';

/** The input of a recovery. */
export interface RecoverySource {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly storeKey: SecretBytes;
  /** The caller's judgement, where it wants to make one. */
  readonly admit: Admission | undefined;
  readonly tuning: StoreTuning;
  readonly access: Access;
  /** Replays everything, although there is a checkpoint. */
  readonly ignoresCheckpoint?: boolean;
}

/** The state of a store as read, before anything on the disk was changed. */
export interface ReadLog {
  readonly state: StoreState;
  /** Bytes of an unfinished last write. */
  readonly tornBytes: number;
  /** The digests that the caller's judge wants to see. */
  readonly digests: AskedDigests;
  /** Whether the index began with a checkpoint, or with none because the listed one could not be used. */
  readonly checkpoint: CheckpointUse;
}

/** See `OpeningReport.checkpoint`. */
export type CheckpointUse = 'used' | 'none' | 'unusable';

/**
 * Reads and verifies a whole store without changing it. Every file is opened before any is read: while another process
 * writes, compacts and erases, what is open stays readable, and the keys of all that was in the log by then are there.
 * @throws EvidenceError with the code of whatever is wrong, and its place.
 */
export async function readStore(source: RecoverySource, lock: FolderLock | undefined): Promise<ReadLog> {
  const { header, manifest } = openManifest(
    await readManifestFile(source.fileSystem, source.path),
    source.storeKey,
  );
  const state = stateOf(source, lock, header, manifest);
  const digests = new AskedDigests(source.admit?.sequences ?? []);
  try {
    const opened: OpenedSegment[] = [];
    for (const listed of manifest.segments) {
      const isLast = listed === manifest.segments.at(-1);
      opened.push(await openSegment(state, listed, source.access, isLast));
    }
    state.keys = { ...state.keys, namespaceKeys: await openKeysFile(state, manifest, source.access) };
    const checkpoint = await useCheckpoint(source, state, manifest);
    const replay = new Replay(state);
    let tornBytes = 0;
    for (const segment of opened) {
      const covered = coveredPart(state, segment.segment);
      const role = { isLast: segment === opened.at(-1), replay, digests, checkpoint: covered };
      tornBytes = await replaySegment(state, segment, role);
    }
    replay.finish();
    state.log.bytesSinceCheckpoint = state.log.segments.reduce(
      (sum, segment) =>
        sum + segment.length - Math.min(segment.length, coveredPart(state, segment)?.bytes ?? 0),
      0,
    );
    return { state, tornBytes, digests, checkpoint };
  } catch (error) {
    await state.close().catch(() => undefined);
    throw readFailure(error, source.path);
  }
}

async function useCheckpoint(
  { ignoresCheckpoint = false }: RecoverySource,
  state: StoreState,
  { checkpoint }: Manifest,
): Promise<CheckpointUse> {
  if (checkpoint === undefined || ignoresCheckpoint) return 'none';
  state.lastCheckpointNumber = checkpoint.number;
  return (await loadCheckpoint(state, checkpoint)) ? 'used' : 'unusable';
}

/** What the checkpoint that was loaded covers of a segment. */
function coveredPart({ checkpoint }: StoreState, segment: Segment): CoveredPart | undefined {
  if (!checkpoint?.covers.includes(segment)) return undefined;
  const { position } = checkpoint.reference;
  return segment === checkpoint.covers.at(-1)
    ? { bytes: position.length, position }
    : { bytes: Number.POSITIVE_INFINITY, position: undefined };
}

/** An empty state with the keys and numbers of a manifest. */
export function stateOf(
  { fileSystem, path, storeKey, tuning }: RecoverySource,
  lock: FolderLock | undefined,
  header: StoreHeader,
  manifest: Manifest,
): StoreState {
  const old = manifest.oldKeys.map(
    ({ version, recordsKey, chainKey }) =>
      new RecordKeys(version, SecretBytes.adopt(recordsKey), SecretBytes.adopt(chainKey)),
  );
  const { generation, nextSegmentId, nextNamespaceId } = manifest;
  const keys = {
    header,
    storeKey: new SecretBytes(storeKey.reveal()),
    current: RecordKeys.of(manifest.keyVersion, storeKey),
    old,
    generation,
    namespaceKeys: undefined,
  };
  return new StoreState({ fileSystem, folder: path, lock, keys, nextSegmentId, nextNamespaceId }, tuning);
}
