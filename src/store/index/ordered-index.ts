import type { NameRange } from '../api/store-api.ts';
import { Branch, countWhile, type IndexNode, Leaf, NODE_CAPACITY, type Owner } from './index-nodes.ts';
import { boundsOf, compareNames, isPlainName } from './name-order.ts';

/** The position of a record as two numbers, which the segment table packs and unpacks. */
export interface Location {
  readonly address: number;
  readonly extent: number;
}

/** One entry of an iteration. */
export interface IndexEntry extends Location {
  readonly name: string;
}

/**
 * The names of one namespace in the order of their UTF-8 bytes, with the addresses of their records: a B+tree. Its
 * nodes are copied before a change only where a frozen copy shares them. So a snapshot costs nothing when taken, and
 * an entry costs about 40 bytes and its name where names come in order, and twice that where they do not.
 */
export class OrderedIndex {
  #owner: Owner = {};
  #root: IndexNode;
  #size = 0;
  /** While every name is plain, the engine's own string comparison gives the right order. */
  #plain = true;

  constructor() {
    this.#root = new Leaf(this.#owner);
  }

  /** An index of names that are in order, without repetition, and the places of their records. */
  static ofSorted(
    names: readonly string[],
    addresses: readonly number[],
    extents: readonly number[],
  ): OrderedIndex {
    const index = new OrderedIndex();
    index.#size = names.length;
    index.#plain = names.every(isPlainName);
    const leaves: Leaf[] = [];
    for (let from = 0; from < names.length; from += NODE_CAPACITY) {
      const to = from + NODE_CAPACITY;
      const columns = [names.slice(from, to), addresses.slice(from, to), extents.slice(from, to)] as const;
      leaves.push(new Leaf(index.#owner, ...columns));
    }
    if (leaves.length > 0) index.#root = index.#above(leaves);
    return index;
  }

  get size(): number {
    return this.#size;
  }

  find(name: string): Location | undefined {
    let node = this.#root;
    while (node.kind === 'branch') {
      const child: IndexNode | undefined = node.children[this.#childFor(node, name)];
      if (child === undefined) return undefined;
      node = child;
    }
    const at = this.#lowerBound(node.names, name);
    if (node.names[at] !== name) return undefined;
    return { address: node.addresses[at] ?? 0, extent: node.extents[at] ?? 0 };
  }

  /** Adds or replaces; gives what was replaced. */
  set(name: string, address: number, extent: number): Location | undefined {
    if (this.#plain && !isPlainName(name)) this.#plain = false;
    const root = this.#own(this.#root);
    this.#root = root;
    const old = this.#insert(root, name, address, extent);
    if (root.size > NODE_CAPACITY) {
      const { right, separator } = splitAfter(root, name);
      this.#root = new Branch(this.#owner, [separator], [root, right]);
    }
    if (old === undefined) this.#size += 1;
    return old;
  }

  /** Removes; gives what was there. */
  delete(name: string): Location | undefined {
    const old = this.find(name);
    if (old === undefined) return undefined;
    const root = this.#own(this.#root);
    this.#root = root;
    this.#remove(root, name);
    while (this.#root.kind === 'branch' && this.#root.size === 1) {
      const only: IndexNode | undefined = this.#root.children[0];
      if (only === undefined) break;
      this.#root = only;
    }
    if (this.#root.size === 0) this.#root = new Leaf(this.#owner);
    this.#size -= 1;
    return old;
  }

  /** A copy that later changes of either do not reach. */
  freeze(): OrderedIndex {
    const copy = new OrderedIndex();
    copy.#root = this.#root;
    copy.#size = this.#size;
    copy.#plain = this.#plain;
    // From now on neither owns the nodes that both see.
    this.#owner = {};
    return copy;
  }

  /** Entries of the range in order. The index must not change during the iteration: iterate a frozen copy. */
  *entries(range: NameRange = {}): Generator<IndexEntry> {
    const { isBefore, isNotPast } = boundsOf(range);
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    const walk = range.reverse ? descending(this.#root, isNotPast) : ascending(this.#root, isBefore);
    for (const [leaf, at] of walk) {
      const name = leaf.names[at] ?? '';
      if (left <= 0 || (range.reverse ? isBefore(name) : !isNotPast(name))) return;
      left -= 1;
      yield { name, address: leaf.addresses[at] ?? 0, extent: leaf.extents[at] ?? 0 };
    }
  }

  /** The root above nodes that are in order. */
  #above(nodes: readonly IndexNode[]): IndexNode {
    const [first] = nodes;
    if (first !== undefined && nodes.length === 1) return first;
    const branches: Branch[] = [];
    for (let from = 0; from < nodes.length; from += NODE_CAPACITY) {
      const children = nodes.slice(from, from + NODE_CAPACITY);
      branches.push(new Branch(this.#owner, children.slice(1).map(firstName), children));
    }
    return this.#above(branches);
  }

  /** Where all records are. The index must not change during the iteration. */
  locations(): Iterable<Location> {
    return this.entries();
  }

  #insert(node: IndexNode, name: string, address: number, extent: number): Location | undefined {
    if (node.kind === 'leaf') return this.#insertIntoLeaf(node, name, address, extent);
    const at = this.#childFor(node, name);
    const child = this.#own(node.children[at] ?? new Leaf(this.#owner));
    node.children[at] = child;
    const old = this.#insert(child, name, address, extent);
    if (child.size > NODE_CAPACITY) {
      const { right, separator } = splitAfter(child, name);
      node.children.splice(at + 1, 0, right);
      node.separators.splice(at, 0, separator);
    }
    return old;
  }

  #insertIntoLeaf(leaf: Leaf, name: string, address: number, extent: number): Location | undefined {
    const at = this.#lowerBound(leaf.names, name);
    if (leaf.names[at] === name) {
      const old = { address: leaf.addresses[at] ?? 0, extent: leaf.extents[at] ?? 0 };
      leaf.addresses[at] = address;
      leaf.extents[at] = extent;
      return old;
    }
    leaf.names.splice(at, 0, name);
    leaf.addresses.splice(at, 0, address);
    leaf.extents.splice(at, 0, extent);
    return undefined;
  }

  #remove(node: IndexNode, name: string): void {
    if (node.kind === 'leaf') {
      const at = this.#lowerBound(node.names, name);
      node.names.splice(at, 1);
      node.addresses.splice(at, 1);
      node.extents.splice(at, 1);
      return;
    }
    const at = this.#childFor(node, name);
    const child = this.#own(node.children[at] ?? new Leaf(this.#owner));
    node.children[at] = child;
    this.#remove(child, name);
    const next = node.children[at + 1];
    if (child.kind === 'leaf' && next?.kind === 'leaf') node.children[at + 1] = this.#own(next);
    node.tidy(at);
  }

  #own<Node extends IndexNode>(node: Node): Node {
    // Both kinds copy to their own kind, which the union of the two signatures cannot say.
    return node.owner === this.#owner ? node : (node.copy(this.#owner) as Node);
  }

  /** Position of the first name that is not below. Separators equal to the name belong to the right child. */
  #lowerBound(names: readonly string[], name: string): number {
    if (!this.#plain) return countWhile(names, (other) => compareNames(other, name) < 0);
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #childFor(branch: Branch, name: string): number {
    const at = this.#lowerBound(branch.separators, name);
    return branch.separators[at] === name ? at + 1 : at;
  }
}

/** The first name below a node. */
function firstName(node: IndexNode): string {
  let leaf = node;
  while (leaf.kind === 'branch') {
    const child: IndexNode | undefined = leaf.children[0];
    if (child === undefined) return '';
    leaf = child;
  }
  return leaf.names[0] ?? '';
}

/** Splits a node that the insertion of this name made too large. */
const splitAfter = (node: IndexNode, name: string) =>
  node.kind === 'leaf' ? node.split(node.names.at(-1) === name) : node.split();

type Position = readonly [leaf: Leaf, at: number];

function* ascending(node: IndexNode, isBefore: (name: string) => boolean): Generator<Position> {
  if (node.kind === 'leaf') {
    for (let at = countWhile(node.names, isBefore); at < node.size; at += 1) yield [node, at];
    return;
  }
  for (let at = countWhile(node.separators, isBefore); at < node.size; at += 1) {
    const child = node.children[at];
    if (child !== undefined) yield* ascending(child, isBefore);
  }
}

function* descending(node: IndexNode, isNotPast: (name: string) => boolean): Generator<Position> {
  if (node.kind === 'leaf') {
    for (let at = countWhile(node.names, isNotPast) - 1; at >= 0; at -= 1) yield [node, at];
    return;
  }
  for (let at = countWhile(node.separators, isNotPast); at >= 0; at -= 1) {
    const child = node.children[at];
    if (child !== undefined) yield* descending(child, isNotPast);
  }
}
