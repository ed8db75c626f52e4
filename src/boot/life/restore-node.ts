import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import type { FolderLock } from '../../disk/file-system.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';
import type { BackupReport } from '../../store/api/backup-api.ts';
import { BACKUP_HEADER_BYTES } from '../../store/backup/backup-format.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import { readIdentity } from '../node/identity.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { RollbackAcceptance } from '../node/rollback-acceptance.ts';
import type { RecoveredKey } from '../obtain/recovery.ts';
import { openStoreOf } from './assemble-node.ts';
import type { BootStage } from './boot-stage.ts';
import {
  fileWithout,
  isWrongKey,
  recoverKey,
  requireAccount,
  rollbackCheckOf,
  wipeRecovered,
} from './reopen-node.ts';
import { RewindableSource } from './rewindable-source.ts';

/** The backup from which a node is restored, and the number of attempts. */
export interface NodeBackup {
  /** Bytes of a backup of the whole store, sealed under the store key. */
  readonly source: AsyncIterable<Uint8Array>;
  /** Absolute path of a copy of the keyslot file, for a node that has none in place. */
  readonly keyslots?: string;
  /** How often to ask the key servers. */
  readonly attempts: number;
}

/** The result of a restore. */
export interface RestoredNode {
  readonly account: AccountId;
  readonly report: BackupReport;
  /** Generation of the slots that opened. */
  readonly generation: number;
  /** Whether the keyslot file is the one that was in place, or the copy that was given. */
  readonly keyslots: 'in-place' | 'given';
  /** Whether the servers remember a newer head: the store opens only when a human says so. */
  readonly isOlder: boolean;
}

/** A keyslot file, and whether it is the one of the node's folder. */
interface FoundKeyslots {
  readonly file: KeyslotFile;
  readonly isInPlace: boolean;
}

/**
 * Gives a node without a store the store of a backup, which its key servers open as at any boot. Everything is
 * verified in `node.new` and then put into place at once; killed before that, a second run starts from the beginning.
 * @returns `undefined` when too few servers gave their slot, or it was stopped; the stage is told, and nothing changed.
 * @throws EvidenceError STORE_EXISTS, KEYSLOT_FILE_MISSING, KEYSLOT_FILE_FOREIGN, those of a keyslot file and a backup;
 *   RefusalError NODE_ACCOUNT_MISMATCH, NODE_RUNNING; ProblemError IDENTITY_MISSING, those of chain and disk.
 */
export async function restoreNode(stage: BootStage, backup: NodeBackup): Promise<RestoredNode | undefined> {
  await requireNoStore(stage.folder);
  const found = await findKeyslots(stage, backup.keyslots);
  const source = new RewindableSource(backup.source, BACKUP_HEADER_BYTES);
  for (let rest = found.file; ; ) {
    const recovered = await recoverPatiently(stage, rest, backup.attempts);
    if (recovered === undefined) return undefined;
    const { generation } = recovered;
    try {
      return await restoreWith(stage, source, found, recovered);
    } catch (error) {
      // The header of the backup tells whether the key is the right one, and only the header was read.
      const other = isWrongKey(error) && source.canRewind ? fileWithout(rest, generation) : undefined;
      if (other === undefined) throw error;
      stage.parts.log('warn', 'generation.of-another-store', { generation });
      rest = other;
    }
  }
}

async function restoreWith(
  stage: BootStage,
  source: RewindableSource,
  found: FoundKeyslots,
  recovered: RecoveredKey,
): Promise<RestoredNode> {
  let lock: FolderLock | undefined;
  try {
    if (!stage.parts.holdsFolder) lock = await stage.folder.lock();
    await requireNoStore(stage.folder);
    const made = await makeStore(stage, source, found.file, recovered);
    await putIntoPlace(stage, found);
    const { generation } = recovered;
    return { ...made, generation, keyslots: found.isInPlace ? 'in-place' : 'given' };
  } finally {
    wipeRecovered(recovered);
    await lock?.release();
  }
}

async function requireNoStore(folder: NodeFolder): Promise<void> {
  if (!(await folder.hasStore())) return;
  throw new EvidenceError(
    'STORE_EXISTS',
    `there is a store in ${NodeFolder.storePath(folder.path)} already`,
    {
      field: NodeFolder.storePath(folder.path),
      hint: 'if it is damaged, stop the node and move that folder away yourself; nothing was changed',
    },
  );
}

/** The keyslot file in place is at least as new as any copy. */
async function findKeyslots({ parts, folder }: BootStage, copy: string | undefined): Promise<FoundKeyslots> {
  const inPlace = new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path));
  if (await inPlace.exists()) return { file: await inPlace.read(), isInPlace: true };
  if (copy === undefined) {
    throw new EvidenceError('KEYSLOT_FILE_MISSING', 'there is no keyslot file in place', {
      field: NodeFolder.keyslotsPath(folder.path),
      hint: 'give the copy that lies beside the backup: --keyslots FILE; nothing was changed',
    });
  }
  return { file: await new KeyslotDisk(parts.fileSystem, copy).read(), isInPlace: false };
}

/** Asks again after a locked attempt, or a problem that may pass. */
async function recoverPatiently(
  stage: BootStage,
  file: KeyslotFile,
  attempts: number,
): Promise<RecoveredKey | undefined> {
  const { retryMinMs, retryMaxMs } = stage.parts.options;
  for (let attempt = 1, waitMs = retryMinMs; ; attempt++, waitMs = Math.min(waitMs * 2, retryMaxMs)) {
    const isLast = attempt >= attempts || stage.stopped.aborted;
    try {
      const recovered = await recoverKey(stage, file);
      if (recovered !== undefined || isLast) return recovered;
    } catch (error) {
      if (isLast || !(error instanceof ProblemError)) throw error;
      stage.parts.log('warn', 'store.locked', { reason: `${error.code}: ${error.message}` });
    }
    await stage.pause(waitMs);
  }
}

/** Restores into `node.new`, and checks account and store id as a boot does. */
async function makeStore(
  { parts, folder }: BootStage,
  bytes: RewindableSource,
  file: KeyslotFile,
  recovered: RecoveredKey,
): Promise<Pick<RestoredNode, 'account' | 'report' | 'isOlder'>> {
  const { fileSystem, tools } = parts;
  const { storeKey } = recovered;
  await folder.begin();
  try {
    const path = NodeFolder.storePath(folder.newPath);
    const source = bytes.fromStart();
    const report = await SealedStore.restore({ fileSystem, path, storeKey, random: tools.random, source });
    const { store, isOlder } = await openMade({ parts, folder }, recovered);
    try {
      if (!equalBytes(store.storeId, file.storeId)) throw foreignStore();
      const { account, accountSeed } = await readIdentity(store);
      accountSeed.wipe();
      requireAccount(parts, account, file.account);
      return { account, report, isOlder };
    } finally {
      await store.close();
    }
  } catch (error) {
    await folder.discard().catch(() => undefined);
    throw error;
  }
}

async function openMade(
  { parts, folder }: Pick<BootStage, 'parts' | 'folder'>,
  recovered: RecoveredKey,
): Promise<{ readonly store: SealedStore; readonly isOlder: boolean }> {
  try {
    const check = rollbackCheckOf({ acceptance: new RollbackAcceptance(false) }, recovered);
    const store = await openStoreOf(parts, folder.newPath, recovered.storeKey, check);
    return { store, isOlder: false };
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code !== 'STORE_ROLLED_BACK') throw error;
    return { store: await openStoreOf(parts, folder.newPath, recovered.storeKey), isOlder: true };
  }
}

const foreignStore = (): EvidenceError =>
  new EvidenceError('KEYSLOT_FILE_FOREIGN', 'the backup is of another store than the keyslot file', {
    field: 'storeId',
  });

async function putIntoPlace({ parts, folder }: BootStage, { file, isInPlace }: FoundKeyslots): Promise<void> {
  const isWhole = (await folder.look()) === 'fresh';
  const nodePath = isWhole ? folder.newPath : folder.path;
  // Before the store: one that lies there without its keyslot file would refuse the second run.
  if (!isInPlace) await new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(nodePath)).replace(file);
  if (isWhole) await folder.finish();
  else await folder.finishStore();
}
