import { ByteRows } from '../bytes/byte-rows.ts';
import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { AccountId, LineageId } from '../bytes/fixed-bytes.ts';
import { memoKey } from '../bytes/memo.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { lineageIdOf } from '../lineage/lineage-key.ts';
import { LINEAGE_ROW_BYTES, LineageRecord, type LinkedSlot } from './lineage-record.ts';

/** Bounds of the table of lineages. */
export interface LineageLimits {
  /** Lineages altogether. */
  readonly maxLineages: number;
  /** Lineages that slots of one platform brought here. */
  readonly maxLineagesPerPlatform: number;
  /** How long a lineage is remembered after its last slot ended and its last request came. */
  readonly lineageTtlMs: number;
}

/** The lineages of one platform. */
interface OfPlatform {
  /** PPID, 16 bytes. */
  readonly platform: Uint8Array;
  count: number;
  /** Without living slots, by name, the one that was seen longest ago first. */
  readonly idle: Map<string, LineageRecord>;
}

const nameOf = (account: AccountId, id: LineageId): string => memoKey(concatBytes(account, id));

/**
 * The lineages that this server knows: in memory only, like the keys. A lineage with a living slot stays; another one
 * is forgotten after some time, or earlier when there is no room for a new one: one of the same platform where that is
 * full, one of the platform with the most lineages where the table is.
 */
export class LineageTable {
  readonly #rows = new ByteRows(LINEAGE_ROW_BYTES);
  readonly #records = new Map<string, LineageRecord>();
  /** Without living slots, by name, the one that was seen longest ago first. */
  readonly #idle = new Map<string, LineageRecord>();
  readonly #platforms = new Map<string, OfPlatform>();
  readonly #limits: LineageLimits;
  readonly #monotonicMs: () => number;

  /** @param monotonicMs a clock that cannot be set: what notices a copy must not end by the clock of a host. */
  constructor(limits: LineageLimits, monotonicMs: () => number) {
    this.#limits = limits;
    this.#monotonicMs = monotonicMs;
  }

  get size(): number {
    return this.#records.size;
  }

  /** How many platforms brought the lineages that are here. */
  get platforms(): number {
    return this.#platforms.size;
  }

  find(account: AccountId, id: LineageId): LineageRecord | undefined {
    const record = this.#records.get(nameOf(account, id));
    if (record === undefined || !this.#hasEnded(record, this.#monotonicMs())) return record;
    this.#remove(record);
    return undefined;
  }

  /**
   * The record of a lineage, made if it is not known; a new one has no slots yet.
   * @param key copied; it stays the caller's.
   * @param platform PPID of the platform that brings it, 16 bytes.
   * @throws RefusalError PLATFORM_LIMIT; ProblemError VAULT_FULL. Then nothing was evicted.
   */
  findOrMake(account: AccountId, key: SecretBytes, platform: Uint8Array): LineageRecord {
    const known = this.find(account, lineageIdOf(key));
    if (known !== undefined) {
      this.noteUse(known);
      return known;
    }
    this.#makeRoom(platform);
    const ofPlatform = this.#ofPlatform(platform);
    const record = new LineageRecord(
      this.#rows.take(),
      account,
      key,
      ofPlatform.platform,
      this.#monotonicMs(),
    );
    const { name } = record;
    ofPlatform.count++;
    this.#records.set(name, record);
    this.#idle.set(name, record);
    ofPlatform.idle.set(name, record);
    return record;
  }

  /** A request proved to know the lineage. */
  noteUse(record: LineageRecord): void {
    record.see(this.#monotonicMs());
    if (record.isInUse) return;
    this.#setInUse(record);
    this.#setIdle(record);
  }

  /** Links a living slot. */
  link(record: LineageRecord, slot: LinkedSlot): void {
    record.add(slot);
    this.#setInUse(record);
  }

  /** A linked slot has ended. */
  unlink(record: LineageRecord, slot: LinkedSlot): void {
    record.remove(slot);
    if (record.isInUse) return;
    record.see(this.#monotonicMs());
    this.#setIdle(record);
  }

  /** Forgets the lineages that have ended. */
  sweep(): void {
    const nowMs = this.#monotonicMs();
    for (const record of this.#idle.values()) {
      // The entries after this one were seen later.
      if (!this.#hasEnded(record, nowMs)) break;
      this.#remove(record);
    }
  }

  /** Erases everything, at shutdown. */
  wipe(): void {
    for (const record of this.#records.values()) record.wipe();
    for (const names of [this.#records, this.#idle, this.#platforms]) names.clear();
  }

  #hasEnded(record: LineageRecord, nowMs: number): boolean {
    return !record.isInUse && nowMs - record.lastSeenMs >= this.#limits.lineageTtlMs;
  }

  /** Finds what must go before anything goes: a refused lineage costs no other one its record. */
  #makeRoom(platform: Uint8Array): void {
    const { maxLineages, maxLineagesPerPlatform } = this.#limits;
    this.sweep();
    const ofPlatform = this.#platforms.get(memoKey(platform));
    const isPlatformFull = ofPlatform !== undefined && ofPlatform.count >= maxLineagesPerPlatform;
    if (!isPlatformFull && this.#records.size < maxLineages) return;
    const oldest = isPlatformFull ? firstOf(ofPlatform.idle) : this.#oldestOfLargest();
    if (isPlatformFull && oldest === undefined) {
      throw new RefusalError('PLATFORM_LIMIT', `this platform has ${ofPlatform.count} stores here already`, {
        expected: `at most ${maxLineagesPerPlatform}`,
        observed: `${ofPlatform.count}`,
        hint: 'forget keys that are not needed',
      });
    }
    if (oldest === undefined) {
      throw new ProblemError('VAULT_FULL', `the table of lineages holds its ${maxLineages} lineages`);
    }
    this.#remove(oldest);
  }

  /**
   * Of the platform with the most lineages that has one without slots, the one that was seen longest ago; none of a
   * platform with less than the average, so that a few platforms cannot push out the lineages of the others.
   */
  #oldestOfLargest(): LineageRecord | undefined {
    const average = this.#records.size / this.#platforms.size;
    let largest = 0;
    let chosen: LineageRecord | undefined;
    for (const { count, idle } of this.#platforms.values()) {
      const oldest = firstOf(idle);
      if (oldest === undefined || count < Math.max(average, largest)) continue;
      if (chosen === undefined || count > largest || oldest.lastSeenMs < chosen.lastSeenMs) chosen = oldest;
      largest = count;
    }
    return chosen;
  }

  #ofPlatform(platform: Uint8Array): OfPlatform {
    const name = memoKey(platform);
    const known = this.#platforms.get(name);
    if (known !== undefined) return known;
    const made: OfPlatform = { platform: copyBytes(platform), count: 0, idle: new Map() };
    this.#platforms.set(name, made);
    return made;
  }

  #setIdle(record: LineageRecord): void {
    const { name } = record;
    this.#idle.set(name, record);
    this.#ofPlatform(record.platform).idle.set(name, record);
  }

  #setInUse(record: LineageRecord): void {
    const { name } = record;
    this.#idle.delete(name);
    this.#ofPlatform(record.platform).idle.delete(name);
  }

  #remove(record: LineageRecord): void {
    this.#setInUse(record);
    this.#records.delete(record.name);
    const ofPlatform = this.#ofPlatform(record.platform);
    ofPlatform.count--;
    if (ofPlatform.count === 0) this.#platforms.delete(memoKey(record.platform));
    record.wipe();
  }
}

const firstOf = (records: ReadonlyMap<string, LineageRecord>): LineageRecord | undefined =>
  records.values().next().value;
