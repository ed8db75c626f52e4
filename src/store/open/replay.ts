import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Breather } from '../breather.ts';
import { damagedAt } from '../files/disk-failure.ts';
import { IndexBuilder } from '../index/index-builder.ts';
import { type NamespaceState, newNamespaceState } from '../index/namespace-state.ts';
import type { Location, OrderedIndex } from '../index/ordered-index.ts';
import { keysFileName } from '../keys/namespace-keys.ts';
import { recordsOf } from '../log/frame.ts';
import { decodeNamespaceKind, operations } from '../log/record.ts';
import type { OpenedName } from '../log/record-sealer.ts';
import { type Segment, segmentFileName } from '../log/segment.ts';
import type { ScannedFrame } from '../log/segment-scan.ts';
import { packAddress, packExtent } from '../log/segment-table.ts';
import type { StoreState } from '../store-state.ts';

/** Number of records that are applied before the clock is read again. */
const RECORDS_A_LOOK = 64;

/** Rebuilds the index from authenticated frames, oldest first. */
export class Replay {
  readonly #state: StoreState;
  /** The names of the namespaces so far; {@link buildIndexes} puts them into the namespaces. */
  readonly #builders = new Map<number, IndexBuilder>();

  constructor(state: StoreState) {
    this.#state = state;
  }

  /** Applies all records of a frame; other tasks get turns between them, as a frame may have 100,000. */
  async frame(segment: Segment, { at, bytes, header }: ScannedFrame, breather: Breather): Promise<void> {
    let ordinal = header.firstOrdinal;
    for (const { offset, sealed } of recordsOf(bytes)) {
      this.record(segment, { sealed, at: at + offset, ordinal });
      ordinal += 1;
      if (ordinal % RECORDS_A_LOOK === 0 && breather.isDue) await breather.pause();
    }
  }

  /** Applies one record of an authenticated frame. @throws EvidenceError STORE_SEGMENT_DAMAGED. */
  record(
    segment: Segment,
    { sealed, at, ordinal }: { readonly sealed: Buffer; readonly at: number; readonly ordinal: number },
  ): void {
    const opened = this.#state.sealer.openName(sealed, segment.keys.records, this.#state.reader.innerKeys);
    if (opened === undefined) throw unreadable(segment, at);
    // What a compacted segment holds in addition to records was kept for a reason.
    const isRecord = opened.operation === operations.put || opened.operation === operations.sealedInner;
    if (segment.kind === 'compacted' && !isRecord) segment.keptBytes += sealed.length;
    // Its namespace was erased, or `finish` will say that the key is damaged.
    if (opened.operation === operations.sealedInner) segment.erasedBytes += sealed.length;
    if (opened.operation === operations.createNamespace) this.#create(segment, sealed, ordinal, at);
    else {
      const location = {
        address: packAddress(segment, at),
        extent: packExtent(segment, ordinal, sealed.length),
      };
      this.#apply(opened, segment, location, sealed.length);
    }
  }

  /** Gives every namespace the index of what was replayed; nothing can be replayed afterwards. */
  buildIndexes(): void {
    for (const [id, builder] of this.#builders) {
      const namespace = this.#state.namespaces.byId(id);
      if (namespace !== undefined) namespace.index = builder.build();
    }
    this.#builders.clear();
  }

  /**
   * Checks what only the whole log tells, and makes the indexes.
   * @throws EvidenceError STORE_NAMESPACE_KEY_DAMAGED when a living erasable namespace has lost its key.
   */
  finish(): void {
    const { namespaces, namespaceKeys } = this.#state;
    this.buildIndexes();
    for (const { keyPlace, key } of namespaces.all()) {
      if (keyPlace === undefined) continue;
      if (key !== undefined) namespaceKeys.claim(keyPlace);
      else
        throw new EvidenceError(
          'STORE_NAMESPACE_KEY_DAMAGED',
          'the key of an erasable namespace is damaged',
          {
            field: `${keysFileName(namespaceKeys.number)}, place ${keyPlace}`,
            hint: 'the store was left as it is; restore a backup, or see `latchkey store repair`',
          },
        );
    }
  }

  #apply(
    { operation, namespace: id, name }: OpenedName,
    segment: Segment,
    location: Location,
    length: number,
  ) {
    const { namespaces } = this.#state;
    const namespace = namespaces.byId(id);
    // Records of a namespace that was erased later may outlive the record that created it.
    if (namespace === undefined) return;
    if (operation === operations.eraseNamespace) {
      for (const location of this.#builder(namespace).locations()) this.#state.log.forgetErased(location);
      this.#state.log.markErased(namespace.heldBy);
      namespaces.remove(namespace);
      this.#builders.delete(id);
      // This record has nothing of the namespace to itself, so its own segment is not swept for it.
      return;
    }
    if (namespace.keyPlace !== undefined) namespace.heldBy.add(segment.id);
    if (operation === operations.put) {
      segment.liveBytes += length;
      this.#forget(this.#builder(namespace).set(name, location.address, location.extent));
    } else if (operation === operations.delete) this.#forget(this.#builder(namespace).delete(name));
  }

  /** The names so far: of a namespace that a checkpoint gave, its own index. */
  #builder({ id, index }: NamespaceState): IndexBuilder | OrderedIndex {
    const present = this.#builders.get(id);
    if (present !== undefined) return present;
    if (index.size > 0) return index;
    const builder = new IndexBuilder();
    this.#builders.set(id, builder);
    return builder;
  }

  #create(segment: Segment, sealed: Uint8Array, ordinal: number, offset: number): void {
    const state = this.#state;
    const position = { segmentId: segment.id, ordinal };
    const opened = state.sealer.open(sealed, segment.keys.records, position, state.reader.innerKeys);
    if (opened === undefined) throw unreadable(segment, offset);
    const { namespace: id, name, value } = opened;
    const keyPlace = decodeNamespaceKind(value);
    const key = keyPlace === undefined ? undefined : state.namespaceKeys.open(keyPlace, id);
    const cipher = key === undefined ? undefined : new XChaCha20Key(key);
    key?.fill(0);
    state.namespaces.add(newNamespaceState(id, name, keyPlace, cipher));
  }

  #forget(old: Location | undefined): void {
    if (old !== undefined) this.#state.log.forget(old);
  }
}

const unreadable = (segment: Segment, offset: number): EvidenceError =>
  damagedAt('STORE_SEGMENT_DAMAGED', segmentFileName(segment.id), offset, 'a record cannot be read');
