import { type AccountId, BlockHash } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import type { ChainSnapshot, ChainView, ServerRecord } from '../chain/chain-view.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { ChainRecords } from '../keyserver/account-registry.ts';
import type { ChainFacts } from '../keyserver/judge.ts';
import type { BlockReference } from '../protocol/report-data.ts';
import { type Clock, monotonicMsOf } from '../time/clock.ts';
import type { FormerRecords } from './hear-news.ts';
import type { NodeParts } from './parts.ts';

/** Accounts that are remembered as registered once; an endpoint that makes them up must not fill the memory. */
const MAX_REMEMBERED = 100_000;

/** Shows a block in the metrics; the time was at least the block's. */
export function noteBlock(
  { metrics, clock }: Pick<NodeParts, 'metrics' | 'clock'>,
  { block }: ChainSnapshot,
): void {
  metrics.chainBlock.set(block.number);
  if (block.timestampMs === undefined) return;
  metrics.chainBlockTime.set(block.timestampMs / 1000);
  clock.raise(block.timestampMs);
}

/** Keeps the newest snapshot for code that cannot wait, and remembers the accounts that were registered. */
export class ChainWatch implements ChainFacts, ChainRecords, FormerRecords {
  readonly #chain: ChainView;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #unsubscribe: () => void;
  /** Accounts that were registered once, and when the last list came with which a record of each came, stayed or went. */
  readonly #everRegistered = new Memo<number>(MAX_REMEMBERED);
  #registered: ReadonlyMap<string, ServerRecord> = new Map();
  #latestMs = 0;
  #newest: { readonly snapshot: ChainSnapshot; readonly atMs: number } | undefined;

  constructor(options: {
    readonly chain: ChainView;
    readonly clock: Clock;
    /** A view that was not renewed for so long is not good enough to judge by. */
    readonly maxAgeMs: number;
    readonly onSnapshot: (snapshot: ChainSnapshot) => void;
  }) {
    this.#chain = options.chain;
    this.#clock = options.clock;
    this.#maxAgeMs = options.maxAgeMs;
    this.#unsubscribe = options.chain.subscribe((snapshot) => {
      this.take(snapshot);
      options.onSnapshot(snapshot);
    });
  }

  /**
   * Keeps block and age moving: subscribers hear only of changed content, and a quiet chain is not an old one.
   * Resolves when the signal aborts.
   */
  async follow(
    everyMs: number,
    signal: AbortSignal,
    onBlock: (snapshot: ChainSnapshot) => void,
  ): Promise<void> {
    while (!signal.aborted) {
      const snapshot = await this.#chain.snapshot().catch(() => undefined);
      if (snapshot !== undefined) {
        this.take(snapshot);
        onBlock(snapshot);
      }
      await this.#clock.sleep(everyMs, signal);
    }
  }

  /** Takes a snapshot that was read elsewhere. */
  take(snapshot: ChainSnapshot): void {
    const isSameList = snapshot.servers === this.#newest?.snapshot.servers;
    this.#newest = { snapshot, atMs: this.#monotonicMs };
    this.#latestMs = Math.max(this.#latestMs, snapshot.block.timestampMs ?? 0);
    if (isSameList) return;
    const before = this.#registered;
    this.#registered = new Map(snapshot.servers.map((record) => [toHex(record.account), record]));
    // An attacker who can fill this memory can as well show a departed account as registered.
    for (const account of [...before.keys(), ...this.#registered.keys()])
      this.#everRegistered.set(account, this.#newest.atMs);
  }

  get acceptedMeasurements(): readonly Uint8Array[] {
    return this.#newest?.snapshot.acceptedMeasurements ?? [];
  }

  recordOf(account: AccountId): ServerRecord | undefined | 'unknown' {
    return this.#ageMs > this.#maxAgeMs ? 'unknown' : this.#registered.get(toHex(account));
  }

  lackingRecordMs(account: AccountId): number {
    if (this.recordOf(account) !== undefined) return 0;
    const leftAtMs = this.#everRegistered.find(toHex(account)) ?? Number.NEGATIVE_INFINITY;
    return this.#monotonicMs - leftAtMs;
  }

  /** Whether the account has had a record since this process started. */
  hasBeenRegistered(account: AccountId): boolean {
    return this.#everRegistered.find(toHex(account)) !== undefined;
  }

  /** Since when there was no news of the chain; infinite before the first snapshot. */
  get #ageMs(): number {
    return this.#monotonicMs - (this.#newest?.atMs ?? Number.NEGATIVE_INFINITY);
  }

  /** The host sets the other clock: set ahead and back, it would make an old view look fresh. */
  get #monotonicMs(): number {
    return monotonicMsOf(this.#clock);
  }

  /** @throws ProblemError CHAIN_UNAVAILABLE when the view is too old to tell. */
  hasDeparted(account: AccountId): boolean {
    const name = toHex(account);
    if (this.#everRegistered.find(name) === undefined) return false;
    const ageMs = this.#ageMs;
    if (ageMs > this.#maxAgeMs) {
      throw new ProblemError(
        'CHAIN_UNAVAILABLE',
        `this server has had no news of the chain for ${Math.round(ageMs / 1000)} s`,
        {
          hint: 'ask the other servers',
        },
      );
    }
    return !this.#registered.has(name);
  }

  /** The newest finalized block, or block 0 before there is any. */
  finalized(): BlockReference {
    return this.#newest?.snapshot.block ?? { number: 0, hash: BlockHash.of(new Uint8Array(32)) };
  }

  /** The latest time of a finalized block; 0 before there is any. An endpoint that shows an older block changes nothing. */
  time(): { readonly chainMs: number } {
    return { chainMs: this.#latestMs };
  }

  /** The registered servers; `undefined` when the view is too old to tell. */
  servers(): readonly ServerRecord[] | undefined {
    return this.#ageMs > this.#maxAgeMs ? undefined : [...this.#registered.values()];
  }

  /** Addresses of the registered servers. */
  endpoints(): readonly string[] {
    return [...this.#registered.values()].map(({ endpoint }) => endpoint);
  }

  close(): void {
    this.#unsubscribe();
  }
}
