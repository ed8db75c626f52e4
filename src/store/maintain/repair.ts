import type { FileSystem, FolderLock } from '../../disk/file-system.ts';
import { keepDamaged, noteDamaged } from '../files/damaged-segments.ts';
import { readFailure, writeFailure } from '../files/disk-failure.ts';
import { syncFile, withFile } from '../files/files.ts';
import { readManifestFile } from '../keys/store-header.ts';
import { openManifest } from '../log/manifest.ts';
import { encodeNamespaceKind, operations } from '../log/record.ts';
import { type Segment, segmentFileName } from '../log/segment.ts';
import { type RecoverySource, stateOf } from '../open/recovery.ts';
import type { StoreState } from '../store-state.ts';
import { BulkWriter } from './bulk-writer.ts';
import { type Loss, Salvage } from './salvage.ts';

/** The records that a lossy repair would keep and lose. Nothing changes before {@link RepairPlan.apply}. */
export interface RepairPlan {
  readonly losses: readonly Loss[];
  readonly namespaces: number;
  readonly records: number;
  /**
   * Writes what is left as new segments, hands over to them atomically, and keeps the old segments as
   * `damaged-segment-…` for an inspection by hand. The generation grows, so that the repair shows.
   */
  apply(): Promise<void>;
  /** Leaves everything as it is. */
  discard(): Promise<void>;
}

/**
 * Looks at what can be saved of a damaged store.
 * @throws EvidenceError when the manifest itself is gone or damaged: only a backup helps then.
 */
export async function planRepair(source: RecoverySource, lock: FolderLock | undefined): Promise<RepairPlan> {
  const { fileSystem, path, storeKey } = source;
  const { header, manifest } = openManifest(await readManifestFile(fileSystem, path), storeKey);
  const state = stateOf(source, lock, header, manifest);
  const finish = async (): Promise<void> => {
    await state.close().finally(() => lock?.release());
  };
  try {
    const salvage = new Salvage(state);
    await salvage.openKeys(manifest);
    await salvage.run(manifest);
    const spaces = [...state.namespaces.all()];
    return {
      losses: salvage.losses,
      namespaces: spaces.length,
      records: spaces.reduce((sum, { index }) => sum + index.size, 0),
      discard: finish,
      apply: async () => {
        try {
          if (salvage.keysAreGone) await makeKeysFile(state);
          await rewrite(state, salvage.lastSequence, fileSystem);
        } finally {
          await finish();
        }
      },
    };
  } catch (error) {
    await state.close().catch(() => undefined);
    throw readFailure(error, path);
  }
}

/** An empty one in place of the one that is gone. */
async function makeKeysFile({ fileSystem, namespaceKeys: { path } }: StoreState): Promise<void> {
  await withFile(fileSystem, path, 'create', syncFile).catch((error: unknown) => {
    throw writeFailure(error, path);
  });
}

async function rewrite(state: StoreState, lastSequence: number, fileSystem: FileSystem): Promise<void> {
  const old = state.log.segments;
  const writer = new BulkWriter(state);
  try {
    for (const { id, name, keyPlace, key, index } of state.namespaces.all()) {
      const value = encodeNamespaceKind(keyPlace);
      await writer.append({ operation: operations.createNamespace, namespace: id, name, value }, undefined);
      for (const entry of index.entries()) {
        const content = { operation: operations.put, namespace: id, name: entry.name };
        await writer.append({ ...content, value: state.reader.valueAt(entry, { id }, entry.name) }, key);
      }
    }
    await writer.finish();
    for (const segment of writer.segments) segment.cleanAsOf = lastSequence;
    const previous = state.tuning.random(32);
    const start = { kind: 'log', firstOrdinal: lastSequence + 1, previous } as const;
    const log = await state.log.create(start, state.keys.current);
    const repaired = [...writer.segments, log];
    state.keys = { ...state.keys, generation: state.keys.generation + 1 };
    // Before the manifest: of a repair that is cut off behind it, the next opening keeps them.
    await noteDamaged(fileSystem, state.folder, fileNames(old));
    await state.saveManifest(state.manifest(repaired));
    await keepDamaged(fileSystem, state.folder, new Set(fileNames(repaired)));
  } catch (error) {
    throw writeFailure(error, 'the repaired store');
  }
}

const fileNames = (segments: readonly Segment[]): string[] => segments.map(({ id }) => segmentFileName(id));
