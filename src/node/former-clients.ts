import type { PeerClient } from '../boot/peer/peer-client.ts';
import { describeFailure, failureOf } from '../boot/peer/peer-failure.ts';
import type { InstanceId } from '../bytes/fixed-bytes.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex, tryFromHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainSnapshot } from '../chain/chain-view.ts';
import type { Log } from '../observe/log.ts';
import type { Store } from '../store/api/store-api.ts';
import { type Clock, monotonicMsOf } from '../time/clock.ts';
import { orAborted } from '../time/or-aborted.ts';

const NAMESPACE = 'latchkey/served';
/** Wait before clients that have not come back are told again; doubles, since each of them checks all its slots. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 8_000;

/**
 * Remembers in the node's own store which accounts it served (no keys). After a restart it tells them that its memory
 * is gone, and is not ready until they have enrolled again or a deadline has passed: so an orchestrator that restarts
 * one node after another and waits for readiness loses nothing.
 */
export class FormerClients {
  readonly #store: Store;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #waitingFor = new Set<string>();
  /** Who got a key since this start. */
  readonly #servedNow = new Set<string>();
  /** Those of them that the store has not taken yet. */
  readonly #unrecorded = new Set<string>();
  /** By a clock that cannot be set: a corrected clock must not make the server ready before its clients are back. */
  #deadlineMs = Number.NEGATIVE_INFINITY;

  constructor(parts: { readonly store: Store; readonly log: Log; readonly clock: Clock }) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#clock = parts.clock;
  }

  /** Reads the accounts that were served before this start, and begins to wait for them. */
  async begin(deadlineMs: number): Promise<void> {
    const served = await this.#store.namespace(NAMESPACE);
    for (const name of served.names()) this.#waitingFor.add(name);
    this.#deadlineMs = monotonicMsOf(this.#clock) + deadlineMs;
  }

  /** How many have not come back yet; 0 after the deadline. */
  get pending(): number {
    return this.#remainingMs > 0 ? this.#waitingFor.size : 0;
  }

  /** An account got a key here. */
  async served(account: AccountId): Promise<void> {
    const name = toHex(account);
    this.#waitingFor.delete(name);
    this.#servedNow.add(name);
    this.#unrecorded.add(name);
    await this.recordServed();
  }

  /**
   * Records the accounts that got a key since this start. A store that custodians opened takes no writes at first, and any
   * other one at times, as without a lease: what it did not take is tried again with the next account.
   */
  async recordServed(): Promise<void> {
    // Taken out first: many clients confirm at once, and each name is written by one call.
    const names = [...this.#unrecorded];
    this.#unrecorded.clear();
    try {
      const served = await this.#store.namespace(NAMESPACE);
      for (const name of names) await served.putIfAbsent(name, new Uint8Array(0));
    } catch (error) {
      // Not one that has forgotten its key since.
      for (const name of names) if (this.#servedNow.has(name)) this.#unrecorded.add(name);
      throw error;
    }
  }

  /** Notes that the account no longer has a key here. */
  async forgotten(account: AccountId): Promise<void> {
    this.#waitingFor.delete(toHex(account));
    this.#servedNow.delete(toHex(account));
    this.#unrecorded.delete(toHex(account));
    const served = await this.#store.namespace(NAMESPACE);
    await served.delete(toHex(account));
  }

  /**
   * Tells the clients of before, again and again until they have come back, say under their own signature that they
   * have moved to other servers, or the deadline has passed.
   */
  async tell(
    client: PeerClient,
    self: AccountId,
    instanceId: InstanceId,
    snapshot: () => Promise<ChainSnapshot>,
    signal: AbortSignal,
  ): Promise<void> {
    let waitMs = RETRY_MIN_MS;
    while (this.pending > 0 && !signal.aborted) {
      const servers = (await orAborted(snapshot(), signal).catch(() => undefined))?.servers ?? [];
      const records = new Map(servers.map((record) => [toHex(record.account), record]));
      await Promise.all(
        [...this.#waitingFor].map(async (name) => {
          const record = records.get(name);
          if (record === undefined) return;
          try {
            const outcome = await client.tellRestart(record, self, instanceId, signal);
            if (outcome === 'moved') await this.#moved(record.account);
          } catch (error) {
            const reason = describeFailure(failureOf(error));
            this.#log('debug', 'client.not-told', { account: encodeSs58(record.account), reason });
          }
        }),
      );
      await this.#clock.sleep(Math.min(waitMs, this.#remainingMs), signal);
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
    }
    for (const name of this.#waitingFor) {
      const account = tryFromHex(name);
      if (account === undefined || signal.aborted) continue;
      this.#log('warn', 'client.not-back', { account: encodeSs58(AccountId.of(account)) });
      // It has had no key here since this start, so the next one takes nothing from it and need not wait for it.
      await this.forgotten(AccountId.of(account));
    }
  }

  get #remainingMs(): number {
    return this.#deadlineMs - monotonicMsOf(this.#clock);
  }

  /** A client that has got a key since then has come back: its earlier answer does not count. */
  async #moved(account: AccountId): Promise<void> {
    if (this.#servedNow.has(toHex(account))) return;
    await this.forgotten(account);
  }
}
