import type { FrameBuilder } from '../log/frame.ts';
import type { NamespaceState } from '../index/namespace-state.ts';
import type { RecordContent } from '../log/record.ts';
import type { RecordSealer } from '../log/record-sealer.ts';
import type { Segment } from '../log/segment.ts';

/** What one record of a group changes once it is durable. */
export interface Effect {
  readonly group: WriteGroup;
  readonly namespace: NamespaceState;
  readonly name: string;
  /** True: the name is gone. */
  readonly deletes: boolean;
  /** Offset of the nonce within the frame. */
  readonly offset: number;
  readonly length: number;
  readonly ordinal: number;
  /** Instead of changing the index; for creating and erasing namespaces. */
  readonly apply: (() => void) | undefined;
}

/** A promise that waits for the group. */
interface Settler {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
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
  readonly #sealer: RecordSealer;

  constructor(
    segment: Segment,
    position: { readonly base: number; readonly firstOrdinal: number },
    frame: FrameBuilder,
    sealer: RecordSealer,
  ) {
    this.segment = segment;
    this.base = position.base;
    this.firstOrdinal = position.firstOrdinal;
    this.frame = frame;
    this.#sealer = sealer;
  }

  /** Ordinal behind the last record. */
  get nextOrdinal(): number {
    return this.firstOrdinal + this.frame.records;
  }

  /** Where the frame will end in the file. */
  get end(): number {
    return this.frame.records === 0 ? this.base : this.base + this.frame.length;
  }

  get hasWork(): boolean {
    return this.#settlers.length > 0;
  }

  /** Seals a record into the frame; from now on later writes see it. */
  add(namespace: NamespaceState, content: RecordContent, deletes: boolean): void {
    const { offset, length, ordinal } = this.#seal(content, namespace);
    const { name } = content;
    const effect = { group: this, namespace, name, deletes, offset, length, ordinal, apply: undefined };
    this.effects.push(effect);
    namespace.pending.set(name, effect);
  }

  /** Seals a record about a namespace itself, which is never under that namespace's key. */
  addForNamespace(namespace: NamespaceState, content: RecordContent, apply: () => void): void {
    const { offset, length, ordinal } = this.#seal(content, undefined);
    const { name } = content;
    this.effects.push({ group: this, namespace, name, deletes: false, offset, length, ordinal, apply });
  }

  #seal(content: RecordContent, namespace: NamespaceState | undefined) {
    const ordinal = this.nextOrdinal;
    const position = { segmentId: this.segment.id, ordinal };
    const { records } = this.segment.keys;
    return { ordinal, ...this.#sealer.seal(this.frame, records, position, content, namespace?.key) };
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
    for (const { namespace, name } of this.effects) namespace.pending.delete(name);
    for (const settler of this.#settlers) settler.reject(error);
  }
}
