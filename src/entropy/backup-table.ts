import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex, tryFromHex } from '../bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { JudgedReturn } from '../keyserver/judge.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';

const NAMESPACE = 'latchkey/entropy-backups';
const VERSION = 1;
const KEY_AT = 1;
const PLATFORM_AT = KEY_AT + 32;
const ARRIVED_AT = PLATFORM_AT + 16;
const RECORD_BYTES = ARRIVED_AT + 8;

/** A key that a node of the predecessor's kind sends once, and never again. */
export interface Backup {
  readonly account: AccountId;
  /** 32 bytes. */
  readonly key: SecretBytes;
  /** PPID, 16 bytes, of the platform that the chain registers for the account: it gets the key back. */
  readonly platform: Uint8Array;
  readonly arrivedAtMs: number;
}

/** Bounds of the table. */
export interface BackupLimits {
  readonly maxKeys: number;
  /** How long a backup is kept after the account was first seen without a record on the chain. */
  readonly unregisteredKeyTtlMs: number;
}

/**
 * The keys that nodes of the predecessor's kind have backed up here. They lie in the sealed store of this node and not in
 * memory alone, because their owners send them once: a server that forgot them at a restart could not get them again.
 * Record: version 1 ‖ key ‖ PPID ‖ big-endian u64 milliseconds of arrival, under the account in hex.
 */
export class BackupTable {
  readonly #store: Store;
  readonly #limits: BackupLimits;
  /** Since when accounts have had no record, as this process saw it. */
  readonly #missingSinceMs = new Map<string, number>();

  constructor(store: Store, limits: BackupLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** How many keys are here. */
  async size(): Promise<number> {
    return (await this.#namespace('read'))?.size ?? 0;
  }

  /**
   * Keeps the first key of an account, durably; the same key may come again.
   * @returns whether it was new.
   * @throws EvidenceError BACKUP_CONFLICT for another key; ProblemError VAULT_FULL, and what the store throws.
   */
  async keep(backup: Backup): Promise<boolean> {
    const namespace = await this.#namespace('write');
    const name = toHex(backup.account);
    if (namespace.size >= this.#limits.maxKeys && !namespace.has(name)) {
      throw new ProblemError('VAULT_FULL', `the table of backups holds its ${this.#limits.maxKeys} keys`);
    }
    const record = encode(backup);
    try {
      // One step in the store: of two keys that arrive together, one is the first.
      if (await namespace.putIfAbsent(name, record)) return true;
    } finally {
      record.fill(0);
    }
    const present = await this.#find(backup.account);
    // It went between the two steps, as its account left the chain long ago.
    if (present === undefined) return this.keep(backup);
    const isSame = present.key.equals(backup.key);
    present.key.wipe();
    if (isSame) return false;
    throw new EvidenceError('BACKUP_CONFLICT', 'this server holds another key of this account already', {
      field: 'message',
      expected: `the key that arrived at ${new Date(present.arrivedAtMs).toISOString()}`,
      observed: 'another key, which was not taken',
      hint: 'a node has one key for its whole life; an account whose disk is lost needs a new account',
    });
  }

  /**
   * The key of a judged machine's account, for that machine.
   * @throws EvidenceError KEY_UNKNOWN; RefusalError PLATFORM_REFUSED, PLATFORM_NOT_ENDORSED, PLATFORM_REVOKED.
   */
  async release(judged: JudgedReturn): Promise<SecretBytes> {
    const backup = await this.#find(judged.account);
    if (backup === undefined) {
      throw new EvidenceError('KEY_UNKNOWN', 'this server holds no backup of this account', {
        hint: 'ask the server that took the backup',
      });
    }
    try {
      requirePlatform(judged, backup.platform);
      return backup.key;
    } catch (refusal) {
      backup.key.wipe();
      throw refusal;
    }
  }

  /**
   * Erases the keys of accounts that have had no record on the chain for too long.
   * @returns the accounts.
   */
  async forgetDeparted(
    hasRecord: (account: AccountId) => boolean,
    nowMs: number,
  ): Promise<readonly AccountId[]> {
    const namespace = await this.#namespace('read');
    const forgotten: AccountId[] = [];
    for (const name of [...(namespace?.names() ?? [])]) {
      const account = AccountId.of(tryFromHex(name) ?? new Uint8Array(0));
      if (hasRecord(account)) {
        this.#missingSinceMs.delete(name);
        continue;
      }
      const sinceMs = this.#missingSinceMs.get(name) ?? nowMs;
      this.#missingSinceMs.set(name, sinceMs);
      if (nowMs - sinceMs < this.#limits.unregisteredKeyTtlMs) continue;
      (await namespace?.delete(name))?.fill(0);
      this.#missingSinceMs.delete(name);
      forgotten.push(account);
    }
    return forgotten;
  }

  async #find(account: AccountId): Promise<Backup | undefined> {
    const record = await (await this.#namespace('read'))?.get(toHex(account));
    return record === undefined ? undefined : decode(account, record);
  }

  #namespace(access: 'write'): Promise<Namespace>;
  #namespace(access: 'read'): Promise<Namespace | undefined>;
  async #namespace(access: 'read' | 'write'): Promise<Namespace | undefined> {
    // Opening a namespace makes it, which a store that may not be written refuses.
    if (access === 'read' && !this.#store.hasNamespace(NAMESPACE)) return undefined;
    return await this.#store.namespace(NAMESPACE);
  }
}

/**
 * As with a plain key, no token proves the owner of the key, so the platform does: whatever `trust.platforms.recover` says, a
 * machine on another platform needs a signed move.
 */
function requirePlatform({ account, ppid, platforms }: JudgedReturn, boundTo: Uint8Array): void {
  if (!equalBytes(boundTo, ppid) && platforms.policy.recover !== 'bound') {
    throw new RefusalError('PLATFORM_REFUSED', 'the key of this account was backed up for another platform', {
      field: 'quote PPID',
      hint: 'ask from the machine that the chain registered then; with recover: bound, a signed move allows another one',
    });
  }
  platforms.judgeRecovery({ account, boundTo, ppid });
}

function encode({ key, platform, arrivedAtMs }: Backup): Uint8Array {
  return concatBytes(Uint8Array.of(VERSION), key.reveal(), platform, u64BigEndian(Math.floor(arrivedAtMs)));
}

function decode(account: AccountId, record: Uint8Array): Backup {
  if (record.length !== RECORD_BYTES || record[0] !== VERSION) {
    throw new ProblemError('STORE_RECORD_DAMAGED', `the backup of ${encodeSs58(account)} has another form`);
  }
  const backup = {
    account,
    key: new SecretBytes(record.subarray(KEY_AT, PLATFORM_AT)),
    platform: copyBytes(record.subarray(PLATFORM_AT, ARRIVED_AT)),
    arrivedAtMs: Number(readU64BigEndian(record, ARRIVED_AT)),
  };
  record.fill(0);
  return backup;
}
