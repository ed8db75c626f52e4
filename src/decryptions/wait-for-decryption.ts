import { ProblemError } from '../errors/latchkey-error.ts';
import type { ClientSignal } from './client-signal.ts';
import { copyDecryption, type Decryption } from './decryption.ts';
import type { DecryptionTable } from './decryption-table.ts';
import type { DecryptionMetrics, LookupOutcome } from './metrics.ts';
import type { Scheduler } from './scheduler.ts';
import type { Waiters } from './waiters.ts';

/** The message that wakes a waiter. */
export type WaiterNews =
  | { readonly kind: 'put'; readonly decryption: Decryption }
  | { readonly kind: 'closed' };

/** The parts of the service that a lookup uses. */
export interface LookupContext {
  readonly table: DecryptionTable;
  readonly waiters: Waiters<WaiterNews>;
  readonly scheduler: Scheduler;
  readonly metrics: DecryptionMetrics;
}

interface Wait {
  readonly waitMs: number;
  readonly signal?: ClientSignal;
}

/**
 * Gives the result of a key, waiting up to `waitMs` for it.
 *
 * Why no write is missed: `table.has` is synchronous, and the waiter is registered in the same step in which the
 * key was seen to be absent; a write is in the table before it wakes the waiters. At the deadline the table decides,
 * and the waiter gives up in the same step, so that no write can happen between the last read and the answer.
 */
export function waitForDecryption(
  context: LookupContext,
  key: string,
  wait: Wait,
): Promise<Decryption | undefined> {
  return context.table.has(key) ? readPresent(context, key, wait) : waitForPut(context, key, wait);
}

async function readPresent(context: LookupContext, key: string, wait: Wait): Promise<Decryption | undefined> {
  const present = await context.table.result(key);
  // It was removed after `has`; then it is absent.
  if (present === undefined) return waitForDecryption(context, key, wait);
  context.metrics.lookup('hit', 0);
  return answer(present);
}

/** Without the time of storing, which a waiter that is woken does not get either. */
const answer = ({ value, signature }: Decryption): Decryption => ({ value, signature });

function waitForPut(context: LookupContext, key: string, wait: Wait): Promise<Decryption | undefined> {
  if (wait.signal?.aborted === true || wait.waitMs <= 0) {
    context.metrics.lookup(wait.signal?.aborted === true ? 'aborted' : 'missing', 0);
    return Promise.resolve(undefined);
  }
  return new Promise((resolve, reject) => new PendingLookup(context, key, resolve, reject).start(wait));
}

/** One request that waits. */
class PendingLookup {
  readonly #context: LookupContext;
  readonly #key: string;
  readonly #resolve: (decryption: Decryption | undefined) => void;
  readonly #reject: (error: unknown) => void;
  readonly #startedAtMs: number;
  readonly #undo: (() => void)[] = [];
  #settled = false;

  constructor(
    context: LookupContext,
    key: string,
    resolve: (decryption: Decryption | undefined) => void,
    reject: (error: unknown) => void,
  ) {
    this.#context = context;
    this.#key = key;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#startedAtMs = context.scheduler.nowMs();
  }

  start({ waitMs, signal }: Wait): void {
    const { waiters, scheduler, metrics } = this.#context;
    this.#undo.push(waiters.add(this.#key, (news) => this.#receive(news)));
    this.#undo.push(scheduler.after(waitMs, () => this.#lookOnceMore()));
    if (signal !== undefined) {
      const onAbort = (): void => this.#settle('aborted', undefined);
      signal.addEventListener('abort', onAbort);
      this.#undo.push(() => signal.removeEventListener('abort', onAbort));
    }
    metrics.waiting(waiters.count);
  }

  #receive(news: WaiterNews): void {
    if (news.kind === 'put') this.#settle('woken', copyDecryption(news.decryption));
    else this.#fail(new ProblemError('DECRYPTION_SERVICE_CLOSED', 'the service is shutting down'));
  }

  /** The deadline has come. While the table is read, a write may still wake this waiter. */
  #lookOnceMore(): void {
    if (!this.#context.table.has(this.#key)) {
      this.#settle('missing', undefined);
      return;
    }
    this.#context.table.result(this.#key).then(
      (found) => {
        if (found === undefined) this.#lookOnceMore();
        else this.#settle('found-at-deadline', answer(found));
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #settle(outcome: LookupOutcome, decryption: Decryption | undefined): void {
    if (!this.#release()) return;
    this.#context.metrics.lookup(outcome, this.#context.scheduler.nowMs() - this.#startedAtMs);
    this.#resolve(decryption);
  }

  #fail(error: unknown): void {
    if (this.#release()) this.#reject(error);
  }

  /** Removes timer, listener and waiter; false when that was done before. */
  #release(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    for (const undo of this.#undo) undo();
    this.#context.metrics.waiting(this.#context.waiters.count);
    return true;
  }
}
