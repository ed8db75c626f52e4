import { Memo } from '../../bytes/memo.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { Clock } from '../../time/clock.ts';
import { AttemptPace } from './attempt-pace.ts';

/** Names with a back-off that are remembered; one that makes room is tried at once. */
const MAX_NAMES = 8_192;

/** Requests in the background: one at a time of each name, and with exponential back-off after a failed one. */
export class PacedRequests {
  readonly #tools: { readonly clock: Clock; readonly random: RandomSource };
  readonly #waits: { readonly retryMinMs: number; readonly retryMaxMs: number };
  readonly #running = new Set<string>();
  readonly #paces = new Memo<AttemptPace>(MAX_NAMES);

  constructor(
    tools: { readonly clock: Clock; readonly random: RandomSource },
    waits: { readonly retryMinMs: number; readonly retryMaxMs: number },
  ) {
    this.#tools = tools;
    this.#waits = waits;
  }

  /**
   * Starts a request unless one of this name is running or has to wait.
   * @param onFailure gets what the request was rejected with.
   */
  start(name: string, request: () => Promise<void>, onFailure: (error: unknown) => void): void {
    if (this.#running.has(name) || this.#paces.find(name)?.isDue === false) return;
    this.#running.add(name);
    request().then(
      () => {
        this.#running.delete(name);
        this.#paces.delete(name);
      },
      (error: unknown) => {
        this.#running.delete(name);
        this.#paces.get(name, () => new AttemptPace(this.#tools, this.#waits)).backOff();
        onFailure(error);
      },
    );
  }
}
