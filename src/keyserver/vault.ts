import { ByteRows } from '../bytes/byte-rows.ts';
import { concatBytes, equalBytes } from '../bytes/concat.ts';
import type { AccountId, SlotId } from '../bytes/fixed-bytes.ts';
import { memoKey } from '../bytes/memo.ts';
import type { RandomSource } from '../crypto/random.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { LineageState } from '../protocol/lineage-state.ts';
import { isPlainSlotId, PLAIN_SLOT_ID } from '../protocol/report-data.ts';
import type { JudgedRequest } from './judge.ts';
import type { LineageRecord } from './lineage-record.ts';
import { type LineageLimits, LineageTable } from './lineage-table.ts';
import { plainKeyOfOtherPlatform, provesToken } from './ownership.ts';
import { PlatformShare } from './platform-share.ts';
import {
  type Provenance,
  SLOT_ROW_BYTES,
  type SlotFacts,
  SlotKey,
  slotUnlinked,
  UNCONFIRMED_TTL_MS,
} from './slot-key.ts';

/** Bounds of the key table. */
export interface VaultLimits extends LineageLimits {
  /** Keys altogether. */
  readonly maxKeys: number;
  /** Living keys that one platform has made. */
  readonly maxKeysPerPlatform: number;
  /** Of those, how many for one account: enough for two generations and some failed attempts. */
  readonly maxKeysPerPlatformAndAccount: number;
  /** Plain keys of one platform; each belongs to another account. */
  readonly maxPlainKeysPerPlatform: number;
  /** How long a key lives after its last use when its account has had no record on the chain for as long. */
  readonly unregisteredKeyTtlMs: number;
}

/** What a {@link Vault} asks of the process around it. */
export interface VaultSurroundings {
  /** Whether a newer instance has the account of this server, so that this process will be ended. */
  readonly isOvertaken?: () => boolean;
  /** A clock that cannot be set, by which lineages and unused keys age. */
  readonly monotonicMs?: () => number;
}

/** Defaults of {@link VaultLimits}; a key costs about 1 KiB of memory. */
export const defaultVaultLimits: VaultLimits = {
  maxKeys: 400_000,
  maxKeysPerPlatform: 4096,
  maxKeysPerPlatformAndAccount: 32,
  maxPlainKeysPerPlatform: 64,
  unregisteredKeyTtlMs: 30 * 24 * 3_600_000,
  maxLineages: 200_000,
  maxLineagesPerPlatform: 4096,
  lineageTtlMs: 90 * 24 * 3_600_000,
};

/** The facts about an account that the vault uses. */
export interface AccountRegistry {
  /**
   * For how long the chain has shown no record of the account, in milliseconds: 0 while it shows one or cannot be read,
   * `Infinity` when this process has never seen one.
   */
  lackingRecordMs(account: AccountId): number;
  /**
   * PPID (16 bytes) that the registered quote of the account proves; `undefined` when there is none.
   * @throws ProblemError CHAIN_UNAVAILABLE without a fresh view of the chain.
   */
  registeredPlatform(account: AccountId): Uint8Array | undefined;
}

/** A vault without its keys: to count and to report. */
export interface VaultView {
  readonly size: number;
  /** How many accounts have keys here. */
  readonly accounts: number;
  /** How many platforms have made keys that are here. */
  readonly platforms: number;
  /** How many lineages are remembered here. */
  readonly lineageCount: number;
  readonly isDraining: boolean;
  keys(): Iterable<SlotFacts>;
  find(account: AccountId, slotId: SlotId, nowMs: number): SlotFacts | undefined;
  holdsKeyOf(account: AccountId): boolean;
}

/** A drain takes minutes, and most drains end with the server. */
const DRAINING_RETRY_MS = 60_000;

const nameOf = (account: AccountId, slotId: SlotId): string => memoKey(concatBytes(account, slotId));

/**
 * The key table: in memory only, never written anywhere. Every method is synchronous, so concurrent requests for one
 * name see one key.
 */
export class Vault implements VaultView {
  /** By name, the key that was idle longest first. */
  readonly #keys = new Map<string, SlotKey>();
  /** Keys that are not confirmed, oldest first. */
  readonly #unconfirmed = new Map<string, SlotKey>();
  readonly #rows = new ByteRows(SLOT_ROW_BYTES);
  readonly #perAccount = new Map<string, number>();
  readonly #platforms = new Map<string, PlatformShare>();
  readonly #random: RandomSource;
  readonly #registry: AccountRegistry;
  readonly #limits: VaultLimits;
  /** What is known of the stores that the keys belong to. */
  readonly lineages: LineageTable;
  readonly #isOvertaken: () => boolean;
  readonly #monotonicMs: () => number;
  #isDrained = false;

  constructor(
    random: RandomSource,
    registry: AccountRegistry,
    limits: VaultLimits = defaultVaultLimits,
    { isOvertaken = () => false, monotonicMs = () => performance.now() }: VaultSurroundings = {},
  ) {
    this.#isOvertaken = isOvertaken;
    this.#monotonicMs = monotonicMs;
    this.#random = random;
    this.#registry = registry;
    this.#limits = limits;
    this.lineages = new LineageTable(limits, monotonicMs);
  }

  /** While true no key is made; those that are there stay. */
  get isDraining(): boolean {
    return this.#isDrained || this.#isOvertaken();
  }

  /** An operator begins or ends a drain. */
  set isDraining(isDrained: boolean) {
    this.#isDrained = isDrained;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** How many accounts have keys here. */
  get accounts(): number {
    return this.#perAccount.size;
  }

  get platforms(): number {
    return this.#platforms.size;
  }

  get lineageCount(): number {
    return this.lineages.size;
  }

  /** All living keys, for counting and reporting. */
  keys(): Iterable<SlotKey> {
    return this.#keys.values();
  }

  find(account: AccountId, slotId: SlotId, nowMs: number): SlotKey | undefined {
    const name = nameOf(account, slotId);
    const key = this.#keys.get(name);
    if (key === undefined || !this.#hasEnded(name, key, nowMs)) return key;
    this.#remove(name, key);
    return undefined;
  }

  /** A request got this key or proved to hold it. */
  noteUse(key: SlotKey): void {
    key.use(this.#monotonicMs());
    this.#moveToEnd(nameOf(key.account, key.slotId), key);
  }

  /**
   * The plain key of an account, made on the first request. Where the chain proves the platform of the account, only
   * that platform makes one, and it replaces a key of another platform that was never used after its creation. So none
   * is made while the chain's word is not known; what is here is given as before.
   * @throws RefusalError PLATFORM_REFUSED when the key belongs to another platform, PLATFORM_LIMIT.
   * @throws ProblemError CHAIN_UNAVAILABLE, VAULT_FULL, SERVER_DRAINING.
   */
  getOrCreatePlain(judged: JudgedRequest, nowMs: number): { key: SlotKey; created: boolean } {
    const { account } = judged.bound.request;
    const { platform } = judged.provenance;
    const present = this.find(account, PLAIN_SLOT_ID, nowMs);
    if (present !== undefined && equalBytes(present.provenance.platform, platform)) {
      this.noteUse(present);
      return { key: present, created: false };
    }
    if (present?.wasUsed) throw plainKeyOfOtherPlatform();
    const registered = this.#registry.registeredPlatform(account);
    const isRegisteredHere = registered !== undefined && equalBytes(registered, platform);
    if (present === undefined) {
      if (registered !== undefined && !isRegisteredHere) throw otherPlatform();
      return { key: this.#make(judged, nowMs), created: true };
    }
    if (!isRegisteredHere) throw plainKeyOfOtherPlatform();
    return { key: this.#make(judged, nowMs, present), created: true };
  }

  /**
   * A new key under a fresh slot id. A request that proves the token of a key that is here gets that key: one that is not
   * linked only as the repetition of the request that made it, by the same platform and before the key is used.
   * @throws EvidenceError KEY_EXISTS when there is a key and the request does not prove its token; SLOT_UNLINKED.
   * @throws ProblemError VAULT_FULL, SERVER_DRAINING, RefusalError PLATFORM_LIMIT.
   */
  create(judged: JudgedRequest, nowMs: number): { key: SlotKey; created: boolean } {
    const { bound, provenance } = judged;
    const present = this.find(bound.request.account, bound.slotId, nowMs);
    if (present === undefined) return { key: this.#make(judged, nowMs), created: true };
    if (!provesToken(bound, present)) {
      throw new EvidenceError('KEY_EXISTS', 'there is a key under this slot id already', {
        field: 'servers.slotId',
        hint: 'take a new random slot id',
      });
    }
    if (present.lineage !== undefined) this.noteUse(present);
    else if (!present.isNewOn(provenance.platform)) throw slotUnlinked();
    return { key: present, created: false };
  }

  /** The owner keeps the key: it does not expire any more for lack of a confirmation. */
  confirm(key: SlotKey): void {
    key.confirm();
    this.#unconfirmed.delete(nameOf(key.account, key.slotId));
  }

  /** Links a slot that is not linked to a lineage of its account. */
  link(key: SlotKey, lineage: LineageRecord): void {
    key.link(lineage);
    this.lineages.link(lineage, key);
  }

  /** What grants and answers show of a lineage. */
  stateOf(lineage: LineageRecord | undefined, nowMs: number): LineageState | undefined {
    if (lineage === undefined) return undefined;
    // Slots that have ended must not be shown; finding them removes them.
    for (const { slotId } of lineage.slots) this.find(lineage.account, slotId, nowMs);
    return lineage.state;
  }

  /** Whether any key of an account is here. */
  holdsKeyOf(account: AccountId): boolean {
    return this.#perAccount.has(memoKey(account));
  }

  /** Erases one key; false when there is none. */
  forget(account: AccountId, slotId: SlotId): boolean {
    const name = nameOf(account, slotId);
    const key = this.#keys.get(name);
    if (key === undefined) return false;
    this.#remove(name, key);
    return true;
  }

  /** Erases the keys that were not confirmed in time or not used for too long; returns how many. */
  sweep(nowMs: number): number {
    const before = this.#keys.size;
    for (const [name, key] of this.#unconfirmed) {
      // The entries after this one are younger.
      if (nowMs - key.createdAtMs < UNCONFIRMED_TTL_MS) break;
      if (key.isExpired(nowMs)) this.#remove(name, key);
    }
    for (const [name, key] of this.#keys) {
      // The entries after this one were used later.
      if (!this.#isIdle(key)) break;
      if (this.#hasEnded(name, key, nowMs)) this.#remove(name, key);
    }
    this.lineages.sweep();
    return before - this.#keys.size;
  }

  /** Erases everything, at shutdown. */
  wipe(): void {
    for (const key of this.#keys.values()) key.wipe();
    this.lineages.wipe();
    const tables = [this.#keys, this.#unconfirmed, this.#perAccount, this.#platforms];
    for (const table of tables) table.clear();
  }

  #isIdle(key: SlotKey): boolean {
    return this.#monotonicMs() - key.idleSinceMs >= this.#limits.unregisteredKeyTtlMs;
  }

  /**
   * An unused key ends when its account has had no record on the chain for as long: a record that is missing for a
   * moment, on the chain or in the answer of an endpoint that lies, costs no node that is down its key.
   */
  #hasEnded(name: string, key: SlotKey, nowMs: number): boolean {
    if (key.isExpired(nowMs)) return true;
    if (!this.#isIdle(key)) return false;
    if (this.#registry.lackingRecordMs(key.account) >= this.#limits.unregisteredKeyTtlMs) return true;
    key.keep(this.#monotonicMs());
    this.#moveToEnd(name, key);
    return false;
  }

  #moveToEnd(name: string, key: SlotKey): void {
    // Maps iterate in order of insertion. A key that was erased never comes here: its row cannot be written.
    this.#keys.delete(name);
    this.#keys.set(name, key);
  }

  /** Makes the key of a judged request; it replaces the key `replaced` if there is one. */
  #make({ bound, provenance }: JudgedRequest, nowMs: number, replaced?: SlotKey): SlotKey {
    const { slotId } = bound;
    const { account } = bound.request;
    const name = nameOf(account, slotId);
    this.#requireRoomFor(account, slotId, provenance, nowMs);
    // Only now: a request that finds no room must not cost the key that is here.
    if (replaced !== undefined) this.#remove(name, replaced);
    const shared = this.#shareOf(provenance.platform).provenanceOf(provenance.trustHash);
    const times = { nowMs, monotonicMs: this.#monotonicMs() };
    const key = new SlotKey(this.#rows.take(), account, slotId, shared, this.#random, times);
    this.#keys.set(name, key);
    if (!key.confirmed) this.#unconfirmed.set(name, key);
    this.#count(key, 1);
    return key;
  }

  #requireRoomFor(account: AccountId, slotId: SlotId, { platform }: Provenance, nowMs: number): void {
    if (this.isDraining) {
      throw new ProblemError('SERVER_DRAINING', 'this server is about to be stopped and makes no new keys', {
        hint: 'ask other servers',
        retryAfterMs: DRAINING_RETRY_MS,
      });
    }
    const {
      maxKeys,
      maxKeysPerPlatform,
      maxKeysPerPlatformAndAccount: maxOfAccount,
      maxPlainKeysPerPlatform,
    } = this.#limits;
    // Keys that have ended must not count.
    this.sweep(nowMs);
    if (this.#keys.size >= maxKeys) {
      throw new ProblemError('VAULT_FULL', `the key table holds its ${maxKeys} keys`);
    }
    const share = this.#platforms.get(memoKey(platform));
    this.#requireRoom(share?.keys ?? 0, maxKeysPerPlatform);
    this.#requireRoom(share?.perAccount.get(memoKey(account)) ?? 0, maxOfAccount);
    if (isPlainSlotId(slotId)) this.#requireRoom(share?.plainKeys ?? 0, maxPlainKeysPerPlatform);
  }

  #requireRoom(held: number, limit: number): void {
    if (held < limit) return;
    throw new RefusalError('PLATFORM_LIMIT', `this platform has ${held} keys here already`, {
      expected: `at most ${limit}`,
      observed: `${held}`,
      hint: 'forget keys that are not needed; unconfirmed keys expire within an hour',
    });
  }

  #remove(name: string, key: SlotKey): void {
    this.#keys.delete(name);
    this.#unconfirmed.delete(name);
    this.#count(key, -1);
    if (key.lineage !== undefined) this.lineages.unlink(key.lineage, key);
    key.wipe();
  }

  #count({ account, provenance: { platform }, isPlain }: SlotKey, change: 1 | -1): void {
    const share = this.#shareOf(platform);
    // One text for both tables: it is larger than the counts.
    const name = memoKey(account);
    addTo(this.#perAccount, name, change);
    addTo(share.perAccount, name, change);
    share.keys += change;
    if (isPlain) share.plainKeys += change;
    if (share.keys === 0) this.#platforms.delete(memoKey(platform));
  }

  #shareOf(platform: Uint8Array): PlatformShare {
    const name = memoKey(platform);
    const share = this.#platforms.get(name) ?? new PlatformShare(platform);
    this.#platforms.set(name, share);
    return share;
  }
}

const otherPlatform = (): RefusalError =>
  new RefusalError('PLATFORM_REFUSED', 'the chain registers this account on another platform', {
    field: 'quote PPID',
    hint: 'ask from the registered machine, register this one, or use slot ids',
  });

function addTo(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}
