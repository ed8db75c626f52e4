import type { FaultRecord } from '../fault-record.ts';
import { damagedAt, readFailure } from '../files/disk-failure.ts';
import { operations } from '../log/record.ts';
import type { OpenedRecord, RecordSealer } from '../log/record-sealer.ts';
import { segmentFileName } from '../log/segment.ts';
import type { SegmentTable } from '../log/segment-table.ts';
import type { NamespaceState } from './namespace-state.ts';
import type { NamespaceTable } from './namespace-table.ts';
import type { Location } from './ordered-index.ts';
import type { PendingRecord } from './pending-record.ts';

const SCRATCH_BYTES = 4096;
const MAX_SCRATCH_BYTES = 1024 * 1024;

/** What a record has to be, for its value to be given. */
export type WantedRecord = Pick<OpenedRecord, 'operation' | 'namespace' | 'name'>;

/**
 * The value of the record that was wanted. Another one opens in the same place too, when it had that place in a history
 * that the host cut off (a write that was refused or lost): its segment and number were the same.
 */
function valueIfWanted(opened: OpenedRecord | undefined, wanted: WantedRecord): Uint8Array | undefined {
  const isWanted =
    opened?.operation === wanted.operation &&
    opened.namespace === wanted.namespace &&
    opened.name === wanted.name;
  return isWanted ? opened.value : undefined;
}

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
   * @param wanted what the index, or an authenticated frame, says of it.
   * @throws EvidenceError STORE_RECORD_DAMAGED or ProblemError STORE_READ_FAILED.
   */
  read(location: Location, wanted: WantedRecord): Uint8Array {
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
    const opened = this.#sealer.open(sealed, segment.keys.records, position, this.innerKeys);
    const value = valueIfWanted(opened, wanted);
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

  /** As {@link read}, the value under a name. */
  valueAt(location: Location, { id }: Pick<NamespaceState, 'id'>, name: string): Uint8Array {
    return this.read(location, { operation: operations.put, namespace: id, name });
  }

  /** The value that a write admitted now would find; `undefined` where there is none. */
  valueNow(space: NamespaceState, name: string): Uint8Array | undefined {
    const pending = space.pending.get(name);
    if (pending !== undefined) return pending.deletes ? undefined : this.#readPending(space, name, pending);
    const location = space.index.find(name);
    return location === undefined ? undefined : this.valueAt(location, space, name);
  }

  /** Whether a write admitted now would find a value. */
  hasNow(space: NamespaceState, name: string): boolean {
    const pending = space.pending.get(name);
    return pending === undefined ? space.index.find(name) !== undefined : !pending.deletes;
  }

  #readPending(
    space: NamespaceState,
    name: string,
    { segment, frame, offset, length, ordinal }: PendingRecord,
  ): Uint8Array {
    const position = { segmentId: segment.id, ordinal };
    const sealed = frame.view(offset, length);
    const opened = this.#sealer.open(sealed, segment.keys.records, position, () => space.key);
    const value = valueIfWanted(opened, { operation: operations.put, namespace: space.id, name });
    if (value === undefined) throw new Error('a record that was just sealed does not open');
    return value;
  }
}
