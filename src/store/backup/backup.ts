import { utf8 } from '../../bytes/concat.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { BackupCounts, BackupPart, BackupReport, BackupSink } from '../api/backup-api.ts';
import { STORE_ID_BYTES } from '../api/limits.ts';
import { ByteWriter } from '../log/byte-layout.ts';
import type { SealedSnapshot } from '../snapshot.ts';
import type { StoreState } from '../store-state.ts';
import { BackupCipher } from './backup-format.ts';

/** Kinds of entries in the plaintext of a chunk; each entry starts with its byte. */
export const backupEntries = {
  /** First of all: generation (u64) ‖ sequence (u64) ‖ digest (32) of the log. */
  head: 0,
  /** Erasable (1) ‖ name length (u16) ‖ name; the records that follow are in it. */
  namespace: 1,
  /** Name length (u16) ‖ value length (u32) ‖ name ‖ value. */
  record: 2,
  /** Last of all: namespaces (u64) ‖ records (u64) ‖ bytes of values (u64). */
  counts: 3,
} as const;

const CHUNK_BYTES = 1024 * 1024;

/**
 * Writes a snapshot as one sealed file; the store stays in use.
 * @throws ProblemError STORE_BACKUP_KEY_CHANGED when the key that would open the file is no longer the store key; then
 *   the file has no end.
 */
export async function writeBackup(
  state: StoreState,
  snapshot: SealedSnapshot,
  sink: BackupSink,
  part?: BackupPart,
): Promise<BackupReport> {
  const { random } = state.tuning;
  const { storeKey } = state.keys;
  const cipher =
    part === undefined
      ? BackupCipher.create(state.storeId, storeKey, random)
      : BackupCipher.create(random(STORE_ID_BYTES), part.key, random);
  const chunk = new ChunkCollector((plaintext, isLast) => {
    if (part === undefined) requireInForce(state, storeKey);
    return sink(cipher.seal(plaintext, isLast, random));
  });
  try {
    await sink(cipher.header.bytes);
    const { head } = snapshot;
    const start = new ByteWriter().u8(backupEntries.head).u64(head.generation).u64(head.sequence);
    await chunk.add(start.bytes(head.digest).done());
    const names = snapshot.namespaces().filter((name) => part?.includes(name) ?? true);
    const counts = await writeNamespaces(snapshot, names, chunk);
    const { namespaces, records, valueBytes } = counts;
    const end = new ByteWriter().u8(backupEntries.counts).u64(namespaces).u64(records).u64(valueBytes);
    await chunk.end(end.done());
    return { ...counts, head };
  } finally {
    cipher.wipe();
  }
}

function requireInForce({ keys }: StoreState, storeKey: SecretBytes): void {
  if (keys.storeKey === storeKey) return;
  throw new ProblemError('STORE_BACKUP_KEY_CHANGED', 'the store key changed during the backup', {
    hint: 'make the backup again; what was written of this one is of no use',
  });
}

async function writeNamespaces(
  snapshot: SealedSnapshot,
  names: readonly string[],
  chunk: ChunkCollector,
): Promise<BackupCounts> {
  let records = 0;
  let valueBytes = 0;
  for (const namespace of names) {
    const name = utf8(namespace);
    const kind = snapshot.isErasable(namespace) ? 1 : 0;
    await chunk.add(
      new ByteWriter().u8(backupEntries.namespace).u8(kind).u16(name.length).bytes(name).done(),
    );
    for await (const [recordName, value] of snapshot.namespace(namespace).entries()) {
      const nameBytes = utf8(recordName);
      const entry = new ByteWriter().u8(backupEntries.record).u16(nameBytes.length).u32(value.length);
      await chunk.add(entry.bytes(nameBytes).bytes(value).done());
      records += 1;
      valueBytes += value.length;
    }
  }
  return { namespaces: names.length, records, valueBytes };
}

/** Gathers entries until a chunk is worth sealing; an entry is never divided. */
class ChunkCollector {
  readonly #emit: (plaintext: Uint8Array, isLast: boolean) => Promise<void>;
  #entries: Uint8Array[] = [];
  #bytes = 0;

  constructor(emit: (plaintext: Uint8Array, isLast: boolean) => Promise<void>) {
    this.#emit = emit;
  }

  async add(entry: Uint8Array): Promise<void> {
    this.#entries.push(entry);
    this.#bytes += entry.length;
    if (this.#bytes >= CHUNK_BYTES) await this.#flush(false);
  }

  async end(entry: Uint8Array): Promise<void> {
    this.#entries.push(entry);
    await this.#flush(true);
  }

  async #flush(isLast: boolean): Promise<void> {
    const plaintext = Buffer.concat(this.#entries);
    this.#entries = [];
    this.#bytes = 0;
    await this.#emit(plaintext, isLast);
    plaintext.fill(0);
  }
}
