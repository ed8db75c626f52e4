import { ProblemError } from '../errors/latchkey-error.ts';
import type { ClientSignal } from './client-signal.ts';
import { copyDecryption, type Decryption } from './decryption.ts';
import type { DecryptionTable } from './decryption-table.ts';
import type { DecryptionMetrics, LookupOutcome } from './metrics.ts';
import type { Scheduler } from './scheduler.ts';
import type { Waiters } from './waiters.ts';

/** The message that wakes a waiter. */
export type WaiterNews = PutNews | { readonly kind: 'closed' };

interface PutNews {
  readonly kind: 'put';
  readonly decryption: Decryption;
  /** Revision of the write, or of a read that found it; 0 where the engine counts none. */
  readonly revision: number;
}

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
 * Why no write is missed: where `table.hasNow` tells, the waiter is registered in the same step in which the key was
 * seen to be absent; a write is in the table before it wakes the waiters. At the deadline the table decides, and the
 * waiter gives up in the same step, so that no write can happen between the last read and the answer. Where the engine
 * has to be asked, the waiter is registered before the first read, and the last read begins at the deadline: every write
 * that was acknowledged before the deadline, by any instance, is found.
 */
export function waitForDecryption(
  context: LookupContext,
  key: string,
  wait: Wait,
): Promise<Decryption | undefined> {
  const has = context.table.hasNow(key);
  if (has === true) return readPresent(context, key, wait);
  if (has === undefined && wait.waitMs <= 0 && wait.signal?.aborted !== true) return readOnce(context, key);
  return waitForPut(context, key, wait);
}

async function readPresent(context: LookupContext, key: string, wait: Wait): Promise<Decryption | undefined> {
  const { result } = await context.table.read(key);
  // It was removed after `hasNow`; then it is absent.
  if (result === undefined) return waitForDecryption(context, key, wait);
  context.metrics.lookup('hit', 0);
  return answer(result);
}

async function readOnce(context: LookupContext, key: string): Promise<Decryption | undefined> {
  const { result } = await inPlace(context.waiters, key, () => context.table.read(key));
  context.metrics.lookup(result === undefined ? 'missing' : 'hit', 0);
  return result === undefined ? undefined : answer(result);
}

/**
 * Asks an engine over a network in a place of one that waits, so that an engine that does not answer collects no more
 * requests than may wait.
 * @throws ProblemError DECRYPTION_WAITERS_FULL.
 */
export async function inPlace<T>(
  waiters: Waiters<WaiterNews>,
  key: string,
  ask: () => Promise<T>,
): Promise<T> {
  const leave = waiters.add(key, () => undefined);
  try {
    return await ask();
  } finally {
    leave();
  }
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
  #leave: () => void = () => undefined;
  #settled = false;
  /** The key was absent at this revision: a write of an earlier one was removed since. */
  #absentAt = -1;
  /** The first read is under way; only after it is known which news are newer. */
  #isReading = false;
  #newest: PutNews | undefined;

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
    this.#enter();
    this.#undo.push(() => this.#leave());
    this.#undo.push(scheduler.after(waitMs, () => this.#lookOnceMore()));
    if (signal !== undefined) {
      const onAbort = (): void => this.#settle('aborted', undefined);
      signal.addEventListener('abort', onAbort);
      this.#undo.push(() => signal.removeEventListener('abort', onAbort));
    }
    metrics.waiting(waiters.count);
    if (this.#context.table.hasNow(this.#key) === undefined) this.#readFirst();
  }

  #enter(): void {
    this.#leave = this.#context.waiters.add(this.#key, (news) => this.#receive(news));
  }

  #receive(news: WaiterNews): void {
    if (news.kind === 'closed') {
      this.#fail(new ProblemError('DECRYPTION_SERVICE_CLOSED', 'the service is shutting down'));
    } else if (!this.#isReading && news.revision > this.#absentAt) {
      this.#settle('woken', copyDecryption(news.decryption));
    } else {
      if (news.revision > (this.#newest?.revision ?? -1)) this.#newest = news;
      // Waking removed this waiter.
      this.#enter();
    }
  }

  /** Asks the engine whether there is a result already. */
  #readFirst(): void {
    this.#isReading = true;
    this.#context.table.read(this.#key).then(
      ({ result, revision }) => {
        this.#isReading = false;
        this.#absentAt = revision;
        const newest = this.#newest;
        if (result !== undefined) this.#settle('hit', answer(result));
        else if (newest !== undefined && newest.revision > revision)
          this.#settle('woken', copyDecryption(newest.decryption));
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** The deadline has come. While the table is read, a write may still wake this waiter. */
  #lookOnceMore(): void {
    const has = this.#context.table.hasNow(this.#key);
    if (has === false) {
      this.#settle('missing', undefined);
      return;
    }
    this.#context.table.read(this.#key).then(
      ({ result }) => {
        if (result !== undefined) this.#settle('found-at-deadline', answer(result));
        else if (has === undefined) this.#settle('missing', undefined);
        else this.#lookOnceMore();
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
