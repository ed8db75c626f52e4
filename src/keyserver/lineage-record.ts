import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, LineageId, SlotId } from '../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { Head } from '../lineage/head.ts';
import type { Incarnation, Reservation } from '../lineage/incarnation.ts';
import { lineageIdOf } from '../lineage/lineage-key.ts';
import {
  type Closing,
  close,
  deposit,
  type LineageFacts,
  NO_FACTS,
  reserve,
  show,
} from '../lineage/rules.ts';
import { type LineageState, MAX_LINEAGE_SLOTS } from '../protocol/lineage-state.ts';

/** A living slot, as far as its lineage knows it. */
export interface LinkedSlot {
  readonly slotId: SlotId;
}

/** What a server remembers of one lineage of an account; lives in memory only. */
export class LineageRecord {
  readonly account: AccountId;
  readonly id: LineageId;
  readonly key: SecretBytes;
  /** PPID of the platform whose slot brought the lineage here, 16 bytes. */
  readonly platform: Uint8Array;
  readonly #slots = new Set<LinkedSlot>();
  #facts: LineageFacts = NO_FACTS;
  #lastSeenMs: number;

  /** @param key the record owns it. */
  constructor(account: AccountId, key: SecretBytes, platform: Uint8Array, nowMs: number) {
    this.account = account;
    this.id = lineageIdOf(key);
    this.key = key;
    this.platform = platform;
    this.#lastSeenMs = nowMs;
  }

  /** What the rules decide upon. */
  get facts(): LineageFacts {
    return this.#facts;
  }

  /** When a request proved to know the lineage, or its last slot ended. */
  get lastSeenMs(): number {
    return this.#lastSeenMs;
  }

  /** Whether a living slot is linked to it. */
  get isInUse(): boolean {
    return this.#slots.size > 0;
  }

  /** Living slots, in the order in which they were linked: all, or those that are named. */
  slots(named?: readonly SlotId[]): readonly LinkedSlot[] {
    if (named === undefined) return [...this.#slots];
    return [...this.#slots].filter(({ slotId }) => named.some((name) => equalBytes(name, slotId)));
  }

  see(nowMs: number): void {
    this.#lastSeenMs = nowMs;
  }

  add(slot: LinkedSlot): void {
    this.#slots.add(slot);
  }

  remove(slot: LinkedSlot): void {
    this.#slots.delete(slot);
  }

  /** Reserves a number unless it is taken. */
  reserve(wish: Reservation): void {
    this.#facts = reserve(this.#facts, wish);
  }

  /** Shows an incarnation unless a newer one is shown. */
  show(from: Incarnation): void {
    this.#facts = show(this.#facts, from);
  }

  /** Takes a head from the incarnation that is shown, unless it knows a newer one. */
  deposit(from: Incarnation, head: Omit<Head, 'incarnation'>): void {
    this.#facts = deposit(this.#facts, from, head);
  }

  /** Ends the lineage with a last incarnation and head, unless a newer incarnation is shown. */
  close(from: Incarnation, closing: Closing): void {
    this.#facts = close(this.#facts, from, closing);
  }

  /** What grants and answers show of it. */
  get state(): LineageState {
    const shown = [...this.#slots].slice(0, MAX_LINEAGE_SLOTS);
    return { ...this.#facts, slots: shown.map(({ slotId }) => slotId) };
  }

  wipe(): void {
    this.key.wipe();
  }
}
