import { ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import type { ChainSnapshot, ChainView } from './chain-view.ts';

/** How long a new view may take to reach the block of the present one, in milliseconds. */
const CATCH_UP_MS = 60_000;
const ASK_AGAIN_MS = 1_000;

/** A chain view with endpoints that can be replaced while it is used. */
export class SwitchedChainView implements ChainView {
  readonly #clock: Clock;
  readonly #listeners = new Set<(snapshot: ChainSnapshot) => void>();
  readonly snapshotAt?: (number: number) => Promise<ChainSnapshot>;
  #view: ChainView;
  #unsubscribe: () => void;
  #newestBlock = 0;
  #isClosed = false;

  /** @param view it is closed together with this one. */
  constructor(view: ChainView, clock: Clock) {
    this.#view = view;
    this.#clock = clock;
    this.#unsubscribe = this.#follow(view);
    if (view.snapshotAt !== undefined) this.snapshotAt = (number) => this.#snapshotAt(number);
  }

  async snapshot(): Promise<ChainSnapshot> {
    const view = this.#view;
    try {
      return this.#note(await view.snapshot());
    } catch (error) {
      // It was closed because another one has its place.
      if (view === this.#view || this.#isClosed) throw error;
      return this.snapshot();
    }
  }

  subscribe(listener: (snapshot: ChainSnapshot) => void): () => void {
    const entry = (snapshot: ChainSnapshot): void => listener(snapshot);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /**
   * Uses another view, once it shows the newest block that was seen here: new endpoints must not show an older state
   * of the chain. Until then, and when it fails, the present one stays; the other one is closed then.
   * @throws ProblemError CHAIN_UNAVAILABLE, and what its `snapshot` throws.
   */
  async moveTo(next: ChainView): Promise<void> {
    const snapshot = await this.#caughtUpOrClosed(next);
    const former = this.#view;
    this.#unsubscribe();
    this.#view = next;
    this.#unsubscribe = this.#follow(next);
    this.#tell(snapshot);
    // The new one is in use by now: a former one that does not close is no reason to go back.
    await Promise.resolve(former[Symbol.asyncDispose]()).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#listeners.clear();
    await this.#view[Symbol.asyncDispose]();
  }

  async #caughtUpOrClosed(next: ChainView): Promise<ChainSnapshot> {
    try {
      const snapshot = await this.#caughtUp(next);
      if (this.#isClosed) throw new ProblemError('CHAIN_UNAVAILABLE', 'the chain view was closed');
      return snapshot;
    } catch (error) {
      await next[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #caughtUp(next: ChainView): Promise<ChainSnapshot> {
    let snapshot = await next.snapshot();
    for (let waitedMs = 0; snapshot.block.number < this.#newestBlock; waitedMs += ASK_AGAIN_MS) {
      if (waitedMs >= CATCH_UP_MS || this.#isClosed) {
        const message = `they show block ${snapshot.block.number}, and block ${this.#newestBlock} is known`;
        throw new ProblemError('CHAIN_UNAVAILABLE', `the new endpoints are behind: ${message}`);
      }
      await this.#clock.sleep(ASK_AGAIN_MS);
      snapshot = await next.snapshot();
    }
    return snapshot;
  }

  async #snapshotAt(number: number): Promise<ChainSnapshot> {
    if (this.#view.snapshotAt === undefined)
      throw new ProblemError('CHAIN_UNAVAILABLE', 'this chain is not read by proof');
    return this.#view.snapshotAt(number);
  }

  #follow(view: ChainView): () => void {
    return view.subscribe((snapshot) => this.#tell(snapshot));
  }

  #tell(snapshot: ChainSnapshot): void {
    this.#note(snapshot);
    for (const listener of [...this.#listeners]) listener(snapshot);
  }

  #note(snapshot: ChainSnapshot): ChainSnapshot {
    this.#newestBlock = Math.max(this.#newestBlock, snapshot.block.number);
    return snapshot;
  }
}
