import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { FileSystem } from '../../disk/file-system.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import type { BackupCounts, BackupReport } from '../api/backup-api.ts';
import { STORE_KEY_BYTES } from '../api/limits.ts';
import type { LogHead } from '../api/log-head.ts';
import { writeFailure } from '../files/disk-failure.ts';
import { clearFolder, giveUpFolder, markFolder, prepareFolder, unmarkFolder } from '../files/place.ts';
import { type NamespaceState, newNamespaceState } from '../index/namespace-state.ts';
import { newNamespaceKey } from '../keys/namespace-keys.ts';
import { withOwnKey } from '../keys/store-keys.ts';
import { ByteReader } from '../log/byte-layout.ts';
import { encodeNamespaceKind, operations } from '../log/record.ts';
import { BulkWriter } from '../maintain/bulk-writer.ts';
import { beginLog, layOut, takeLock } from '../open/creation.ts';
import type { StoreState, StoreTuning } from '../store-state.ts';
import { backupEntries } from './backup.ts';
import {
  BACKUP_HEADER_BYTES,
  BackupCipher,
  backupDamaged,
  backupTruncated,
  CHUNK_PREFIX_BYTES,
  MAX_CHUNK_BYTES,
} from './backup-format.ts';

/** The input of a restore. */
export interface Restoration {
  readonly fileSystem?: FileSystem;
  /** An empty or new folder. */
  readonly path: string;
  /** The store key at the time of the backup. */
  readonly storeKey: SecretBytes;
  /** Key of the restored store, where it is to have another. */
  readonly newStoreKey?: SecretBytes;
  /** Unlock field of the restored store's header. */
  readonly unlock?: Uint8Array;
  /** The backup's bytes, cut anywhere. */
  readonly source: AsyncIterable<Uint8Array>;
  readonly tuning: StoreTuning;
}

/**
 * Makes a store of a backup: same store id, generation one higher, log going on behind the backup's head. The
 * manifest, without which there is no store, is written last, when everything was verified; a restoration that was cut
 * off is started again by the next one to the same place.
 * @throws EvidenceError with the code of what is wrong with the backup or the place; then nothing is left there.
 */
export async function restoreBackup(restoration: Restoration): Promise<BackupReport> {
  const { storeKey, newStoreKey = storeKey } = restoration;
  const unlock = restoration.unlock === undefined ? undefined : copyBytes(restoration.unlock, 'unlock');
  return withOwnKey(storeKey, (own) =>
    withOwnKey(newStoreKey, (ownNew) =>
      restoreOwned({ ...restoration, storeKey: own, newStoreKey: ownNew, unlock }),
    ),
  );
}

/** A restoration of which no bytes are the caller's any more. */
type OwnedRestoration = Omit<Restoration, 'unlock'> & {
  readonly newStoreKey: SecretBytes;
  readonly unlock: Uint8Array | undefined;
};

async function restoreOwned(restoration: OwnedRestoration): Promise<BackupReport> {
  const { fileSystem = nodeFileSystem, path, storeKey, newStoreKey, tuning, unlock } = restoration;
  if (storeKey.length !== STORE_KEY_BYTES)
    throw new RangeError(`a store key must be ${STORE_KEY_BYTES} bytes, got ${storeKey.length}`);
  const reader = new BackupReader(restoration.source, storeKey);
  const { storeId, head } = await reader.start();
  const origin = { ...head, generation: head.generation + 1 };
  await prepareFolder(fileSystem, path);
  const lock = await takeLock(fileSystem, path);
  let state: StoreState | undefined;
  let isOurs = false;
  try {
    await clearFolder(fileSystem, path);
    isOurs = true;
    await markFolder(fileSystem, path);
    const creation = { fileSystem, path, storeId, unlock, tuning, origin, storeKey: newStoreKey };
    state = await layOut(creation, lock);
    const counts = await new Restorer(state, reader).run();
    await beginLog(state, origin);
    // Once there is a manifest the marker means nothing, and the next opening removes it.
    await unmarkFolder(fileSystem, path).catch(() => undefined);
    return { ...counts, head };
  } catch (error) {
    // Files that cannot be removed now belong to the marker: the next restore begins by removing them.
    if (isOurs) await giveUpFolder(fileSystem, path).catch(() => undefined);
    throw writeFailure(error, path);
  } finally {
    // All that counts is durable, so a failed close decides nothing.
    await state?.close().catch(() => undefined);
    await lock?.release();
    reader.wipe();
  }
}

/** One entry of a backup. */
type Entry =
  | { readonly kind: 'head'; readonly head: LogHead }
  | { readonly kind: 'namespace'; readonly name: string; readonly isErasable: boolean }
  | { readonly kind: 'record'; readonly name: string; readonly value: Uint8Array }
  | ({ readonly kind: 'counts' } & BackupCounts);

/** Reads and verifies a backup, chunk by chunk. */
class BackupReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #storeKey: SecretBytes;
  #cipher: BackupCipher | undefined;
  #rest = Buffer.alloc(0);
  #pending: Entry[] = [];

  constructor(source: AsyncIterable<Uint8Array>, storeKey: SecretBytes) {
    this.#source = source[Symbol.asyncIterator]();
    this.#storeKey = storeKey;
  }

  /** Reads header and first chunk. */
  async start(): Promise<{ readonly storeId: Uint8Array; readonly head: LogHead }> {
    const header = await this.#take(BACKUP_HEADER_BYTES);
    this.#cipher = BackupCipher.open(new Uint8Array(header), this.#storeKey);
    const chunk = await this.#chunk(this.#cipher);
    const [first, ...others] = chunk;
    if (first?.kind !== 'head') throw backupDamaged('it does not begin with a head');
    this.#pending = others;
    return { storeId: this.#cipher.header.storeId, head: first.head };
  }

  /** All entries behind the head; ends only behind the last chunk, and only at the end of the file. */
  async *entries(): AsyncGenerator<Entry> {
    const cipher = this.#cipher;
    if (cipher === undefined) throw new TypeError('start() comes first');
    while (true) {
      yield* this.#pending;
      if (this.#pending.at(-1)?.kind === 'counts') break;
      this.#pending = await this.#chunk(cipher);
    }
    if (this.#rest.length > 0 || !(await this.#source.next()).done)
      throw backupDamaged('there are bytes behind its end');
  }

  wipe(): void {
    this.#cipher?.wipe();
  }

  async #chunk(cipher: BackupCipher): Promise<Entry[]> {
    const prefix = await this.#take(CHUNK_PREFIX_BYTES);
    const length = prefix.readUInt32BE(0);
    const isLast = prefix[4] === 1;
    if (length > MAX_CHUNK_BYTES || (prefix[4] ?? 2) > 1)
      throw backupDamaged('a chunk has an impossible length');
    const plaintext = cipher.open(await this.#take(length), isLast);
    const entries = parseEntries(plaintext);
    if (isLast !== (entries.at(-1)?.kind === 'counts')) throw backupDamaged('its end is not where it says');
    return entries;
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#rest.length < length) {
      const { value, done } = await this.#source.next();
      if (done) {
        if (this.#cipher === undefined && this.#rest.length > 0)
          BackupCipher.open(new Uint8Array(this.#rest), this.#storeKey);
        throw backupTruncated();
      }
      this.#rest = Buffer.concat([this.#rest, value]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** The entries of an authenticated chunk. */
function parseEntries(plaintext: Uint8Array): Entry[] {
  const reader = new ByteReader(plaintext);
  const entries: Entry[] = [];
  while (!reader.atEnd) entries.push(parseEntry(reader));
  return entries;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function parseEntry(reader: ByteReader): Entry {
  const kind = reader.u8();
  switch (kind) {
    case backupEntries.head: {
      const head = { generation: reader.u64(), sequence: reader.u64(), digest: reader.bytes(32) };
      return { kind: 'head', head };
    }
    case backupEntries.namespace: {
      const isErasable = reader.u8() === 1;
      return { kind: 'namespace', isErasable, name: textOf(reader.bytes(reader.u16())) };
    }
    case backupEntries.record: {
      const nameLength = reader.u16();
      const valueLength = reader.u32();
      const name = textOf(reader.bytes(nameLength));
      return { kind: 'record', name, value: reader.bytes(valueLength) };
    }
    case backupEntries.counts:
      return {
        kind: 'counts',
        namespaces: reader.u64(),
        records: reader.u64(),
        valueBytes: reader.u64(),
      };
    default:
      throw backupDamaged(`an entry of unknown kind ${kind}`);
  }
}

/** Writes the entries of a backup into compacted segments. */
class Restorer {
  readonly #state: StoreState;
  readonly #reader: BackupReader;
  readonly #writer: BulkWriter;

  constructor(state: StoreState, reader: BackupReader) {
    this.#state = state;
    this.#reader = reader;
    this.#writer = new BulkWriter(state);
  }

  async run(): Promise<BackupCounts> {
    const found = { namespaces: 0, records: 0, valueBytes: 0 };
    let space: NamespaceState | undefined;
    for await (const entry of this.#reader.entries()) {
      if (entry.kind === 'namespace') {
        space = await this.#addNamespace(entry.name, entry.isErasable);
        found.namespaces += 1;
      } else if (entry.kind === 'record') {
        if (space === undefined) throw backupDamaged('a record is in no namespace');
        const { name, value } = entry;
        const content = { operation: operations.put, namespace: space.id, name, value };
        await this.#writer.append(content, space.key);
        found.records += 1;
        found.valueBytes += value.length;
      } else if (entry.kind === 'counts') checkCounts(found, entry);
    }
    await this.#writer.finish();
    this.#state.log.segments = [...this.#state.log.segments, ...this.#writer.segments];
    return found;
  }

  async #addNamespace(name: string, isErasable: boolean): Promise<NamespaceState> {
    const state = this.#state;
    const id = state.namespaces.takeId();
    const key = isErasable ? newNamespaceKey(state.tuning.random) : undefined;
    const place = key === undefined ? undefined : await state.namespaceKeys.add(id, key.bytes);
    key?.bytes.fill(0);
    const space = newNamespaceState(id, name, place, key?.cipher);
    state.namespaces.add(space);
    const content = {
      operation: operations.createNamespace,
      namespace: id,
      name,
      value: encodeNamespaceKind(place),
    };
    await this.#writer.append(content, undefined);
    return space;
  }
}

function checkCounts(found: BackupCounts, said: BackupCounts): void {
  const isEqual =
    found.namespaces === said.namespaces &&
    found.records === said.records &&
    found.valueBytes === said.valueBytes;
  if (!isEqual) throw backupDamaged('its counts are not those of what is in it');
}
