/**
 * A map of results by a text key that keeps the `capacity` used last. Keys are contents or their digests, and values
 * public: what is in here is never wiped.
 */
export class Memo<Value> {
  readonly #values = new Map<string, Value>();
  readonly #capacity: number;

  /** @throws RangeError unless the capacity is a positive integer. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError('capacity must be a positive integer');
    this.#capacity = capacity;
  }

  /** The remembered value, or what `make` gives; what it throws is not remembered. */
  get(key: string, make: () => Value): Value {
    const known = this.#values.get(key);
    if (known !== undefined) {
      // Maps iterate in order of insertion: taking out and putting back makes this entry the newest.
      this.#values.delete(key);
      this.#values.set(key, known);
      return known;
    }
    const value = make();
    if (this.#values.size >= this.#capacity) {
      const oldest = this.#values.keys().next();
      if (oldest.done !== true) this.#values.delete(oldest.value);
    }
    this.#values.set(key, value);
    return value;
  }
}

/** Bytes as a key: one character a byte. */
export const memoKey = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
