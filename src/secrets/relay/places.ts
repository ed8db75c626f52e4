/** What is under way at once, of each name. */
export class Places {
  readonly #most: number;
  readonly #running = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place. @returns what gives it back, once; `undefined` when the name has no place left. */
  take(name: string): (() => void) | undefined {
    const running = this.#running.get(name) ?? 0;
    if (running >= this.#most) return undefined;
    this.#running.set(name, running + 1);
    return () => {
      const left = (this.#running.get(name) ?? 1) - 1;
      if (left === 0) this.#running.delete(name);
      else this.#running.set(name, left);
    };
  }
}
