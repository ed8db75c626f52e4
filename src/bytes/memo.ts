import { latin1 } from './native-bytes.ts';

/** When a {@link Memo} removes values. */
export interface MemoOptions<Value> {
  /** How long a value counts after it was set, in milliseconds; without it a value does not expire. */
  readonly ttlMs?: number;
  /** Called with each value that makes room for another one. */
  readonly onEvicted?: (value: Value) => void;
}

interface Entry<Value> {
  readonly value: Value;
  readonly setAtMs: number;
}

/**
 * A map with text keys and at most `capacity` values: the one unused for longest makes room. With a time to live the
 * one that was set first makes room, and expired values go first. Keys are contents or their digests, and values
 * public: nothing in here is wiped.
 */
export class Memo<Value> {
  // Maps iterate in order of insertion: taking an entry out and putting it back makes it the newest.
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #capacity: number;
  readonly #ttlMs: number | undefined;
  readonly #onEvicted: ((value: Value) => void) | undefined;

  /** @throws RangeError unless the capacity is a positive integer and the time to live, if there is one, positive. */
  constructor(capacity: number, { ttlMs, onEvicted }: MemoOptions<Value> = {}) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`capacity must be a positive integer, got ${capacity}`);
    if (ttlMs !== undefined && !(ttlMs > 0)) throw new RangeError(`ttlMs must be positive, got ${ttlMs}`);
    this.#capacity = capacity;
    this.#ttlMs = ttlMs;
    this.#onEvicted = onEvicted;
  }

  /** The remembered value, or what `make` gives; an error of `make` is not remembered. */
  get(key: string, make: () => Value, nowMs = 0): Value {
    const known = this.find(key, nowMs);
    if (known !== undefined) return known;
    const value = make();
    this.set(key, value, nowMs);
    return value;
  }

  /** The remembered value. */
  find(key: string, nowMs = 0): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#ttlMs === undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    } else if (this.#isExpired(entry, nowMs)) {
      this.#entries.delete(key);
      return undefined;
    }
    return entry.value;
  }

  /** Remembers a value in place of the former one of the same key. */
  set(key: string, value: Value, nowMs = 0): void {
    this.#entries.delete(key);
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size < this.#capacity && !this.#isExpired(entry, nowMs)) break;
      this.#entries.delete(oldest);
      this.#onEvicted?.(entry.value);
    }
    this.#entries.set(key, { value, setAtMs: nowMs });
  }

  /** Forgets a key. @param only forgets it only where this is the value. */
  delete(key: string, only?: Value): void {
    if (only === undefined || this.#entries.get(key)?.value === only) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** All values, also expired ones, in the order in which they would make room. */
  values(): readonly Value[] {
    return [...this.#entries.values()].map(({ value }) => value);
  }

  #isExpired({ setAtMs }: Entry<Value>, nowMs: number): boolean {
    return this.#ttlMs !== undefined && nowMs >= setAtMs + this.#ttlMs;
  }
}

/** Bytes as a key: one character a byte. */
export const memoKey = (bytes: Uint8Array): string => latin1(bytes);
