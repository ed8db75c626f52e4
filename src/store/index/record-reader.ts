import type { FaultRecord } from '../fault-record.ts';
import { damagedAt, readFailure } from '../files/disk-failure.ts';
import type { RecordSealer } from '../log/record-sealer.ts';
import { segmentFileName } from '../log/segment.ts';
import type { SegmentTable } from '../log/segment-table.ts';
import type { NamespaceState } from './namespace-state.ts';
import type { NamespaceTable } from './namespace-table.ts';
import type { Location } from './ordered-index.ts';
import type { PendingRecord } from './pending-record.ts';

const SCRATCH_BYTES = 4096;
const MAX_SCRATCH_BYTES = 1024 * 1024;

/** Reads the values of records: durable ones from the disk, others from the frame that they were sealed into. */
export class RecordReader {
  readonly #table: SegmentTable;
  readonly #namespaces: NamespaceTable;
  readonly #sealer: RecordSealer;
  readonly #faults: FaultRecord;
  #scratch = new Uint8Array(SCRATCH_BYTES);

  constructor(table: SegmentTable, namespaces: NamespaceTable, sealer: RecordSealer, faults: FaultRecord) {
    this.#table = table;
    this.#namespaces = namespaces;
    this.#sealer = sealer;
    this.#faults = faults;
  }

  /** Own keys of erasable namespaces. */
  readonly innerKeys = (namespace: number) => this.#namespaces.byId(namespace)?.key;

  /**
   * Reads a durable record and opens its value.
   * @throws EvidenceError STORE_RECORD_DAMAGED or ProblemError STORE_READ_FAILED.
   */
  read(location: Location): Uint8Array {
    const { segment, offset, length, ordinal } = this.#table.unpack(location);
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length * 2);
    const sealed = this.#scratch.subarray(0, length);
    try {
      segment.handle.readSync(sealed, offset);
    } catch (error) {
      const failure = readFailure(error, segmentFileName(segment.id));
      this.#faults.readFailed(failure);
      throw failure;
    }
    const position = { segmentId: segment.id, ordinal };
    const value = this.#sealer.openValue(sealed, segment.keys.records, position, this.innerKeys);
    if (this.#scratch.length > MAX_SCRATCH_BYTES) this.#scratch = new Uint8Array(SCRATCH_BYTES);
    if (value !== undefined) return value;
    const damage = damagedAt(
      'STORE_RECORD_DAMAGED',
      segmentFileName(segment.id),
      offset,
      'this record was altered while the store was open',
    );
    this.#faults.readFailed(damage);
    throw damage;
  }

  /** The value that a write admitted now would find; `undefined` where there is none. */
  valueNow(space: NamespaceState, name: string): Uint8Array | undefined {
    const pending = space.pending.get(name);
    if (pending !== undefined) return pending.deletes ? undefined : this.#readPending(space, pending);
    const location = space.index.find(name);
    return location === undefined ? undefined : this.read(location);
  }

  /** Whether a write admitted now would find a value. */
  hasNow(space: NamespaceState, name: string): boolean {
    const pending = space.pending.get(name);
    return pending === undefined ? space.index.find(name) !== undefined : !pending.deletes;
  }

  #readPending(
    space: NamespaceState,
    { segment, frame, offset, length, ordinal }: PendingRecord,
  ): Uint8Array {
    const position = { segmentId: segment.id, ordinal };
    const sealed = frame.view(offset, length);
    const value = this.#sealer.openValue(sealed, segment.keys.records, position, () => space.key);
    if (value === undefined) throw new Error('a record that was just sealed does not open');
    return value;
  }
}
