import { equalBytes } from '../bytes/concat.ts';
import { type AccountId, KeyId, type SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { compareHeads, type Head, type Incarnation, type StoreReport } from '../protocol/mac-routes.ts';
import { RECOVERY_TOKEN_BYTES } from '../protocol/recovery-proof.ts';
import { isPlainSlotId } from '../protocol/report-data.ts';

/** How long a key under a slot id lives before its owner confirms it. */
export const UNCONFIRMED_TTL_MS = 3_600_000;

/** Facts of a verified quote that stay with a key. */
export interface Provenance {
  /** PPID of the platform, 16 bytes. */
  readonly platform: Uint8Array;
  /** MRCONFIGID of the machine that made the key, 48 bytes. */
  readonly trustHash: Uint8Array;
}

const NO_INCARNATION: Incarnation = { number: 0, bootId: new Uint8Array(16) };

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
    | 'incarnation'
    | 'head'
    | 'report'
    | 'isCritical'
    | 'isExpired'
  >
>;

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
  #incarnation = NO_INCARNATION;
  #head: Head | undefined;
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

  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  get head(): Head | undefined {
    return this.#head;
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

  /** Takes a claim if it is newer: larger number, or the same number and a larger boot id. */
  claim(incarnation: Incarnation): void {
    const { number, bootId } = this.#incarnation;
    const newer =
      incarnation.number > number ||
      (incarnation.number === number && Buffer.compare(incarnation.bootId, bootId) > 0);
    if (newer) this.#incarnation = incarnation;
  }

  /**
   * Takes a head if it is newer and comes from the incarnation that holds the account: an older instance must not
   * deposit a head that locks out the instance that replaced it.
   */
  deposit(head: Head, from: Incarnation): void {
    if (!this.isHeldBy(from)) return;
    if (this.#head === undefined || compareHeads(head, this.#head) > 0) this.#head = head;
  }

  setReport(report: StoreReport, from: Incarnation): void {
    if (this.isHeldBy(from)) this.#report = report;
  }

  isHeldBy({ number, bootId }: Incarnation): boolean {
    return number === this.#incarnation.number && equalBytes(bootId, this.#incarnation.bootId);
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
