import { type ByteRow, NUMBER_BYTES } from '../bytes/byte-rows.ts';
import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { AccountId, LineageId, type SlotId } from '../bytes/fixed-bytes.ts';
import { memoKey } from '../bytes/memo.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { Head } from '../lineage/head.ts';
import type { Incarnation, Reservation } from '../lineage/incarnation.ts';
import { LINEAGE_KEY_BYTES, lineageIdOf } from '../lineage/lineage-key.ts';
import {
  type Closing,
  close,
  deposit,
  isNewer,
  type LineageFacts,
  NO_FACTS,
  reserve,
  show,
} from '../lineage/rules.ts';
import { type LineageState, MAX_LINEAGE_SLOTS } from '../protocol/lineage-state.ts';
import { FACTS_BYTES, packFacts, unpackFacts } from './packed-facts.ts';

/** A living slot, as far as its lineage knows it. */
export interface LinkedSlot {
  readonly slotId: SlotId;
  /** Binds the key of the slot to another platform. @param platform PPID, 16 bytes. */
  bindTo(platform: Uint8Array): void;
}

/** A platform that got a key by a move and has not shown a mark yet. */
interface Arrival {
  /** PPID, 16 bytes. */
  readonly platform: Uint8Array;
  /** The incarnation that was shown when it got the key. */
  readonly after: Incarnation;
}

const ID_AT = AccountId.byteLength;
const KEY_AT = ID_AT + LineageId.byteLength;
const FACTS_AT = KEY_AT + LINEAGE_KEY_BYTES;
const LAST_SEEN_AT = FACTS_AT + FACTS_BYTES;
/** Bytes of the row of a record: account ‖ lineage id ‖ lineage key ‖ facts ‖ time. */
export const LINEAGE_ROW_BYTES = LAST_SEEN_AT + NUMBER_BYTES;

/** What a server remembers of one lineage of an account; lives in memory only. */
export class LineageRecord {
  /** PPID of the platform that brought the lineage here, 16 bytes. */
  readonly platform: Uint8Array;
  readonly #row: ByteRow;
  #slots: readonly LinkedSlot[] = [];
  #arrival: Arrival | undefined;

  /**
   * @param row zeros of {@link LINEAGE_ROW_BYTES}; the record owns it.
   * @param key copied into the row.
   */
  constructor(row: ByteRow, account: AccountId, key: SecretBytes, platform: Uint8Array, nowMs: number) {
    row.view().set(account);
    row.view(ID_AT).set(lineageIdOf(key));
    row.view(KEY_AT).set(key.reveal());
    row.setNumber(LAST_SEEN_AT, nowMs);
    packFacts(NO_FACTS, row.view(FACTS_AT, LAST_SEEN_AT));
    this.#row = row;
    this.platform = platform;
  }

  get account(): AccountId {
    return AccountId.of(this.#row.view(0, ID_AT));
  }

  get id(): LineageId {
    return LineageId.of(this.#row.view(ID_AT, KEY_AT));
  }

  /** Account and lineage id as one text. */
  get name(): string {
    return memoKey(this.#row.view(0, KEY_AT));
  }

  /** The lineage key itself, until the record is erased; do not keep it. */
  get key(): SecretBytes {
    return SecretBytes.adopt(this.#row.view(KEY_AT, FACTS_AT));
  }

  /** What the rules decide upon. */
  get facts(): LineageFacts {
    return unpackFacts(this.#row.view(FACTS_AT, LAST_SEEN_AT));
  }

  /** Without living slots: when a request proved to know the lineage, or its last slot ended. */
  get lastSeenMs(): number {
    return this.#row.number(LAST_SEEN_AT);
  }

  /** Living slots, in the order in which they were linked. */
  get slots(): readonly LinkedSlot[] {
    return this.#slots;
  }

  /** Whether a living slot is linked to it. */
  get isInUse(): boolean {
    return this.#slots.length > 0;
  }

  /** Those of the living slots that are named. */
  slotsNamed(names: readonly SlotId[]): readonly LinkedSlot[] {
    return this.#slots.filter(({ slotId }) => names.some((name) => equalBytes(name, slotId)));
  }

  see(nowMs: number): void {
    this.#row.setNumber(LAST_SEEN_AT, nowMs);
  }

  add(slot: LinkedSlot): void {
    this.#slots = [...this.#slots, slot];
  }

  remove(slot: LinkedSlot): void {
    this.#slots = this.#slots.filter((other) => other !== slot);
  }

  /** Reserves a number unless it is taken. */
  reserve(wish: Reservation): void {
    this.#change(reserve(this.facts, wish));
  }

  /** Shows an incarnation unless a newer one is shown; a newer one completes a move. */
  show(from: Incarnation): void {
    this.#change(show(this.facts, from));
    this.#completeMove();
  }

  /**
   * A platform got a key of this lineage by a move. The next boot that shows a newer mark binds all slots to it; until
   * then the former platform is served too, because the boot on the new one may fail.
   * @param platform PPID, 16 bytes; copied.
   */
  beginMove(platform: Uint8Array): void {
    this.#arrival = { platform: copyBytes(platform), after: this.facts.shown };
  }

  /** The platform that the slots are bound to got a key again: its mark must not bind them to the other one. */
  endMove(): void {
    this.#arrival = undefined;
  }

  #completeMove(): void {
    if (this.#arrival === undefined) return;
    const { platform, after } = this.#arrival;
    if (!isNewer(this.facts.shown, after)) return;
    for (const slot of this.#slots) slot.bindTo(platform);
    this.#arrival = undefined;
  }

  /** Takes a head from the incarnation that is shown, unless it knows a newer one. */
  deposit(from: Incarnation, head: Omit<Head, 'incarnation'>): void {
    this.#change(deposit(this.facts, from, head));
  }

  /** Ends the lineage with a last incarnation and head, unless a newer incarnation is shown. */
  close(from: Incarnation, closing: Closing): void {
    this.#change(close(this.facts, from, closing));
  }

  /** What grants and answers show of it. */
  get state(): LineageState {
    // The newest first: what a request has just linked is among them, however many there are.
    const shown = this.#slots.slice(-MAX_LINEAGE_SLOTS).reverse();
    return { ...this.facts, slots: shown.map(({ slotId }) => slotId) };
  }

  wipe(): void {
    this.#row.erase();
  }

  #change(facts: LineageFacts): void {
    packFacts(facts, this.#row.view(FACTS_AT, LAST_SEEN_AT));
  }
}
