import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { Breather } from '../breather.ts';
import { damagedAt } from '../files/disk-failure.ts';
import type { NamespaceState } from '../index/namespace-state.ts';
import type { Location } from '../index/ordered-index.ts';
import { recordsOf } from '../log/frame.ts';
import { noValue, operations } from '../log/record.ts';
import type { OpenedName } from '../log/record-sealer.ts';
import { SEGMENT_HEADER_BYTES, type Segment, segmentFileName } from '../log/segment.ts';
import { type ScannedFrame, SegmentScan } from '../log/segment-scan.ts';
import { lengthOf, packAddress, packExtent } from '../log/segment-table.ts';
import type { StoreState } from '../store-state.ts';
import { BulkWriter } from './bulk-writer.ts';

/** A record that the index will find in its new place. */
interface Move {
  readonly namespace: NamespaceState;
  readonly name: string;
  readonly from: Location;
  readonly to: Location;
}

const MOVES_AT_ONCE = 2000;

/** The compaction was stopped, because the store is closing. */
export class CompactionStopped extends Error {}

/**
 * Rewrites one run of neighbouring finished segments as compacted ones that hold only what still counts. The new
 * files are durable before a manifest that lists them instead of the old ones replaces the one before, atomically;
 * so at any moment a crash leaves either the old ones or the new ones listed, and the others are removed.
 */
export class RunCompaction {
  readonly #state: StoreState;
  readonly #run: readonly Segment[];
  readonly #writer: BulkWriter;
  readonly #moves: Move[] = [];
  readonly #keptTombstones = new Set<string>();
  readonly #isStopped: () => boolean;
  #keptBytes = 0;

  constructor(state: StoreState, run: readonly Segment[], isStopped: () => boolean) {
    this.#state = state;
    this.#run = run;
    this.#isStopped = isStopped;
    this.#writer = new BulkWriter(state);
  }

  /** @throws what reading or writing throws; then nothing has changed. */
  async execute(): Promise<void> {
    const cleanAsOf = this.#state.active.nextOrdinal - 1;
    try {
      for (const segment of this.#run) await this.#copy(segment);
      await this.#writer.finish();
      for (const segment of this.#writer.segments) segment.cleanAsOf = cleanAsOf;
      const [first] = this.#writer.segments;
      if (first !== undefined) first.keptBytes = this.#keptBytes;
      await this.#state.commit.exclusively(() => this.#handOver());
    } catch (error) {
      // After a failed rename the manifest may list the new files, and then they must stay.
      if (this.#state.commit.failure === undefined) await this.#writer.discard().catch(() => undefined);
      throw error;
    }
    await this.#moveIndex();
    this.#state.log.retire(this.#run);
  }

  async #copy(segment: Segment): Promise<void> {
    const scan = new SegmentScan(
      { handle: segment.handle, size: segment.length, from: SEGMENT_HEADER_BYTES },
      { storeId: this.#state.storeId, chainKey: segment.keys.chainKey.reveal() },
      await startOf(segment),
    );
    const breather = new Breather();
    let found = scan.next();
    for (; found.kind === 'frame'; found = scan.next()) await this.#copyFrame(segment, found, breather);
    // Where the chain ends covers all of it. Another segment of this store is a genuine chain too, and compacted ones all
    // begin with record 0: the host could have put one into this file.
    if (found.kind !== 'end' || !equalBytes(scan.position.digest, segment.digest))
      throw damagedAt(
        'STORE_SEGMENT_DAMAGED',
        segmentFileName(segment.id),
        found.at,
        'the segment was altered while the store was open',
      );
  }

  async #copyFrame(segment: Segment, { at, bytes, header }: ScannedFrame, breather: Breather): Promise<void> {
    let ordinal = header.firstOrdinal;
    for (const { offset, sealed } of recordsOf(bytes)) {
      if (this.#isStopped()) throw new CompactionStopped();
      const address = packAddress(segment, at + offset);
      const from = { address, extent: packExtent(segment, ordinal, sealed.length) };
      const opened = this.#state.sealer.openName(sealed, segment.keys.records, this.#state.reader.innerKeys);
      if (opened !== undefined) await this.#copyRecord(segment, opened, from, ordinal);
      ordinal += 1;
      await breather.pause();
    }
  }

  async #copyRecord(segment: Segment, opened: OpenedName, from: Location, ordinal: number): Promise<void> {
    const { operation, namespace: id, name } = opened;
    const namespace = this.#state.namespaces.byId(id);
    if (operation === operations.eraseNamespace) {
      if (this.#mayHideOlder(segment, ordinal)) await this.#keepTombstone(opened, undefined);
      return;
    }
    if (namespace === undefined) return;
    if (operation === operations.createNamespace) {
      const value = this.#state.reader.read(from, opened);
      const { extent } = await this.#writer.append({ operation, namespace: id, name, value }, undefined);
      this.#keptBytes += lengthOf(extent);
      return;
    }
    const present = namespace.index.find(name);
    if (operation === operations.delete) {
      if (present === undefined && this.#mayHideOlder(segment, ordinal))
        await this.#keepTombstone(opened, namespace);
    } else if (present?.address === from.address && present.extent === from.extent) {
      const segment = await this.#writer.segmentForNext();
      // The namespace may have been erased during the wait, and then its key is gone.
      if (namespace.erased) return;
      const value = this.#state.reader.read(from, opened);
      const to = this.#writer.put(segment, { operation, namespace: id, name, value }, namespace.key);
      if (namespace.keyPlace !== undefined) namespace.heldBy.add(segment.id);
      this.#moves.push({ namespace, name, from, to });
    }
  }

  /** Whether an older segment outside the run may still hold a record that this deletion hides. */
  #mayHideOlder(segment: Segment, ordinal: number): boolean {
    // The sequence number of a deletion that was compacted before is lost; this is not below it.
    const sequence = segment.kind === 'log' ? ordinal : segment.cleanAsOf;
    const [first] = this.#run;
    for (const older of this.#state.log.segments) {
      if (older === first) return false;
      if (older.cleanAsOf < sequence) return true;
    }
    return false;
  }

  async #keepTombstone({ operation, namespace, name }: OpenedName, space: NamespaceState | undefined) {
    const id = `${operation} ${namespace} ${name}`;
    if (this.#keptTombstones.has(id)) return;
    this.#keptTombstones.add(id);
    const segment = await this.#writer.segmentForNext();
    // The namespace may have been erased during the wait, and with its key everything that this would hide.
    if (space?.erased) return;
    const content = { operation, namespace, name, value: noValue() };
    const { extent } = this.#writer.put(segment, content, space?.key);
    if (space?.keyPlace !== undefined) space.heldBy.add(segment.id);
    this.#keptBytes += lengthOf(extent);
  }

  async #handOver(): Promise<void> {
    const state = this.#state;
    const at = state.log.segments.findIndex((segment) => segment === this.#run[0]);
    const segments = state.log.segments.toSpliced(at, this.#run.length, ...this.#writer.segments);
    await state.saveManifest(state.manifest(segments));
    state.log.segments = segments;
  }

  /** From here on the old files are only read. A record that was written again since then stays where it is. */
  async #moveIndex(): Promise<void> {
    const state = this.#state;
    for (const [count, { namespace, name, from, to }] of this.#moves.entries()) {
      if (count % MOVES_AT_ONCE === MOVES_AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
      const present = namespace.index.find(name);
      if (namespace.erased) this.#state.log.table.segmentAt(to.address).erasedBytes += lengthOf(to.extent);
      if (present?.address !== from.address || present.extent !== from.extent) continue;
      state.namespaces.indexToChange(namespace).set(name, to.address, to.extent);
      state.log.forget(from);
      state.log.table.segmentAt(to.address).liveBytes += lengthOf(to.extent);
    }
  }
}

/** Where the chain of a segment starts, by its file; where it ends is compared with what this process knows. */
async function startOf(segment: Segment) {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES);
  segment.handle.readSync(header, 0);
  return { ordinal: segment.firstOrdinal, digest: copyBytes(header.subarray(64, 96)) };
}
