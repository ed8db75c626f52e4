import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import type { FileHandle } from '../../disk/file-system.ts';
import { Breather } from '../breather.ts';
import { inFolder, withFile } from '../files/files.ts';
import { type NamespaceState, newNamespaceState } from '../index/namespace-state.ts';
import { OrderedIndex } from '../index/ordered-index.ts';
import { ByteReader } from '../log/byte-layout.ts';
import {
  CHUNK_PREFIX_BYTES,
  CheckpointCipher,
  type CheckpointReference,
  checkpointFileName,
  entryKinds,
  MAX_CHUNK_BYTES,
} from '../log/checkpoint-format.ts';
import type { Segment } from '../log/segment.ts';
import { packAddress, packExtent } from '../log/segment-table.ts';
import type { StoreState } from '../store-state.ts';

/** Counts of a segment at the position of the checkpoint. */
type SegmentCounts = Pick<Segment, 'id' | 'liveBytes' | 'keptBytes' | 'erasedBytes'>;

/** A checkpoint as read; nothing of it is in the store yet. */
interface ReadCheckpoint {
  /** By number; the segments up to the one with the position. */
  readonly covers: readonly Segment[];
  readonly counts: readonly SegmentCounts[];
  readonly namespaces: readonly NamespaceState[];
}

/**
 * Puts the namespaces, names and counts of a checkpoint into a store that has its segments and keys file open and
 * nothing replayed.
 * @returns false when the checkpoint is gone, was altered, or is not the one that the manifest lists. Then the store is as
 *   before, and all is replayed: what a checkpoint says is in the log too.
 */
export async function loadCheckpoint(state: StoreState, reference: CheckpointReference): Promise<boolean> {
  const read = await readCheckpoint(state, reference).catch(() => undefined);
  if (read === undefined) return false;
  const { covers, counts, namespaces } = read;
  for (const [number, segment] of covers.entries()) Object.assign(segment, counts[number]);
  for (const space of namespaces) state.namespaces.add(space);
  state.checkpoint = { reference, covers, storeKey: state.keys.storeKey, bytesBefore: 0 };
  state.lastCheckpointBytes = reference.bytes;
  return true;
}

/** @throws any error when the file is not the whole, unaltered checkpoint. */
async function readCheckpoint(state: StoreState, reference: CheckpointReference): Promise<ReadCheckpoint> {
  const { number, id, bytes, position } = reference;
  const { storeId } = state;
  const { generation, storeKey } = state.keys;
  const { segments } = state.log;
  const covers = segments.slice(0, segments.findIndex((segment) => segment.id === position.segmentId) + 1);
  const cipher = new CheckpointCipher(storeKey, { storeId, id, generation, position });
  const entries = new EntryReader(state, cipher, covers);
  const breather = new Breather();
  try {
    return await withFile(
      state.fileSystem,
      inFolder(state.folder, checkpointFileName(number)),
      'read',
      async (handle) => {
        if ((await handle.size()) !== bytes)
          throw new RangeError('the checkpoint has another length than it had');
        for (let at = 0, chunk = 0; at < bytes; chunk += 1) {
          const prefix = readAt(handle, at, CHUNK_PREFIX_BYTES);
          const end = at + CHUNK_PREFIX_BYTES + prefix.readUInt32BE(0);
          if (end > bytes || end - at - CHUNK_PREFIX_BYTES > MAX_CHUNK_BYTES)
            throw new RangeError('a chunk is longer than it can be');
          const sealed = readAt(handle, at + CHUNK_PREFIX_BYTES, end - at - CHUNK_PREFIX_BYTES);
          const plaintext = cipher.open(chunk, end === bytes, sealed);
          if (plaintext === undefined) throw new RangeError('a chunk does not authenticate');
          entries.read(plaintext);
          plaintext.fill(0);
          at = end;
          // The index of a large store takes a while; timers and requests need their turns.
          if (breather.isDue) await breather.pause();
        }
        return entries.finish();
      },
    );
  } catch (error) {
    entries.discard();
    throw error;
  } finally {
    cipher.wipe();
  }
}

function readAt(handle: FileHandle, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (handle.readSync(bytes, at) !== length) throw new RangeError('the checkpoint ends too early');
  return bytes;
}

/** Reads the entries of authenticated chunks. */
class EntryReader {
  readonly #state: StoreState;
  readonly #cipher: CheckpointCipher;
  readonly #covers: readonly Segment[];
  readonly #namespaces: NamespaceState[] = [];
  #counts: SegmentCounts[] = [];
  #names: string[] = [];
  #addresses: number[] = [];
  #extents: number[] = [];

  constructor(state: StoreState, cipher: CheckpointCipher, covers: readonly Segment[]) {
    this.#state = state;
    this.#cipher = cipher;
    this.#covers = covers;
  }

  read(plaintext: Uint8Array): void {
    const bytes = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length);
    for (let at = 0; at < bytes.length; ) {
      const kind = bytes.readUInt8(at);
      if (kind === entryKinds.record) at = this.#record(bytes, at + 1);
      else at += 1 + this.#other(kind, bytes.subarray(at + 1));
    }
  }

  finish(): ReadCheckpoint {
    this.#endNamespace();
    if (this.#counts.length !== this.#covers.length)
      throw new RangeError('the checkpoint lists other segments');
    return { covers: this.#covers, counts: this.#counts, namespaces: this.#namespaces };
  }

  /** Wipes the keys of what was read in vain. */
  discard(): void {
    for (const { key } of this.#namespaces) key?.wipe();
  }

  /** @returns where the next entry begins. */
  #record(bytes: Buffer, at: number): number {
    const segment = this.#segment(bytes.readUInt32BE(at));
    this.#addresses.push(packAddress(segment, bytes.readUInt32BE(at + 4)));
    const ordinal = segment.firstOrdinal + bytes.readUInt32BE(at + 12);
    this.#extents.push(packExtent(segment, ordinal, bytes.readUInt32BE(at + 8)));
    const end = at + 18 + bytes.readUInt16BE(at + 16);
    this.#names.push(bytes.toString('utf8', at + 18, end));
    return end;
  }

  /** @returns length of the entry behind its kind. */
  #other(kind: number, bytes: Buffer): number {
    const reader = new ByteReader(bytes);
    if (kind === entryKinds.segments) this.#readCounts(reader);
    else if (kind === entryKinds.namespace) this.#beginNamespace(reader);
    else if (kind === entryKinds.sealed) this.#readSealed(reader);
    else if (kind === entryKinds.held) this.#readHeld(reader);
    else throw new RangeError(`an entry of unknown kind ${kind}`);
    return reader.position;
  }

  #readCounts(reader: ByteReader): void {
    this.#counts = Array.from({ length: reader.u32() }, (_, number) => {
      const { id } = this.#segment(number);
      if (reader.u64() !== id) throw new RangeError('the checkpoint lists other segments');
      return { id, liveBytes: reader.u64(), keptBytes: reader.u64(), erasedBytes: reader.u64() };
    });
  }

  #beginNamespace(reader: ByteReader): void {
    this.#endNamespace();
    const id = reader.u32();
    const isErasable = reader.u8() === 1;
    const place = reader.u32();
    const keyPlace = isErasable ? place : undefined;
    const name = Buffer.from(reader.bytes(reader.u16())).toString('utf8');
    const key = keyPlace === undefined ? undefined : this.#state.namespaceKeys.open(keyPlace, id);
    const cipher = key === undefined ? undefined : new XChaCha20Key(key);
    key?.fill(0);
    this.#namespaces.push(newNamespaceState(id, name, keyPlace, cipher));
  }

  #endNamespace(): void {
    const space = this.#namespaces.at(-1);
    if (space === undefined) return;
    space.index = OrderedIndex.ofSorted(this.#names, this.#addresses, this.#extents);
    this.#names = [];
    this.#addresses = [];
    this.#extents = [];
  }

  /** Without the namespace's key its names are gone: it was erased, or the end of the replay refuses the store. */
  #readSealed(reader: ByteReader): void {
    const sealed = reader.bytes(reader.u32());
    const { id, key } = this.#namespace;
    if (key === undefined) return;
    const plaintext = key.open(sealed, this.#cipher.ofNamespace(id));
    if (plaintext === undefined) throw new RangeError('the names of a namespace do not authenticate');
    this.read(plaintext);
    plaintext.fill(0);
  }

  #readHeld(reader: ByteReader): void {
    const { heldBy, key } = this.#namespace;
    for (let left = reader.u32(); left > 0; left -= 1) {
      const number = reader.u32();
      const bytes = reader.u64();
      const counts = this.#counts[number];
      if (counts === undefined) throw new RangeError('the checkpoint names an unknown segment');
      heldBy.add(counts.id);
      if (key !== undefined) continue;
      // Its records are dead, and where they are only the destroyed key could tell.
      this.#counts[number] = {
        ...counts,
        liveBytes: counts.liveBytes - bytes,
        erasedBytes: counts.erasedBytes + Math.max(1, bytes),
      };
    }
  }

  get #namespace(): NamespaceState {
    const space = this.#namespaces.at(-1);
    if (space === undefined) throw new RangeError('an entry is in no namespace');
    return space;
  }

  #segment(number: number): Segment {
    const segment = this.#covers[number];
    if (segment === undefined) throw new RangeError('the checkpoint names an unknown segment');
    return segment;
  }
}
