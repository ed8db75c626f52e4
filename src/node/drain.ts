import type { PeerClient } from '../boot/peer/peer-client.ts';
import { describeFailure, failureOf } from '../boot/peer/peer-failure.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainSnapshot, ServerRecord } from '../chain/chain-view.ts';
import type { Vault } from '../keyserver/vault.ts';
import type { Log } from '../observe/log.ts';
import { isPlainSlotId } from '../protocol/report-data.ts';
import type { Clock } from '../time/clock.ts';
import { orAborted } from '../time/or-aborted.ts';

/** Standing of an account that has no slot here: only its owner can take another key elsewhere. */
const PLAIN_ONLY = 'plain keys only';

/** Number of clients that are notified concurrently. */
const TOLD_AT_ONCE = 64;
/** Pause between two rounds of notifications; doubles. Clients also check by themselves. */
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 60_000;

/** A client that still needs a draining server. */
export interface RemainingClient {
  readonly account: AccountId;
  /** Its address on the chain, after it was looked up. */
  readonly endpoint: string | undefined;
  /** How many of its keys are here. */
  readonly keys: number;
  /** Whether, by its own report, its store would fall below its threshold without this server. */
  readonly isAtRisk: boolean;
  /** The result of the last notification: `told`, or the reason of the failure. */
  readonly standing: string;
  /** False for an account that no drain moves: it has plain keys only, or no record on the chain. */
  readonly canMove: boolean;
}

/** The progress of a drain. */
export interface DrainProgress {
  /** When it began, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** Clients that still hold a slot here that they need, and that can move. */
  readonly remaining: number;
  /** Accounts with a key here that no drain moves: their keys end with this process. */
  readonly unmovable: number;
  /** Clients that held a key at some time since the drain began and no longer do. */
  readonly moved: number;
}

/** A drain with its remaining clients. */
export interface DrainStanding {
  readonly progress: DrainProgress | undefined;
  readonly remaining: readonly RemainingClient[];
}

/** What is known of one client while it remains. */
interface Told {
  endpoint?: string;
  standing: string;
}

/**
 * Takes a server out of service before a planned stop: it makes no new keys, tells its clients so under the MAC of
 * every `key-status`, nudges them to look soon, and counts who still needs it. The drain lives in memory, as the keys
 * do: it ends when it is cancelled, or with the process.
 */
export class Drain {
  readonly #vault: Vault;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #onChange: ((isDraining: boolean) => void) | undefined;
  #sinceMs: number | undefined;
  /** Who had a key here since the drain began. */
  readonly #seen = new Set<string>();
  /** Who says under its own signature that it needs no key here, though one was not forgotten. */
  readonly #free = new Set<string>();
  /** Who confirmed a key since it was last told: what it said before is out of date. */
  readonly #confirmed = new Set<string>();
  readonly #told = new Map<string, Told>();
  /** Accounts without a record on the chain at the last check. */
  readonly #unregistered = new Set<string>();
  /** How many could not move at the last walk over all keys. */
  #unmovable = 0;
  #isDone = false;
  #waitMs = FIRST_WAIT_MS;
  #wake = new AbortController();

  /** @param parts `onChange` is told when a drain starts, and when it is cancelled. */
  constructor(parts: {
    readonly vault: Vault;
    readonly log: Log;
    readonly clock: Clock;
    readonly onChange?: (isDraining: boolean) => void;
  }) {
    this.#onChange = parts.onChange;
    this.#vault = parts.vault;
    this.#log = parts.log;
    this.#clock = parts.clock;
  }

  get isDraining(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** Starts the drain; when it is running, it continues. */
  start(): void {
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#clock.nowMs();
    const memories = [this.#seen, this.#free, this.#confirmed, this.#told, this.#unregistered];
    for (const memory of memories) memory.clear();
    this.#vault.isDraining = true;
    this.#isDone = false;
    this.#waitMs = FIRST_WAIT_MS;
    this.#log('info', 'drain.started', { clients: this.remaining().length });
    this.#onChange?.(true);
    this.#noteDone();
    this.#wake.abort();
  }

  /** Ends it: the server makes keys again. Who has moved stays away until it needs a server. */
  cancel(): void {
    if (this.#sinceMs === undefined) return;
    this.#sinceMs = undefined;
    this.#vault.isDraining = false;
    this.#log('info', 'drain.cancelled');
    this.#onChange?.(false);
  }

  /** How far it is, or `undefined` when the server does not drain. Walks over all keys. */
  progress(): DrainProgress | undefined {
    return this.isDraining ? this.standing().progress : undefined;
  }

  /** The progress, and the clients that still need this server, also when it does not drain. Reads all keys once. */
  standing(): DrainStanding {
    const remaining = this.remaining();
    const sinceMs = this.#sinceMs;
    if (sinceMs === undefined) return { progress: undefined, remaining };
    const moved = this.#seen.size - remaining.length;
    const unmovable = this.#unmovable;
    return { progress: { sinceMs, remaining: remaining.length - unmovable, unmovable, moved }, remaining };
  }

  /** Who still needs this server. Walks over all keys. */
  remaining(): readonly RemainingClient[] {
    const nowMs = this.#clock.nowMs();
    const found = new Map<string, { account: AccountId; keys: number; slots: number; isAtRisk: boolean }>();
    for (const key of this.#vault.keys()) {
      const name = toHex(key.account);
      if (key.isExpired(nowMs) || this.#free.has(name)) continue;
      const { keys = 0, slots = 0, isAtRisk = false } = found.get(name) ?? {};
      found.set(name, {
        account: key.account,
        keys: keys + 1,
        slots: slots + (isPlainSlotId(key.slotId) ? 0 : 1),
        isAtRisk: isAtRisk || key.isCritical,
      });
      if (this.isDraining) this.#seen.add(name);
    }
    const clients = [...found].map(([name, { slots, ...client }]): RemainingClient => {
      const { endpoint, standing = 'not told yet' } = this.#told.get(name) ?? {};
      if (slots === 0) return { ...client, endpoint, standing: PLAIN_ONLY, canMove: false };
      return { ...client, endpoint, standing, canMove: !this.#unregistered.has(name) };
    });
    this.#unmovable = clients.filter(({ canMove }) => !canMove).length;
    return clients;
  }

  /** Notes that an account confirmed a key: it needs this server, also after an earlier statement that it does not. */
  served(account: AccountId): void {
    this.#confirmed.add(toHex(account));
    this.#free.delete(toHex(account));
    this.#isDone = false;
  }

  /** An account erased its last key here. */
  forgotten(account: AccountId): void {
    if (this.#sinceMs === undefined) return;
    // A client that was free already was counted at that time.
    if (!this.#free.delete(toHex(account))) this.#noteMoved(account);
    this.#noteDone();
  }

  /** Tells the clients for as long as the server drains; resolves when the signal aborts. */
  async run(
    client: PeerClient,
    self: AccountId,
    snapshot: () => Promise<ChainSnapshot>,
    signal: AbortSignal,
  ): Promise<void> {
    const stop = (): void => this.#wake.abort();
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const wake = this.#wake.signal;
      if (this.#sinceMs === undefined) {
        await new Promise<void>((resolve) => wake.addEventListener('abort', () => resolve(), { once: true }));
        continue;
      }
      await this.#tellAll(client, self, snapshot, signal);
      const waitMs = this.#waitMs;
      this.#waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      await this.#clock.sleep(waitMs, wake);
    }
    signal.removeEventListener('abort', stop);
  }

  async #tellAll(
    client: PeerClient,
    self: AccountId,
    snapshot: () => Promise<ChainSnapshot>,
    signal: AbortSignal,
  ): Promise<void> {
    const servers = (await orAborted(snapshot(), signal).catch(() => undefined))?.servers;
    // Without the chain neither records nor addresses of clients are known.
    if (servers === undefined) return;
    const records = new Map(servers.map((record) => [toHex(record.account), record]));
    this.#unregistered.clear();
    const queue = [...this.remaining()];
    for (const { account } of queue) if (!records.has(toHex(account))) this.#unregistered.add(toHex(account));
    // Keys that were never confirmed expire by themselves.
    if (this.remaining().every(({ canMove }) => !canMove)) this.#done();
    const tellSome = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        if (signal.aborted || !this.isDraining) return;
        await this.#tell(client, self, next.account, records.get(toHex(next.account)), signal);
      }
    };
    await Promise.all(Array.from({ length: Math.min(TOLD_AT_ONCE, queue.length) }, tellSome));
  }

  async #tell(
    client: PeerClient,
    self: AccountId,
    account: AccountId,
    record: ServerRecord | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const name = toHex(account);
    if (record === undefined) {
      this.#told.set(name, { standing: 'not on the chain' });
      return;
    }
    const { endpoint } = record;
    this.#confirmed.delete(name);
    try {
      const outcome = await client.tellDraining(record, self, signal);
      this.#told.set(name, { endpoint, standing: 'told' });
      if (outcome === 'moved' && this.isDraining && !this.#confirmed.has(name)) {
        this.#noteMoved(account);
        this.#free.add(name);
        this.#noteDone();
      }
    } catch (error) {
      this.#told.set(name, { endpoint, standing: describeFailure(failureOf(error)) });
    }
  }

  #noteMoved(account: AccountId): void {
    this.#log('info', 'drain.client-moved', { account: encodeSs58(account) });
  }

  /** Walks over all keys only when the counts allow that no client is left: there may be many clients. */
  #noteDone(): void {
    if (this.#vault.accounts > this.#free.size + this.#unmovable) return;
    if (this.remaining().every(({ canMove }) => !canMove)) this.#done();
  }

  #done(): void {
    if (this.#isDone || this.#sinceMs === undefined) return;
    this.#isDone = true;
    const unmovable = this.#unmovable;
    this.#log('info', 'drain.done', { moved: this.#seen.size - unmovable, unmovable });
  }
}
