import { copyBytes } from '../../bytes/copy-bytes.ts';
import { XCHACHA_NONCE_BYTES } from '../../crypto/xchacha20-poly1305.ts';
import type { FileHandle } from '../../disk/file-system.ts';
import { Breather } from '../breather.ts';
import { inFolder, removeFile, requireInPlace, syncFile, syncFolder } from '../files/files.ts';
import type { NamespaceState } from '../index/namespace-state.ts';
import type { IndexEntry, OrderedIndex } from '../index/ordered-index.ts';
import {
  CHECKPOINT_ID_BYTES,
  CHUNK_BYTES,
  CHUNK_PREFIX_BYTES,
  CheckpointCipher,
  checkpointFileName,
  entryKinds,
  MAX_CHUNK_BYTES,
} from '../log/checkpoint-format.ts';
import { EntryBuffer } from '../log/entry-buffer.ts';
import { SEAL_BYTES } from '../log/record-sealer.ts';
import type { Segment } from '../log/segment.ts';
import type { PresentCheckpoint, StoreState } from '../store-state.ts';
import { CompactionStopped } from './compaction.ts';

/** Names of an erasable namespace are sealed under its own key in blocks of about this many bytes. */
const BLOCK_BYTES = 64 * 1024;
/** While the store goes on, the log grows by this many times the size of the checkpoint before the next one. */
const GROWTH_OF_OPEN_STORE = 4;

/**
 * Whether a checkpoint is worth its bytes now: it costs at most a quarter of what is written to the log until the next
 * one.
 */
export function isCheckpointDue({ log, tuning, lastCheckpointBytes }: StoreState): boolean {
  const { checkpointBytes } = tuning;
  const growth =
    checkpointBytes === 0 ? 1 : Math.max(checkpointBytes, GROWTH_OF_OPEN_STORE * lastCheckpointBytes);
  return log.bytesSinceCheckpoint >= growth;
}

/** As {@link isCheckpointDue} at closing: what the next opening would replay is worth more then. */
export function isCheckpointDueAtClose({ log, tuning, checkpoint }: StoreState): boolean {
  const { checkpointBytes } = tuning;
  if (checkpoint !== undefined)
    return (
      log.bytesSinceCheckpoint >=
      Math.max(checkpointBytes, checkpointBytes === 0 ? 1 : checkpoint.reference.bytes)
    );
  return log.segments.reduce((sum, { length }) => sum + length, 0) >= checkpointBytes;
}

/**
 * Writes the names of all namespaces and the places of their records, as of now, to a new file, durably. Writes of
 * callers go on meanwhile. No manifest lists the file yet: `StoreState.listCheckpoint` does that.
 * @param isStopped asked between entries.
 * @throws CompactionStopped, and what the disk throws; then no file is left.
 */
export async function writeCheckpoint(
  state: StoreState,
  isStopped: () => boolean = () => false,
): Promise<PresentCheckpoint> {
  // All of this in one step: names, places and counts are those of one position of the log.
  const { active, log } = state;
  const covers = log.segments;
  const { id: segmentId, length, nextOrdinal } = active;
  const position = { segmentId, length, nextOrdinal, digest: copyBytes(active.digest) };
  const spaces = [...state.namespaces.all()].map((space) => ({ space, index: space.index.freeze() }));
  const counts = covers.map(({ id, liveBytes, keptBytes, erasedBytes }) => ({
    id,
    liveBytes,
    keptBytes,
    erasedBytes,
  }));
  const bytesBefore = log.bytesSinceCheckpoint;
  const unpin = log.pin();

  state.lastCheckpointNumber += 1;
  const number = state.lastCheckpointNumber;
  const id = state.tuning.random(CHECKPOINT_ID_BYTES);
  const { storeId } = state;
  const { generation, storeKey } = state.keys;
  const cipher = new CheckpointCipher(storeKey, { storeId, id, generation, position });
  const path = inFolder(state.folder, checkpointFileName(number));
  let isOurs = false;
  try {
    await requireInPlace(state.lock, state.folder);
    // An interrupted one may have left a file that no manifest ever listed.
    await removeFile(state.fileSystem, path);
    const handle = await state.fileSystem.open(path, 'create');
    isOurs = true;
    let bytes: number;
    try {
      const writer = new CheckpointFile(state, { handle, cipher, covers }, isStopped);
      await writer.segments(counts);
      for (const { space, index } of spaces) await writer.namespace(space, index);
      bytes = await writer.finish();
      await syncFile(handle);
    } finally {
      await handle.close();
    }
    await syncFolder(state.fileSystem, state.folder);
    return { reference: { number, id, bytes, position }, covers, storeKey, bytesBefore };
  } catch (error) {
    // Where another store was put in the place of this one, the file of this name is of that one.
    if (isOurs) await removeFile(state.fileSystem, path).catch(() => undefined);
    throw error;
  } finally {
    cipher.wipe();
    unpin();
  }
}

/** Removes one that no manifest lists. */
export async function removeCheckpoint(state: StoreState, { reference }: PresentCheckpoint): Promise<void> {
  const path = inFolder(state.folder, checkpointFileName(reference.number));
  await removeFile(state.fileSystem, path).catch(() => undefined);
}

/** Writes the entries of a checkpoint, in sealed chunks. */
class CheckpointFile {
  readonly #state: StoreState;
  readonly #handle: FileHandle;
  readonly #cipher: CheckpointCipher;
  /** By segment id. */
  readonly #numbers: ReadonlyMap<number, number>;
  readonly #isStopped: () => boolean;
  readonly #breather = new Breather();
  readonly #chunk = new EntryBuffer(CHUNK_BYTES + BLOCK_BYTES);
  readonly #block = new EntryBuffer(BLOCK_BYTES);
  #chunks = 0;
  #at = 0;

  constructor(
    state: StoreState,
    file: {
      readonly handle: FileHandle;
      readonly cipher: CheckpointCipher;
      readonly covers: readonly Segment[];
    },
    isStopped: () => boolean,
  ) {
    this.#state = state;
    this.#handle = file.handle;
    this.#cipher = file.cipher;
    this.#numbers = new Map(file.covers.map(({ id }, number) => [id, number]));
    this.#isStopped = isStopped;
  }

  async segments(
    counts: readonly Pick<Segment, 'id' | 'liveBytes' | 'keptBytes' | 'erasedBytes'>[],
  ): Promise<void> {
    this.#chunk.u8(entryKinds.segments).u32(counts.length);
    for (const { id, liveBytes, keptBytes, erasedBytes } of counts)
      this.#chunk.u64(id).u64(liveBytes).u64(keptBytes).u64(erasedBytes);
    await this.#flushFull();
  }

  async namespace(space: NamespaceState, index: OrderedIndex): Promise<void> {
    const { id, name, keyPlace } = space;
    const chunk = this.#chunk;
    chunk
      .u8(entryKinds.namespace)
      .u32(id)
      .u8(keyPlace === undefined ? 0 : 1)
      .u32(keyPlace ?? 0)
      .text(name);
    /** Live bytes of this namespace by number of the segment. */
    const live = new Map<number, number>();
    for (const held of space.heldBy) {
      const number = this.#numbers.get(held);
      if (number !== undefined) live.set(number, 0);
      // Its file is gone, and with it what it held.
      else if (!this.#state.log.segments.some((segment) => segment.id === held)) space.heldBy.delete(held);
    }
    for (const entry of index.entries()) {
      await this.#turn();
      const target = keyPlace === undefined ? chunk : this.#block;
      this.#record(target, entry, live);
      if (this.#block.length >= BLOCK_BYTES) this.#sealBlock(space);
      await this.#flushFull();
    }
    if (this.#block.length > 0) this.#sealBlock(space);
    if (keyPlace !== undefined) {
      chunk.u8(entryKinds.held).u32(live.size);
      for (const [number, bytes] of live) chunk.u32(number).u64(bytes);
    }
    await this.#flushFull();
  }

  /** @returns length of the file. */
  async finish(): Promise<number> {
    await this.#flush(true);
    return this.#at;
  }

  #record(target: EntryBuffer, entry: IndexEntry, live: Map<number, number>): void {
    const { segment, offset, length, ordinal } = this.#state.log.table.unpack(entry);
    const number = this.#numbers.get(segment.id);
    if (number === undefined) throw new Error('the index refers to a segment that is not listed');
    live.set(number, (live.get(number) ?? 0) + length);
    target
      .u8(entryKinds.record)
      .u32(number)
      .u32(offset)
      .u32(length)
      .u32(ordinal - segment.firstOrdinal)
      .text(entry.name);
  }

  /** The own key of an erasable namespace covers its names: destroying it destroys them here too. */
  #sealBlock({ id, key, erased }: NamespaceState): void {
    if (key === undefined || erased) throw new CompactionStopped();
    const plaintext = this.#block.bytes();
    const sealed = new Uint8Array(plaintext.length + SEAL_BYTES);
    const nonce = this.#state.tuning.random(XCHACHA_NONCE_BYTES);
    key.sealInto(sealed, 0, nonce, this.#cipher.ofNamespace(id), plaintext);
    this.#block.reset();
    this.#chunk.u8(entryKinds.sealed).u32(sealed.length).raw(sealed);
  }

  async #turn(): Promise<void> {
    if (!this.#breather.isDue) return;
    await this.#breather.pause();
    if (this.#isStopped()) throw new CompactionStopped();
  }

  async #flushFull(): Promise<void> {
    if (this.#chunk.length >= CHUNK_BYTES) await this.#flush(false);
  }

  async #flush(isLast: boolean): Promise<void> {
    const plaintext = this.#chunk.bytes();
    if (plaintext.length + SEAL_BYTES > MAX_CHUNK_BYTES)
      throw new RangeError('a chunk of a checkpoint is too large');
    const sealed = this.#cipher.seal(
      this.#chunks,
      isLast,
      this.#state.tuning.random(XCHACHA_NONCE_BYTES),
      plaintext,
    );
    const prefix = Buffer.alloc(CHUNK_PREFIX_BYTES);
    prefix.writeUInt32BE(sealed.length);
    await this.#handle.write([prefix, sealed], this.#at);
    this.#at += prefix.length + sealed.length;
    this.#chunks += 1;
    this.#chunk.reset();
  }
}
