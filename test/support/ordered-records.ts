import type { NameRange } from '../../src/store/api/store-api.ts';

/** UTF-8 byte order of two UTF-16 code units at the first difference: surrogates come after U+FFFF's block. */
const weight = (unit: number): number =>
  unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;

/** Order of the UTF-8 bytes of two names, without encoding them. */
export function compareNames(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index += 1) {
    const difference = weight(a.charCodeAt(index)) - weight(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Records with their names kept in order; sorting waits until somebody iterates. */
export class OrderedRecords {
  readonly #records: Map<string, Uint8Array>;
  #sorted: string[] | undefined;

  constructor(records: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#records = new Map(records);
  }

  get size(): number {
    return this.#records.size;
  }

  get(name: string): Uint8Array | undefined {
    return this.#records.get(name);
  }

  has(name: string): boolean {
    return this.#records.has(name);
  }

  set(name: string, value: Uint8Array): void {
    if (!this.#records.has(name)) this.#sorted = undefined;
    this.#records.set(name, value);
  }

  delete(name: string): void {
    if (this.#records.delete(name)) this.#sorted = undefined;
  }

  copy(): OrderedRecords {
    return new OrderedRecords(this.#records);
  }

  /** Names within the range, as they are now. */
  names(range: NameRange = {}): readonly string[] {
    this.#sorted ??= [...this.#records.keys()].sort(compareNames);
    const { prefix = '', from, before, reverse = false, limit } = range;
    const start = from !== undefined && compareNames(from, prefix) > 0 ? from : prefix;
    const found: string[] = [];
    for (let index = this.#indexOf(start); index < this.#sorted.length; index += 1) {
      const name = this.#sorted[index];
      if (name === undefined || !name.startsWith(prefix)) break;
      if (before !== undefined && compareNames(name, before) >= 0) break;
      found.push(name);
      if (!reverse && limit !== undefined && found.length >= limit) break;
    }
    if (!reverse) return limit === 0 ? [] : found;
    found.reverse();
    return limit === undefined ? found : found.slice(0, limit);
  }

  /** Position of the first name that is not below. */
  #indexOf(name: string): number {
    const sorted = this.#sorted ?? [];
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(sorted[middle] ?? '', name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
