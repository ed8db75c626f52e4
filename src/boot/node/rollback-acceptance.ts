import { compareHeads, type Head } from '../../lineage/head.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Lineage } from '../../lineage/lineage.ts';
import { isSame } from '../../lineage/rules.ts';

/** How far a store is. */
export interface StorePosition {
  readonly incarnation: Incarnation;
  readonly sequence: number;
}

/** A store that is older than a head which a server showed. */
interface OlderStore {
  readonly head: Head;
  readonly store: StorePosition;
}

/** The heads of a store that was refused as an older one, as an operator sees them before they decide. */
export interface RefusedStore {
  /** Number of the instance that wrote the newest head which a server remembers. */
  readonly incarnation: number;
  readonly sequence: number;
  /** Number of the instance that wrote the store on this disk last. */
  readonly storeIncarnation: number;
  readonly storeSequence: number;
}

/** The numbers of both heads. */
export const refusedStoreOf = ({ head, store }: OlderStore): RefusedStore => ({
  incarnation: head.incarnation.number,
  sequence: head.sequence,
  storeIncarnation: store.incarnation.number,
  storeSequence: store.sequence,
});

/**
 * A human's decision to go on from an older store, in one process. It counts once: for the newest head that the first
 * opening was shown, and for the store that was opened then. A later head, or a store that is older still, is refused
 * again: the host may put back any disk while the process runs.
 */
export class RollbackAcceptance {
  /** Whether a decision was given at the start and no store has needed it yet. */
  #isUnused: boolean;
  /** Whether a mark under a former lineage may be accepted; one for each lineage. */
  readonly #allowsFormer: boolean;
  /** The accepted marks, by name of the lineage. */
  readonly #former = new Map<string, Incarnation>();
  #accepted: OlderStore | undefined;
  #refused: OlderStore | undefined;

  /** @param isGiven the human decided at the start of the process. */
  constructor(isGiven: boolean) {
    this.#isUnused = isGiven;
    this.#allowsFormer = isGiven;
  }

  /** Whether a store that is opened now uses the decision of the start. */
  get isUnused(): boolean {
    return this.#isUnused;
  }

  /** Whether an older store was accepted, or would be now. */
  get isGiven(): boolean {
    return this.#isUnused || this.#accepted !== undefined;
  }

  /** Whether the store may be opened, or go on, although a server knows this head. Remembers what is refused. */
  covers(lineage: Lineage, head: Head, store: StorePosition): boolean {
    if (this.hasAccepted(lineage, head, store)) return true;
    if (this.#isUnused) {
      this.#isUnused = false;
      this.#accepted = { head, store };
      return true;
    }
    const before = this.#refused;
    // Attempts are shown different heads: one decision counts for the newest that refused this store.
    const isKnown =
      before !== undefined &&
      lineage.isOwnHead(before.head) &&
      compareHeads(before.store, store) === 0 &&
      compareHeads(before.head, head) >= 0;
    if (!isKnown) this.#refused = { head, store };
    return false;
  }

  /** Whether the loss of what led to this head was accepted for a store that was no newer than this one. */
  hasAccepted(lineage: Lineage, head: Head, store: StorePosition): boolean {
    const accepted = this.#accepted;
    return (
      accepted !== undefined &&
      lineage.isOwnHead(accepted.head) &&
      compareHeads(head, accepted.head) <= 0 &&
      compareHeads(store, accepted.store) >= 0
    );
  }

  /** A newer head belongs to the decision too, while the servers are asked the first time. */
  extend(head: Head, store: StorePosition): void {
    this.#isUnused = false;
    this.#accepted = { head, store };
  }

  /** The first opening has asked the servers: no other store and no later head uses the decision of the start. */
  end(): void {
    this.#isUnused = false;
  }

  /** What was refused last, in this process, and is not accepted. */
  get refused(): OlderStore | undefined {
    return this.#refused;
  }

  /** A human accepts what was refused last. */
  acceptRefused(): void {
    this.#accepted = this.#refused ?? this.#accepted;
    this.#refused = undefined;
  }

  /**
   * Whether a mark under a former lineage is accepted: the first one that is shown, by however many servers.
   * @param name of the lineage.
   */
  coversFormer(name: string, mark: Incarnation): boolean {
    const accepted = this.#former.get(name);
    if (accepted !== undefined) return isSame(accepted, mark);
    if (this.#allowsFormer) this.#former.set(name, mark);
    return this.#allowsFormer;
  }
}
