import type { AccountId, SlotId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { RandomSource } from '../crypto/random.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { PLAIN_SLOT_ID } from '../protocol/report-data.ts';
import { type Provenance, SlotKey, UNCONFIRMED_TTL_MS } from './slot-key.ts';

/** Bounds of the key table. */
export interface VaultLimits {
  /** Keys altogether. */
  readonly maxKeys: number;
  /** Keys that one platform may have made and that still live. */
  readonly maxKeysPerPlatform: number;
  /** Of those, how many for one account: enough for two generations and some failed attempts. */
  readonly maxKeysPerPlatformAndAccount: number;
}

/** Defaults of {@link VaultLimits}; a key costs about 1 KiB of memory. */
export const defaultVaultLimits: VaultLimits = {
  maxKeys: 200_000,
  maxKeysPerPlatform: 4096,
  maxKeysPerPlatformAndAccount: 32,
};

/** Draining takes a while, and mostly ends with the server. */
const DRAINING_RETRY_MS = 60_000;

const nameOf = (account: AccountId, slotId: SlotId): string => `${toHex(account)}/${toHex(slotId)}`;

/**
 * The key table: in memory only, never written anywhere. Every method is synchronous, so concurrent requests for one
 * name see one key.
 */
export class Vault {
  readonly #keys = new Map<string, SlotKey>();
  /** Keys that were not confirmed when they were last looked at, oldest first. */
  readonly #unconfirmed = new Map<string, SlotKey>();
  readonly #perAccount = new Map<string, number>();
  readonly #perPlatform = new Map<string, number>();
  readonly #perPlatformAndAccount = new Map<string, number>();
  readonly #random: RandomSource;
  readonly #limits: VaultLimits;
  /** While true no key is made; those that are there stay. */
  isDraining = false;

  constructor(random: RandomSource, limits: VaultLimits = defaultVaultLimits) {
    this.#random = random;
    this.#limits = limits;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** How many accounts have keys here. */
  get accounts(): number {
    return this.#perAccount.size;
  }

  /** All living keys, for counting and reporting. */
  keys(): Iterable<SlotKey> {
    return this.#keys.values();
  }

  find(account: AccountId, slotId: SlotId, nowMs: number): SlotKey | undefined {
    const name = nameOf(account, slotId);
    const key = this.#keys.get(name);
    if (key?.isExpired(nowMs)) {
      this.#remove(name, key);
      return undefined;
    }
    return key;
  }

  /**
   * The plain key of an account, made on the first request.
   * @throws RefusalError PLATFORM_REFUSED when another platform made it.
   * @throws ProblemError VAULT_FULL, SERVER_DRAINING, RefusalError PLATFORM_LIMIT.
   */
  getOrCreatePlain(account: AccountId, from: Provenance, nowMs: number): { key: SlotKey; created: boolean } {
    const present = this.find(account, PLAIN_SLOT_ID, nowMs);
    if (present === undefined) return { key: this.#make(account, PLAIN_SLOT_ID, from, nowMs), created: true };
    present.requirePlatform(from.platform);
    return { key: present, created: false };
  }

  /**
   * A new key under a fresh slot id; the same one again to whoever proves to own it.
   * @throws EvidenceError KEY_EXISTS when there is one and `ownsIt` is false.
   * @throws ProblemError VAULT_FULL, SERVER_DRAINING, RefusalError PLATFORM_LIMIT.
   */
  create(
    account: AccountId,
    slotId: SlotId,
    from: Provenance,
    ownsIt: (key: SlotKey) => boolean,
    nowMs: number,
  ): { key: SlotKey; created: boolean } {
    const present = this.find(account, slotId, nowMs);
    if (present === undefined) return { key: this.#make(account, slotId, from, nowMs), created: true };
    if (ownsIt(present)) return { key: present, created: false };
    throw new EvidenceError('KEY_EXISTS', 'there is a key under this slot id already', {
      field: 'servers.slotId',
      hint: 'take a new random slot id',
    });
  }

  /** Whether any key of an account is here. */
  holdsKeyOf(account: AccountId): boolean {
    return this.#perAccount.has(toHex(account));
  }

  /** Erases one key; false when there is none. */
  forget(account: AccountId, slotId: SlotId): boolean {
    const name = nameOf(account, slotId);
    const key = this.#keys.get(name);
    if (key === undefined) return false;
    this.#remove(name, key);
    return true;
  }

  /** Erases the keys that nobody confirmed in time; returns how many. */
  sweep(nowMs: number): number {
    let swept = 0;
    for (const [name, key] of this.#unconfirmed) {
      // Those behind are younger still.
      if (nowMs - key.createdAtMs < UNCONFIRMED_TTL_MS) break;
      if (key.confirmed) this.#unconfirmed.delete(name);
      if (!key.isExpired(nowMs)) continue;
      this.#remove(name, key);
      swept++;
    }
    return swept;
  }

  /** Erases everything, at shutdown. */
  wipe(): void {
    for (const [name, key] of this.#keys) this.#remove(name, key);
  }

  #make(account: AccountId, slotId: SlotId, from: Provenance, nowMs: number): SlotKey {
    if (this.isDraining) {
      throw new ProblemError('SERVER_DRAINING', 'this server is about to be stopped and makes no new keys', {
        hint: 'ask other servers',
        retryAfterMs: DRAINING_RETRY_MS,
      });
    }
    const platform = toHex(from.platform);
    const both = `${platform}/${toHex(account)}`;
    // Expired keys must not count against anyone.
    this.sweep(nowMs);
    if (this.#keys.size >= this.#limits.maxKeys) {
      throw new ProblemError('VAULT_FULL', `the key table holds its ${this.#limits.maxKeys} keys`);
    }
    this.#requireRoom(this.#perPlatform.get(platform) ?? 0, this.#limits.maxKeysPerPlatform);
    this.#requireRoom(this.#perPlatformAndAccount.get(both) ?? 0, this.#limits.maxKeysPerPlatformAndAccount);
    const key = new SlotKey(account, slotId, from, this.#random, nowMs);
    this.#keys.set(nameOf(account, slotId), key);
    if (!key.confirmed) this.#unconfirmed.set(nameOf(account, slotId), key);
    addTo(this.#perAccount, toHex(account), 1);
    addTo(this.#perPlatform, platform, 1);
    addTo(this.#perPlatformAndAccount, both, 1);
    return key;
  }

  #requireRoom(held: number, limit: number): void {
    if (held < limit) return;
    throw new RefusalError('PLATFORM_LIMIT', `this platform has ${held} keys here already`, {
      expected: `at most ${limit}`,
      observed: `${held}`,
      hint: 'forget keys that are not needed; unconfirmed ones expire within an hour',
    });
  }

  #remove(name: string, key: SlotKey): void {
    this.#keys.delete(name);
    this.#unconfirmed.delete(name);
    addTo(this.#perAccount, toHex(key.account), -1);
    const platform = toHex(key.provenance.platform);
    addTo(this.#perPlatform, platform, -1);
    addTo(this.#perPlatformAndAccount, `${platform}/${toHex(key.account)}`, -1);
    key.wipe();
  }
}

function addTo(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}
