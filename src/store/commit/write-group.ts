import type { NamespaceState } from '../index/namespace-state.ts';
import type { NamespaceTable } from '../index/namespace-table.ts';
import type { PendingRecord } from '../index/pending-record.ts';
import type { RecordReader } from '../index/record-reader.ts';
import type { FrameBuilder } from '../log/frame.ts';
import { noValue, operations, type RecordContent } from '../log/record.ts';
import type { RecordSealer } from '../log/record-sealer.ts';
import type { Segment } from '../log/segment.ts';
import { isExpected, resolveSpace, type Write, type WriteOutcome, type WriteStep } from './write.ts';

/** The change that one record of a group makes after it is durable. */
export interface Effect extends PendingRecord {
  readonly space: NamespaceState;
  readonly name: string;
  /** Instead of changing the index; for creating and erasing namespaces. */
  readonly apply: (() => void) | undefined;
}

/** A promise that waits for the group. */
interface Settler {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The parts that a group uses to check the conditions of writes and to seal their records. */
export interface GroupTools {
  readonly namespaces: NamespaceTable;
  readonly reader: RecordReader;
  readonly sealer: RecordSealer;
}

/** The writes that one write to the disk makes durable together. */
export class WriteGroup {
  readonly segment: Segment;
  /** Where the frame will start in the file. */
  readonly base: number;
  readonly firstOrdinal: number;
  readonly frame: FrameBuilder;
  readonly effects: Effect[] = [];
  readonly #settlers: Settler[] = [];
  readonly #tools: GroupTools;

  constructor(
    segment: Segment,
    start: { readonly base: number; readonly firstOrdinal: number },
    frame: FrameBuilder,
    tools: GroupTools,
  ) {
    this.segment = segment;
    this.base = start.base;
    this.firstOrdinal = start.firstOrdinal;
    this.frame = frame;
    this.#tools = tools;
  }

  /** Ordinal behind the last record. */
  get nextOrdinal(): number {
    return this.firstOrdinal + this.frame.records;
  }

  /** Where the frame will end in the file. */
  get end(): number {
    return this.frame.records === 0 ? this.base : this.base + this.frame.length;
  }

  /**
   * Judges the conditions of a write by all writes before it, then seals its records into the frame, where later
   * writes see them. A write that is refused or fails its checks adds nothing.
   * @throws EvidenceError STORE_NAMESPACE_MISSING, and what reading a present value throws.
   */
  admit({ steps, wantsBefore }: Write): WriteOutcome {
    const { namespaces, reader } = this.#tools;
    const spaces = steps.map(({ space }) => resolveSpace(namespaces, space));
    for (const [index, step] of steps.entries()) {
      const space = spaces[index];
      if (step.kind !== 'expect' || space === undefined) continue;
      if (!isExpected(reader.valueNow(space, step.name), step.value))
        return { conflict: step, before: undefined };
    }
    const [first] = steps;
    const [space] = spaces;
    const before =
      wantsBefore && first !== undefined && space !== undefined
        ? reader.valueNow(space, first.name)
        : undefined;
    for (const [index, step] of steps.entries()) {
      const space = spaces[index];
      if (space !== undefined) this.#add(space, step);
    }
    return { conflict: undefined, before };
  }

  /** Seals a record about a namespace itself, which is never under that namespace's key. */
  addForNamespace(space: NamespaceState, content: RecordContent, apply: () => void): void {
    const sealed = this.#seal(content, undefined);
    this.effects.push({ ...sealed, space, name: content.name, deletes: false, apply });
  }

  /** A promise that settles with the group. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settlers.push({ resolve, reject });
    });
  }

  /** The group is durable. */
  succeed(): void {
    for (const settler of this.#settlers) settler.resolve();
  }

  /** Nothing of the group was kept. */
  fail(error: unknown): void {
    for (const { space, name } of this.effects) space.pending.delete(name);
    for (const settler of this.#settlers) settler.reject(error);
  }

  #add(space: NamespaceState, step: WriteStep): void {
    const { name } = step;
    const namespace = space.id;
    if (step.kind === 'put')
      this.#addRecord(space, { operation: operations.put, namespace, name, value: step.value }, false);
    // A deletion of what is not there needs no record.
    else if (step.kind === 'delete' && this.#tools.reader.hasNow(space, name))
      this.#addRecord(space, { operation: operations.delete, namespace, name, value: noValue() }, true);
  }

  #addRecord(space: NamespaceState, content: RecordContent, deletes: boolean): void {
    const { name } = content;
    const effect = { ...this.#seal(content, space), space, name, deletes, apply: undefined };
    this.effects.push(effect);
    space.pending.set(name, effect);
  }

  #seal(content: RecordContent, space: NamespaceState | undefined) {
    const ordinal = this.nextOrdinal;
    const { segment, frame } = this;
    const position = { segmentId: segment.id, ordinal };
    const { offset, length } = this.#tools.sealer.seal(
      frame,
      segment.keys.records,
      position,
      content,
      space?.key,
    );
    return { segment, frame, ordinal, offset, length };
  }
}
