import { compareNames, isPlainName } from './name-order.ts';
import { type Location, OrderedIndex } from './ordered-index.ts';

/**
 * Collects the names of one namespace while a log is replayed, and makes an {@link OrderedIndex} of them at the end:
 * sorting once costs less than a place in the order for every record. While names only come in order, as most services
 * write them, they are not even looked up.
 */
export class IndexBuilder {
  /** Names in the order of their first record; a deleted one is `undefined`. */
  #names: (string | undefined)[] = [];
  #addresses: number[] = [];
  #extents: number[] = [];
  /** Positions in the arrays, from the first name that came out of order. */
  #positions: Map<string, number> | undefined;
  /** Largest name so far, while names come in order. */
  #last: string | undefined;
  #plain = true;

  /** Adds or replaces; gives what was replaced. */
  set(name: string, address: number, extent: number): Location | undefined {
    if (this.#plain && !isPlainName(name)) this.#plain = false;
    if (this.#positions === undefined && (this.#last === undefined || this.#isBefore(this.#last, name))) {
      this.#last = name;
      this.#push(name, address, extent);
      return undefined;
    }
    const positions = this.#lookUp();
    const at = positions.get(name);
    if (at === undefined) {
      positions.set(name, this.#names.length);
      this.#push(name, address, extent);
      return undefined;
    }
    const old = this.#at(at);
    this.#addresses[at] = address;
    this.#extents[at] = extent;
    return old;
  }

  /** Removes; gives what was there. */
  delete(name: string): Location | undefined {
    const positions = this.#lookUp();
    const at = positions.get(name);
    if (at === undefined) return undefined;
    positions.delete(name);
    this.#names[at] = undefined;
    return this.#at(at);
  }

  /** Where all records are, in no particular order. */
  *locations(): Generator<Location> {
    for (let at = 0; at < this.#names.length; at += 1) if (this.#names[at] !== undefined) yield this.#at(at);
  }

  /** The index; nothing can be added to the builder afterwards. */
  build(): OrderedIndex {
    const positions = this.#positions;
    // Without a map every name came in order, and none was deleted.
    if (positions === undefined)
      return OrderedIndex.ofSorted(this.#names as string[], this.#addresses, this.#extents);
    const names = [...positions.keys()];
    const isAfter = (at: number): boolean => !this.#isBefore(names[at - 1] ?? '', names[at] ?? '');
    if (names.some((_, at) => at > 0 && isAfter(at))) names.sort(this.#plain ? undefined : compareNames);
    const order = names.map((name) => positions.get(name) ?? 0);
    return OrderedIndex.ofSorted(
      names,
      order.map((at) => this.#addresses[at] ?? 0),
      order.map((at) => this.#extents[at] ?? 0),
    );
  }

  #isBefore(one: string, other: string): boolean {
    return this.#plain ? one < other : compareNames(one, other) < 0;
  }

  #push(name: string, address: number, extent: number): void {
    this.#names.push(name);
    this.#addresses.push(address);
    this.#extents.push(extent);
  }

  #at(position: number): Location {
    return { address: this.#addresses[position] ?? 0, extent: this.#extents[position] ?? 0 };
  }

  #lookUp(): Map<string, number> {
    if (this.#positions !== undefined) return this.#positions;
    const positions = new Map<string, number>();
    for (const [at, name] of this.#names.entries()) if (name !== undefined) positions.set(name, at);
    this.#positions = positions;
    return positions;
  }
}
