import { equalBytes } from '../bytes/concat.ts';
import { type AccountId, KeyId, type SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { RECOVERY_TOKEN_BYTES } from '../protocol/recovery-proof.ts';
import { isPlainSlotId } from '../protocol/report-data.ts';
import type { StoreReport } from '../protocol/slot-messages.ts';
import type { LineageRecord } from './lineage-record.ts';

/** How long a key under a slot id lives before its owner confirms it. */
export const UNCONFIRMED_TTL_MS = 3_600_000;

/** Facts of a verified quote that stay with a key. */
export interface Provenance {
  /** PPID of the platform, 16 bytes. */
  readonly platform: Uint8Array;
  /** MRCONFIGID of the machine that made the key, 48 bytes. */
  readonly trustHash: Uint8Array;
}

/** The facts about a key, without the key itself. */
export type SlotFacts = Readonly<
  Pick<
    SlotKey,
    | 'account'
    | 'slotId'
    | 'keyId'
    | 'createdAtMs'
    | 'provenance'
    | 'isPlain'
    | 'confirmed'
    | 'report'
    | 'isCritical'
    | 'isExpired'
  >
> & { readonly lineage: LineageFactsOfSlot | undefined };

/** The facts about the lineage of a slot, without its key. */
type LineageFactsOfSlot = Readonly<Pick<LineageRecord, 'id' | 'facts' | 'lastSeenMs'>>;

/** One server key and what its owner told about itself; lives in memory only. */
export class SlotKey {
  readonly account: AccountId;
  readonly slotId: SlotId;
  readonly keyId: KeyId;
  readonly key: SecretBytes;
  /** Only under a slot id: a plain key has none. */
  readonly recoveryToken: SecretBytes | undefined;
  readonly createdAtMs: number;
  readonly provenance: Provenance;
  readonly isPlain: boolean;
  #confirmed: boolean;
  #expiresAtMs: number;
  #idleSinceMs: number;
  #wasUsed = false;
  #lineage: LineageRecord | undefined;
  #report: StoreReport | undefined;

  constructor(
    account: AccountId,
    slotId: SlotId,
    provenance: Provenance,
    random: RandomSource,
    nowMs: number,
  ) {
    const plain = isPlainSlotId(slotId);
    this.account = account;
    this.slotId = slotId;
    this.provenance = provenance;
    this.keyId = KeyId.of(random(KeyId.byteLength));
    this.key = SecretBytes.adopt(random(32));
    this.recoveryToken = plain ? undefined : SecretBytes.adopt(random(RECOVERY_TOKEN_BYTES));
    this.createdAtMs = nowMs;
    this.isPlain = plain;
    // A client of the plain request knows no route to confirm its key.
    this.#confirmed = plain;
    this.#expiresAtMs = nowMs + UNCONFIRMED_TTL_MS;
    this.#idleSinceMs = nowMs;
  }

  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** The lineage that the slot is linked to. */
  get lineage(): LineageRecord | undefined {
    return this.#lineage;
  }

  get report(): StoreReport | undefined {
    return this.#report;
  }

  /** Whether its owner's store, by its own report, would fall below its threshold without this key. */
  get isCritical(): boolean {
    return this.#report !== undefined && this.#report.live - 1 < this.#report.threshold;
  }

  /** Since when neither a request used the key nor the chain showed a record of its account. */
  get idleSinceMs(): number {
    return this.#idleSinceMs;
  }

  /** Whether the key was used after the request that made it. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** A request got the key or proved to hold it. */
  use(nowMs: number): void {
    this.#wasUsed = true;
    this.#idleSinceMs = nowMs;
  }

  /** The account has a record on the chain, so the key does not age. */
  keep(nowMs: number): void {
    this.#idleSinceMs = nowMs;
  }

  /** Whether the owner did not confirm the key in time. */
  isExpired(nowMs: number): boolean {
    return !this.#confirmed && nowMs >= this.#expiresAtMs;
  }

  confirm(): void {
    this.#confirmed = true;
  }

  /** A recovered key is in use: its owner gets another hour to confirm it. */
  prolong(nowMs: number): void {
    this.#expiresAtMs = Math.max(this.#expiresAtMs, nowMs + UNCONFIRMED_TTL_MS);
  }

  link(lineage: LineageRecord): void {
    this.#lineage = lineage;
  }

  setReport(report: StoreReport): void {
    this.#report = report;
  }

  /**
   * A plain key has no token, so the platform that made it is its proof.
   * @throws RefusalError PLATFORM_REFUSED when this is a plain key of another platform.
   */
  requirePlatformOfPlainKey(platform: Uint8Array): void {
    if (!this.isPlain || equalBytes(this.provenance.platform, platform)) return;
    throw new RefusalError('PLATFORM_REFUSED', 'the key of this account was made for another platform', {
      field: 'quote PPID',
      hint: 'ask from the machine that created the key, or use slot ids, whose recovery token travels',
    });
  }

  wipe(): void {
    this.key.wipe();
    this.recoveryToken?.wipe();
  }
}
