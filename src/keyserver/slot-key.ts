import { type ByteRow, NUMBER_BYTES } from '../bytes/byte-rows.ts';
import { equalBytes } from '../bytes/concat.ts';
import { AccountId, KeyId, SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
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
    | 'boundTo'
    | 'isPlain'
    | 'confirmed'
    | 'report'
    | 'isCritical'
    | 'isExpired'
  >
> & { readonly lineage: LineageFactsOfSlot | undefined };

/** The facts about the lineage of a slot, without its key. */
type LineageFactsOfSlot = Readonly<Pick<LineageRecord, 'id' | 'facts'>>;

const KEY_BYTES = 32;
const SLOT_ID_AT = AccountId.byteLength;
const KEY_ID_AT = SLOT_ID_AT + SlotId.byteLength;
const KEY_AT = KEY_ID_AT + KeyId.byteLength;
const TOKEN_AT = KEY_AT + KEY_BYTES;
const REPORT_AT = TOKEN_AT + RECOVERY_TOKEN_BYTES;
const CREATED_AT = REPORT_AT + 3;
const EXPIRES_AT = CREATED_AT + NUMBER_BYTES;
const IDLE_SINCE_AT = EXPIRES_AT + NUMBER_BYTES;
/** Bytes of the row of a key: account ‖ slot id ‖ key id ‖ key ‖ recovery token ‖ report ‖ three times. */
export const SLOT_ROW_BYTES = IDLE_SINCE_AT + NUMBER_BYTES;

/** One server key and what its owner told about itself; lives in memory only. */
export class SlotKey {
  readonly provenance: Provenance;
  readonly isPlain: boolean;
  readonly #row: ByteRow;
  #confirmed: boolean;
  #wasUsed = false;
  #lineage: LineageRecord | undefined;
  #boundTo: Uint8Array;

  /**
   * @param row zeros of {@link SLOT_ROW_BYTES}; the key owns it.
   * @param times when it is made, also by a clock that cannot be set.
   */
  constructor(
    row: ByteRow,
    account: AccountId,
    slotId: SlotId,
    provenance: Provenance,
    random: RandomSource,
    { nowMs, monotonicMs }: { readonly nowMs: number; readonly monotonicMs: number },
  ) {
    row.view().set(account);
    row.view(SLOT_ID_AT).set(slotId);
    this.#row = row;
    this.provenance = provenance;
    this.#boundTo = provenance.platform;
    this.isPlain = isPlainSlotId(slotId);
    // Key id, key and token lie side by side, so one draw does for all.
    const drawn = random((this.isPlain ? TOKEN_AT : REPORT_AT) - KEY_ID_AT);
    row.view(KEY_ID_AT).set(drawn);
    drawn.fill(0);
    row.setNumber(CREATED_AT, nowMs);
    // A client of the plain request knows no route to confirm its key.
    this.#confirmed = this.isPlain;
    row.setNumber(EXPIRES_AT, nowMs + UNCONFIRMED_TTL_MS);
    row.setNumber(IDLE_SINCE_AT, monotonicMs);
  }

  get account(): AccountId {
    return AccountId.of(this.#row.view(0, SLOT_ID_AT));
  }

  get slotId(): SlotId {
    return SlotId.of(this.#row.view(SLOT_ID_AT, KEY_ID_AT));
  }

  get keyId(): KeyId {
    return KeyId.of(this.#row.view(KEY_ID_AT, KEY_AT));
  }

  /** The key itself, until it is erased; do not keep it. */
  get key(): SecretBytes {
    return SecretBytes.adopt(this.#row.view(KEY_AT, TOKEN_AT));
  }

  /** Only under a slot id: a plain key has none. As {@link key}, do not keep it. */
  get recoveryToken(): SecretBytes | undefined {
    return this.isPlain ? undefined : SecretBytes.adopt(this.#row.view(TOKEN_AT, REPORT_AT));
  }

  get createdAtMs(): number {
    return this.#row.number(CREATED_AT);
  }

  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** The lineage that the slot is linked to. */
  get lineage(): LineageRecord | undefined {
    return this.#lineage;
  }

  get report(): StoreReport | undefined {
    const [threshold = 0, slots = 0, live = 0] = this.#row.view(REPORT_AT, CREATED_AT);
    // A threshold is at least 1, so that zeros are no report.
    return threshold === 0 ? undefined : { threshold, slots, live };
  }

  /** Whether its owner's store, by its own report, would fall below its threshold without this key. */
  get isCritical(): boolean {
    const { report } = this;
    return report !== undefined && report.live - 1 < report.threshold;
  }

  /**
   * Since when neither a request used the key nor a look found that the chain shows a record of its account, by a clock
   * that cannot be set.
   */
  get idleSinceMs(): number {
    return this.#row.number(IDLE_SINCE_AT);
  }

  /** Whether the key was used after the request that made it. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** Whether a platform (PPID, 16 bytes) made the key and no request has used it since. */
  isNewOn(platform: Uint8Array): boolean {
    return !this.#wasUsed && equalBytes(this.provenance.platform, platform);
  }

  /** A request got the key or proved to hold it. */
  use(monotonicMs: number): void {
    this.#wasUsed = true;
    this.keep(monotonicMs);
  }

  /** The account has a record on the chain, or had one a short time ago: its time begins again. */
  keep(monotonicMs: number): void {
    this.#row.setNumber(IDLE_SINCE_AT, monotonicMs);
  }

  /** Whether the owner did not confirm the key in time. */
  isExpired(nowMs: number): boolean {
    return !this.#confirmed && nowMs >= this.#row.number(EXPIRES_AT);
  }

  confirm(): void {
    this.#confirmed = true;
  }

  /** A recovered key is in use: its owner gets another hour to confirm it. */
  prolong(nowMs: number): void {
    const laterMs = Math.max(this.#row.number(EXPIRES_AT), nowMs + UNCONFIRMED_TTL_MS);
    this.#row.setNumber(EXPIRES_AT, laterMs);
  }

  link(lineage: LineageRecord): void {
    this.#lineage = lineage;
  }

  /** PPID (16 bytes) of the platform that gets this key back: the one that made it, or that took it over by a move. */
  get boundTo(): Uint8Array {
    return this.#boundTo;
  }

  /** Binds the key to another platform. @param platform PPID, 16 bytes; kept. */
  bindTo(platform: Uint8Array): void {
    this.#boundTo = platform;
  }

  setReport({ threshold, slots, live }: StoreReport): void {
    this.#row.view(REPORT_AT, CREATED_AT).set([threshold, slots, live]);
  }

  wipe(): void {
    this.#row.erase();
  }
}

/** The owner of a slot asks for its key, and nothing would show the owner's newest state. */
export const slotUnlinked = (): EvidenceError =>
  new EvidenceError('SLOT_UNLINKED', 'this slot is not linked to a lineage', {
    field: 'servers.slotId',
    hint: 'ask with slots that were confirmed, or make a new one',
  });
