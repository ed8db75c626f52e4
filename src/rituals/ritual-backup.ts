import { dirname } from 'node:path';
import { concatBytes } from '../bytes/concat.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileHandle } from '../disk/file-system.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { BackupReport, BackupSink } from '../store/api/backup-api.ts';
import { STORE_KEY_BYTES } from '../store/api/limits.ts';
import type { Store } from '../store/api/store-api.ts';
import { writeFailure } from '../store/files/disk-failure.ts';
import { removeFile, withFile } from '../store/files/files.ts';
import { unwrapStoreKey, wrapStoreKey } from '../store/keys/password.ts';
import { readStoreHeader } from '../store/keys/store-header.ts';
import type { PasswordPlace } from '../store/password-store.ts';
import { SealedStore } from '../store/sealed-store.ts';
import { isJsonPath, JsonBackupWriter, MAX_JSON_BACKUP_BYTES, readJsonBackup } from './json-backup.ts';

const MAGIC = Buffer.from('LKRITBAK');
const LENGTH_BYTES = 2;
const MAX_UNLOCK_BYTES = 1024;
const CHUNK_BYTES = 256 * 1024;

/**
 * Writes a backup of a store that a password opens, while the store is in use: `LKRITBAK` ‖ length (u16) ‖ the
 * header's unlock field ‖ the store's sealed backup; these bytes in one JSON document where the name ends in `.json`. The
 * file replaces an older one only when it is complete and durable.
 * @throws ProblemError of the disk, RITUALS_BACKUP_TOO_LARGE for JSON that no restore could read.
 */
export async function backupRituals(
  store: SealedStore,
  { path, fileSystem }: Pick<PasswordPlace, 'path' | 'fileSystem'>,
  to: string,
): Promise<BackupReport> {
  const { unlock } = await readStoreHeader(fileSystem, path);
  const temporary = `${to}.new`;
  try {
    await removeFile(fileSystem, temporary);
    const report = await withFile(fileSystem, temporary, 'create', async (handle) => {
      const append = appender(handle);
      const json = isJsonPath(to) ? new JsonBackupWriter(append) : undefined;
      const write: BackupSink = json === undefined ? append : (bytes) => json.write(bytes);
      await write(backupStart(unlock));
      const written = await store.backup(write);
      await json?.finish();
      await handle.sync();
      return written;
    });
    await fileSystem.rename(temporary, to);
    await fileSystem.syncDirectory(dirname(to));
    return report;
  } catch (error) {
    await removeFile(fileSystem, temporary).catch(() => undefined);
    throw writeFailure(error, to);
  }
}

/** The bytes before the sealed backup in the file. */
const backupStart = (unlock: Uint8Array): Uint8Array =>
  concatBytes(MAGIC, u16BigEndian(unlock.length), unlock);

/**
 * Writes only the rituals of a store, while it is in use, in the same file format. The file has a key of its own, which
 * only the password opens. {@link restoreRituals} makes a store of it.
 */
export async function exportRituals(
  store: Store,
  password: SecretBytes,
  sink: BackupSink,
  random: RandomSource = systemRandom,
): Promise<BackupReport> {
  const key = SecretBytes.adopt(random(STORE_KEY_BYTES));
  try {
    await sink(backupStart(await wrapStoreKey(key, password, { random })));
    return await store.backup(sink, { key, includes: (name) => name.startsWith('rituals/') });
  } finally {
    key.wipe();
  }
}

/**
 * Makes the store of a backup in an empty place; everything is verified before there is a store.
 * @throws EvidenceError STORE_BACKUP_INVALID, STORE_BACKUP_TRUNCATED, STORE_PASSWORD_WRONG, STORE_PLACE_NOT_EMPTY and
 *   the like; then no file is left there.
 */
export async function restoreRituals(
  from: string,
  { path, password, fileSystem }: PasswordPlace,
): Promise<BackupReport> {
  return withFile(fileSystem, from, 'read', async (file) => {
    const handle = await sealedBytes(file);
    const unlock = readUnlock(handle);
    let storeKey: SecretBytes | undefined;
    try {
      storeKey = await unwrapStoreKey(unlock, password);
      const source = readFrom(handle, MAGIC.length + LENGTH_BYTES + unlock.length);
      return await SealedStore.restore({ fileSystem, path, storeKey, unlock, source });
    } finally {
      storeKey?.wipe();
    }
  });
}

/** Where the bytes of a backup are read. */
type BackupBytes = Pick<FileHandle, 'readSync'>;

/** The file itself, or the bytes that its JSON carries. Its content decides, so that a renamed file is restored too. */
async function sealedBytes(file: FileHandle): Promise<BackupBytes> {
  const start = new Uint8Array(MAGIC.length);
  const length = file.readSync(start, 0);
  if (!new TextDecoder().decode(start.subarray(0, length)).trimStart().startsWith('{')) return file;
  const text = new Uint8Array(Math.min(await file.size(), MAX_JSON_BACKUP_BYTES + 1));
  const bytes = readJsonBackup(text.subarray(0, file.readSync(text, 0)));
  return {
    readSync(into, position) {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
  };
}

function appender(handle: FileHandle): (bytes: Uint8Array) => Promise<void> {
  let position = 0;
  return async (bytes) => {
    await handle.write([bytes], position);
    position += bytes.length;
  };
}

function readUnlock(handle: BackupBytes): Uint8Array {
  const start = Buffer.alloc(MAGIC.length + LENGTH_BYTES);
  const read = handle.readSync(start, 0);
  if (!start.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, Math.min(read, MAGIC.length))) || read === 0)
    throw new EvidenceError('STORE_BACKUP_INVALID', 'this is not a backup of rituals');
  const length = start.readUInt16BE(MAGIC.length);
  if (read < start.length) throw truncated();
  if (length > MAX_UNLOCK_BYTES)
    throw new EvidenceError(
      'STORE_BACKUP_INVALID',
      'the unlock field of the backup has an impossible length',
    );
  const unlock = new Uint8Array(length);
  if (handle.readSync(unlock, start.length) < length) throw truncated();
  return unlock;
}

const truncated = (): EvidenceError =>
  new EvidenceError('STORE_BACKUP_TRUNCATED', 'the backup ends before its unlock field');

async function* readFrom(handle: BackupBytes, start: number): AsyncGenerator<Uint8Array> {
  for (let position = start; ; ) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const read = handle.readSync(chunk, position);
    if (read === 0) return;
    position += read;
    yield chunk.subarray(0, read);
  }
}
