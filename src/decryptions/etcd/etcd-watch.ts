import { type Clock, systemClock } from '../../time/clock.ts';
import type { WriteListener } from '../decryption-table.ts';
import type { WatchResult } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';
import { below, storedOf } from './etcd-keys.ts';

/** A member that hangs is noticed after this time, and an idle stream is made again as often. */
const SILENCE_MS = 5000;
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;

/**
 * Follows the results of all instances by one watch. After a failure it goes on behind the last revision that it saw, at
 * another member, so that nothing is missed; where etcd has compacted that revision, the listener reads again.
 */
export class EtcdWatch {
  readonly #client: EtcdClient;
  readonly #results: string;
  readonly #silenceMs: number;
  readonly #clock: Clock;
  #listener: WriteListener | undefined;
  /** First revision that was not seen. */
  #next = 0;
  #isCompacted = false;
  #isConnected = false;
  #failures = 0;
  #reason: string | undefined = 'the watch has not begun';
  /** Why the cluster gave no acceptable answer when it was last asked. */
  #refusal: string | undefined;

  /** @param results prefix of the results. */
  constructor(
    client: EtcdClient,
    results: string,
    {
      silenceMs = SILENCE_MS,
      clock = systemClock,
    }: { readonly silenceMs?: number; readonly clock?: Clock } = {},
  ) {
    this.#client = client;
    this.#results = results;
    this.#silenceMs = silenceMs;
    this.#clock = clock;
  }

  /** Begins behind the newest revision, and goes on until the client is closed. @throws as `EtcdClient.range`. */
  async start(): Promise<void> {
    this.#next = (await this.#newestRevision()) + 1;
    void this.#run();
  }

  /** Why the watch is interrupted now, or tells nothing; `undefined` while it runs. */
  get interruption(): string | undefined {
    return this.#refusal ?? (this.#isConnected ? undefined : this.#reason);
  }

  /** Tells of writes; the function returned ends it. */
  listen(listener: WriteListener): () => void {
    this.#listener = listener;
    return () => {
      if (this.#listener === listener) this.#listener = undefined;
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#client;
    while (!signal.aborted) {
      const end = await this.#client.watch(
        {
          ...below(this.#results),
          start_revision: String(this.#next),
          filters: ['NODELETE'],
          fragment: true,
        },
        this.#silenceMs,
        (result) => this.#receive(result),
      );
      // What was silent is followed once more; that it works is seen by the first answer.
      if (end.kind === 'silent') {
        void this.#ask();
        continue;
      }
      this.#isConnected = false;
      this.#reason = end.reason;
      if (this.#isCompacted) await this.#skipCompacted();
      await this.#clock.sleep(this.#pauseMs(), signal);
    }
  }

  /** @returns why the stream must end. */
  #receive(result: WatchResult): string | undefined {
    if (result.compact_revision > 0) {
      this.#isCompacted = true;
      return 'the revision was compacted';
    }
    if (result.canceled) return `etcd ended the watch: ${result.cancel_reason}`;
    this.#isConnected = true;
    let newest = this.#next - 1;
    for (const { type, kv } of result.events) {
      const isInOrder = kv.mod_revision >= newest && kv.mod_revision >= this.#next;
      if (!isInOrder || kv.mod_revision > result.header.revision || !kv.key.startsWith(this.#results))
        return `an event of revision ${kv.mod_revision} that was not asked for`;
      newest = kv.mod_revision;
      if (type === 'PUT') this.#tell(kv);
    }
    if (!result.fragment) this.#next = newest + 1;
    if (result.events.length > 0) this.#failures = 0;
    return undefined;
  }

  #tell(record: WatchResult['events'][number]['kv']): void {
    const key = record.key.slice(this.#results.length);
    if (this.#listener?.wants(key) !== true) return;
    try {
      this.#listener.wrote(key, storedOf(record), record.mod_revision);
    } catch {
      // A record that no instance wrote: those that wait for it read it at their deadline, and fail there.
    }
  }

  /** The writes between are gone from the history; what is waited for is read again, from the new revision on. */
  async #skipCompacted(): Promise<void> {
    try {
      this.#next = (await this.#newestRevision()) + 1;
    } catch {
      // Tried again after the next attempt to follow.
      return;
    }
    this.#isCompacted = false;
    this.#listener?.missed();
  }

  /** A cluster that was set back to an older snapshot is silent too: its answers show it. Beside the next watch. */
  async #ask(): Promise<void> {
    this.#refusal = await this.#newestRevision().then(
      () => undefined,
      (error: Error) => error.message,
    );
  }

  async #newestRevision(): Promise<number> {
    return (await this.#client.range({ ...below(this.#results), count_only: true })).revision;
  }

  #pauseMs(): number {
    this.#failures += 1;
    return Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 6));
  }
}
