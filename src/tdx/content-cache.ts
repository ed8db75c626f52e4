/** A map that keeps the `capacity` entries used last. Keys are digests or contents, never names. */
export class ContentCache<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #capacity: number;

  /** @throws RangeError unless the capacity is a positive integer. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError('capacity must be a positive integer');
    this.#capacity = capacity;
  }

  /** Returns the cached value, or makes and keeps one; a throwing `make` leaves nothing behind. */
  getOrMake(key: string, make: () => Value): Value {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      // Maps iterate in order of insertion: taking out and putting back makes this entry the newest.
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    const made = make();
    this.#entries.set(key, made);
    if (this.#entries.size > this.#capacity) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    return made;
  }
}
