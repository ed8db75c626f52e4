/** Most entries of a node; it splits in the middle beyond. */
export const NODE_CAPACITY = 64;
/** A node smaller than this joins its neighbour where both fit well. */
const NODE_LOW = 16;

/** Identifies the index that owns a node: the owner may change the node in place, another index copies it first. */
export type Owner = object;

/** Names in order, and for each where its record is: two numbers, packed by the segment table. */
export class Leaf {
  readonly kind = 'leaf';
  owner: Owner;
  names: string[];
  addresses: number[];
  extents: number[];

  constructor(owner: Owner, names: string[] = [], addresses: number[] = [], extents: number[] = []) {
    this.owner = owner;
    this.names = names;
    this.addresses = addresses;
    this.extents = extents;
  }

  get size(): number {
    return this.names.length;
  }

  copy(owner: Owner): Leaf {
    return new Leaf(owner, this.names.slice(), this.addresses.slice(), this.extents.slice());
  }

  /**
   * Cuts off the upper part, which becomes a node of its own. Names that come in order are put behind the last one:
   * then the lower part stays full and is never touched again; otherwise both get half.
   */
  split(inOrder: boolean): { readonly right: Leaf; readonly separator: string } {
    const at = inOrder ? this.size - 1 : this.size >>> 1;
    const right = new Leaf(
      this.owner,
      this.names.splice(at),
      this.addresses.splice(at),
      this.extents.splice(at),
    );
    this.#trim();
    return { right, separator: right.names[0] ?? '' };
  }

  append(next: Leaf): void {
    this.names.push(...next.names);
    this.addresses.push(...next.addresses);
    this.extents.push(...next.extents);
  }

  /** Arrays keep room to grow that may be as large as what is in them; copies have none. */
  #trim(): void {
    this.names = this.names.slice();
    this.addresses = this.addresses.slice();
    this.extents = this.extents.slice();
  }
}

/** Children in order; separator i is not above any name of child i + 1, and above every name of child i. */
export class Branch {
  readonly kind = 'branch';
  owner: Owner;
  readonly separators: string[];
  readonly children: IndexNode[];

  constructor(owner: Owner, separators: string[], children: IndexNode[]) {
    this.owner = owner;
    this.separators = separators;
    this.children = children;
  }

  get size(): number {
    return this.children.length;
  }

  copy(owner: Owner): Branch {
    return new Branch(owner, this.separators.slice(), this.children.slice());
  }

  split(): { readonly right: Branch; readonly separator: string } {
    const middle = this.size >>> 1;
    const children = this.children.splice(middle);
    const separators = this.separators.splice(middle - 1);
    return { right: new Branch(this.owner, separators.slice(1), children), separator: separators[0] ?? '' };
  }

  /** After a removal in child `at`: drops it when empty, or joins two small leaves. */
  tidy(at: number): void {
    const child = this.children[at];
    if (child === undefined) return;
    if (child.size === 0) {
      this.children.splice(at, 1);
      this.separators.splice(Math.max(0, at - 1), 1);
      return;
    }
    const next = this.children[at + 1];
    if (child.kind !== 'leaf' || next?.kind !== 'leaf') return;
    if (child.size >= NODE_LOW || child.size + next.size > NODE_CAPACITY / 2) return;
    child.append(next);
    this.children.splice(at + 1, 1);
    this.separators.splice(at, 1);
  }
}

/** A node of the tree. */
export type IndexNode = Leaf | Branch;

/** Number of leading names for which the predicate is true; it is true for the first names in order, then false. */
export function countWhile(names: readonly string[], isBefore: (name: string) => boolean): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(names[middle] ?? '')) low = middle + 1;
    else high = middle;
  }
  return low;
}
