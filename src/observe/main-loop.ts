/** How long one turn may take, in milliseconds. Every request and every wait of a turn ends long before. */
const MAX_TURN_MS = 30 * 60_000;

/**
 * Tells whether the main loop of a node goes on: the examination of its machine, and the healing of its store. Only a
 * turn that never ends is a fault. Waiting for others is none, and neither is opening a large store: a restart would
 * help neither, and would cost the keys of the clients.
 */
export class MainLoop {
  readonly #nowMs: () => number;
  #sinceMs: number | undefined;

  /** @param nowMs milliseconds of a clock that cannot be set: a clock that jumps must not look like a loop that stands still. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Runs one turn. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    this.#sinceMs = this.#nowMs();
    try {
      return await work();
    } finally {
      this.#sinceMs = undefined;
    }
  }

  /** For how long the present turn has been too long, in milliseconds; 0 while all is well. */
  get overdueMs(): number {
    const elapsedMs = this.#sinceMs === undefined ? 0 : this.#nowMs() - this.#sinceMs;
    return Math.max(0, elapsedMs - MAX_TURN_MS);
  }
}
