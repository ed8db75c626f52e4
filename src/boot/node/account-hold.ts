import { equalBytes } from '../../bytes/concat.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import type { Head } from '../../lineage/head.ts';
import {
  BOOT_BYTES,
  type Incarnation,
  isSameBoot,
  NO_INCARNATION,
  type Reservation,
} from '../../lineage/incarnation.ts';
import type { Lineage } from '../../lineage/lineage.ts';
import { isNewer } from '../../lineage/rules.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { LogHead } from '../../store/api/log-head.ts';
import type { RollbackCheck } from './rollback-check.ts';

/** The number of the incarnation that closes a lineage: no boot has a larger one. */
export const LAST_NUMBER = Number.MAX_SAFE_INTEGER;

/** The random part of a boot's id; drawn once per start. */
export const bootRandom = (random: RandomSource): Uint8Array => random(BOOT_BYTES);

/**
 * Which boot of its node this is, and whether it holds its account: t servers of a generation have shown its mark.
 * Only then it writes. Once it holds, one newer incarnation with the node's own mark, from any server, ends that for
 * good.
 */
export class AccountHold {
  readonly lineage: Lineage;
  readonly #boot: Uint8Array;
  #incarnation: Incarnation;
  #holds = false;
  #hasBegun = false;
  /** The newest incarnation of this node that a server showed; at first that of its store's last writer. */
  #newest: Incarnation;
  /** The highest number that another boot of this node has reserved. */
  #reserved = 0;
  readonly #rollback: RollbackCheck | undefined;
  #onOvertaken: (by: Incarnation) => void = () => undefined;

  /**
   * @param boot 8 random bytes, drawn once per start.
   * @param lastWriter the incarnation that wrote the store last.
   * @param rollback compares the heads of all answers until this boot writes.
   */
  constructor(
    lineage: Lineage,
    boot: Uint8Array,
    lastWriter: Incarnation = NO_INCARNATION,
    rollback?: RollbackCheck,
  ) {
    this.#rollback = rollback;
    this.lineage = lineage;
    this.#boot = boot;
    this.#newest = lastWriter;
    this.#incarnation = lineage.incarnation(lastWriter.number + 1, boot);
  }

  /** The boot that makes a lineage: no other one knows of it, so it holds from the start. */
  static ofNewLineage(lineage: Lineage, boot: Uint8Array, number = 1): AccountHold {
    const hold = new AccountHold(lineage, boot, { ...NO_INCARNATION, number: number - 1 });
    hold.#holds = true;
    hold.#hasBegun = true;
    return hold;
  }

  /** The incarnation of this boot; its number rises until the boot holds. */
  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  /** What this boot reserves before it shows itself. */
  get wish(): Reservation {
    return this.lineage.reservation(this.#incarnation.number, this.#boot);
  }

  get holds(): boolean {
    return this.#holds;
  }

  /** The newer incarnation that this boot, which holds, has seen; `undefined` while there is none. */
  get overtakenBy(): Incarnation | undefined {
    return this.#holds && this.isOutrun ? this.#newest : undefined;
  }

  /** Is called at the answer that shows a newer incarnation to this boot, which holds. */
  whenOvertaken(act: (by: Incarnation) => void): void {
    this.#onOvertaken = act;
  }

  /** Notes what a server shows. Marks that are not this node's own count for nothing. */
  observe(state: LineageState | undefined): void {
    // An answer may come after this boot has ended, and its keys are wiped.
    if (state === undefined || this.lineage.isWiped) return;
    const { shown, reserved, head } = state;
    if (isNewer(shown, this.#newest) && this.lineage.isOwnIncarnation(shown)) this.#newest = shown;
    // A head tells of its writer as surely as a mark.
    if (head !== undefined && isNewer(head.incarnation, this.#newest) && this.lineage.isOwnHead(head)) {
      this.#newest = head.incarnation;
    }
    const newer = this.overtakenBy;
    if (newer !== undefined) this.#onOvertaken(newer);
    if (this.#hasBegun) return;
    this.#rollback?.note(state);
    if (this.#isOwn(reserved) || !this.lineage.isOwnReservation(reserved)) return;
    this.#reserved = Math.max(this.#reserved, reserved.number);
  }

  /**
   * To be asked before anything that lasts: whether no answer so far forbids this boot to go on.
   * @throws EvidenceError STORE_ROLLED_BACK; ProblemError NODE_FENCED.
   */
  requireCurrent(): void {
    this.#rollback?.requireCurrent();
    if (this.overtakenBy !== undefined) {
      throw new ProblemError('NODE_FENCED', overtakenReason(this.overtakenBy));
    }
  }

  /** The operator's acceptance of an older store ends: a head that is shown from here on counts. */
  endAcceptance(): void {
    this.#rollback?.endAcceptance();
  }

  /** The first record of this boot is written: from here on only a newer incarnation counts. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** Whether a server has accepted the reservation of this boot. */
  isReserved({ reserved, closed }: LineageState): boolean {
    return !closed && reserved.number === this.#incarnation.number && isSameBoot(reserved.boot, this.#boot);
  }

  /**
   * Whether a server shows this boot's mark, and no other boot has reserved its number there: a dead one that did, and
   * showed itself elsewhere, would end this one later.
   */
  isShown({ shown, reserved, closed }: LineageState): boolean {
    const isFree = reserved.number < this.#incarnation.number || this.#isOwn(reserved);
    // The mark in a boot id is over its number too.
    return isFree && !closed && equalBytes(shown.bootId, this.#incarnation.bootId);
  }

  /** The newest incarnation of this node that its store or a server has shown. */
  get newest(): Incarnation {
    return this.#newest;
  }

  /** Whether a server shows this boot's mark, or another one of this node. */
  isCredible(state: LineageState | undefined): boolean {
    return state !== undefined && this.lineage.isOwnIncarnation(state.shown);
  }

  /** Whether something newer than this boot's number is known, so that it has to go above it. */
  get isBeaten(): boolean {
    return this.isOutrun || this.#reserved >= this.#incarnation.number;
  }

  /** Whether a newer incarnation of this node than this boot has shown itself. */
  get isOutrun(): boolean {
    return isNewer(this.#newest, this.#incarnation);
  }

  /**
   * Goes above everything that is known; only before it holds.
   * @throws EvidenceError LINEAGE_CLOSED when the node has another store key, and so another lineage.
   */
  rise(): void {
    if (this.#holds) throw new TypeError('a boot that holds keeps its number');
    const number = Math.max(this.#newest.number, this.#reserved) + 1;
    if (number >= LAST_NUMBER) throw lineageClosed();
    this.#incarnation = this.lineage.incarnation(number, this.#boot);
  }

  /** t servers of a generation show the mark of this boot. */
  take(): void {
    this.#holds = true;
  }

  /**
   * A head of the store for deposit. None before the first record of this boot is in the store: a head of this boot would
   * refuse that store later.
   */
  headOf({ sequence, digest }: LogHead): Head | undefined {
    if (!this.#hasBegun) return undefined;
    return this.lineage.head(this.#incarnation, sequence, digest);
  }

  #isOwn({ number, boot }: Reservation): boolean {
    return number === this.#incarnation.number && isSameBoot(boot, this.#boot);
  }
}

/** Why an instance writes no more. */
export const overtakenReason = ({ number }: Incarnation): string =>
  number === LAST_NUMBER
    ? 'the store key of this node was changed by another instance'
    : `incarnation ${number} of this node has claimed the account`;

const lineageClosed = (): EvidenceError =>
  new EvidenceError('LINEAGE_CLOSED', 'another instance of this node has changed the store key', {
    hint: 'this disk is from before that change; put the newest disk back',
  });
