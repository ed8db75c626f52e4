import { equalBytes } from '../../bytes/concat.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { compareHeads, type Head } from '../../lineage/head.ts';
import { type Incarnation, NO_INCARNATION } from '../../lineage/incarnation.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { isSame } from '../../lineage/rules.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { FoundLog } from '../../store/api/admission.ts';
import { lastWriterOf } from './boot-record.ts';
import type { RollbackAcceptance, StorePosition } from './rollback-acceptance.ts';

const NOWHERE: StorePosition = { incarnation: NO_INCARNATION, sequence: 0 };

/**
 * Whether the store on this disk is older than what the servers remember of it: judged when it is opened, before
 * anything is changed, and again in every answer until this boot holds.
 */
export class RollbackCheck {
  readonly #lineage: Lineage;
  #newest: Head | undefined;
  readonly #acceptance: RollbackAcceptance;
  #store: StorePosition = NOWHERE;
  /** Whether a head that is shown now is accepted too. */
  #isAccepting: boolean;
  #refusedBy: Head | undefined;
  #acceptedOlder: Head | undefined;

  /**
   * @param states what the servers showed when they gave their keys, and what refused this store before.
   * @param acceptance whether a human decided to go on from an older store.
   */
  constructor(
    lineage: Lineage,
    states: readonly Pick<LineageState, 'head'>[],
    acceptance: RollbackAcceptance,
  ) {
    this.#lineage = lineage;
    this.#acceptance = acceptance;
    this.#isAccepting = acceptance.isUnused;
    this.#newest = states
      .flatMap(({ head }) => (head !== undefined && lineage.isOwnHead(head) ? [head] : []))
      .reduce<Head | undefined>(newerOf, undefined);
  }

  /** Positions of the log: {@link judge} compares the digests there. */
  get sequences(): readonly number[] {
    return this.#newest === undefined ? [] : [this.#newest.sequence];
  }

  /** The incarnation that wrote the store last; known once it was judged. */
  get lastWriter(): Incarnation {
    return this.#store.incarnation;
  }

  /** Whether a human decided to go on from an older store. */
  get acceptsOlder(): boolean {
    return this.#acceptance.isGiven;
  }

  /** The newer head that a human's decision overrode when the store was judged; `undefined` when it was not older. */
  get acceptedOlder(): Head | undefined {
    return this.#acceptedOlder;
  }

  /** The newest head that refused the store: the next opening must be judged by it. */
  get refusedBy(): Head | undefined {
    return this.#refusedBy;
  }

  /** Judges a store as it was read. @throws EvidenceError STORE_ROLLED_BACK. */
  async judge(found: FoundLog): Promise<void> {
    const incarnation = await lastWriterOf((namespace, name) => found.get(namespace, name));
    this.#store = { incarnation, sequence: found.head.sequence };
    const head = this.#newest;
    if (head === undefined || !this.#isBehind(head, found)) return;
    if (!this.#acceptance.covers(this.#lineage, head, this.#store)) throw this.#refuse(head);
    this.#acceptedOlder = head;
  }

  #isBehind(head: Head, found: FoundLog): boolean {
    if (compareHeads(head, this.#store) > 0) return true;
    if (!isSame(head.incarnation, this.#store.incarnation)) return false;
    // Where compaction has taken the record, a log of the same writer that goes further can only be a continuation.
    const digest = found.digestAt(head.sequence);
    return digest !== undefined && !equalBytes(digest.subarray(0, 16), Lineage.logDigest(head));
  }

  /** A head that is shown from here on counts, also where an operator accepted an older store. */
  endAcceptance(): void {
    this.#isAccepting = false;
    this.#acceptance.end();
  }

  /** Notes a head that a server shows later: since the opening another instance may have written. */
  note({ head }: Pick<LineageState, 'head'>): void {
    if (head === undefined || compareHeads(head, this.#store) <= 0) return;
    if (this.#acceptance.hasAccepted(this.#lineage, head, this.#store)) return;
    if (!this.#lineage.isOwnHead(head)) return;
    if (this.#isAccepting) this.#acceptance.extend(head, this.#store);
    else this.#refusedBy = newerOf(this.#refusedBy, head);
  }

  /** Whether no head that was noted forbids to go on. @throws EvidenceError STORE_ROLLED_BACK. */
  requireCurrent(): void {
    const head = this.#refusedBy;
    if (head === undefined || this.#acceptance.covers(this.#lineage, head, this.#store)) return;
    throw rolledBack(head, this.#store);
  }

  #refuse(head: Head): EvidenceError {
    this.#refusedBy = newerOf(this.#refusedBy, head);
    return rolledBack(head, this.#store);
  }
}

const newerOf = (newest: Head | undefined, head: Head): Head =>
  newest === undefined || compareHeads(head, newest) > 0 ? head : newest;

const rolledBack = (head: Head, store: StorePosition): EvidenceError =>
  new EvidenceError('STORE_ROLLED_BACK', 'the store on this disk is older than what a key server remembers', {
    expected: `incarnation ${head.incarnation.number}, at least sequence ${head.sequence}`,
    observed: `incarnation ${store.incarnation.number}, sequence ${store.sequence}`,
    hint: 'the host may have put back an old disk; restoring a backup on purpose needs an explicit override',
  });
