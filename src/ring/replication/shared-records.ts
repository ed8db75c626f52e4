import { Memo } from '../../bytes/memo.ts';
import type { RingViews } from '../placement/views.ts';
import { DigestTree } from './digest-tree.ts';
import type { HeldRecord, Holdings } from './holdings.ts';

/** Lists of absent members for which the records are sorted: the own one, and those of members that compare. */
const KEPT_LISTS = 3;

const listName = (members: Iterable<string>): string => [...new Set(members)].sort().join();

/** The held records, sorted by the members that keep them too. */
interface Sorted {
  readonly without: ReadonlySet<string>;
  /** By account, lower-case hex. */
  readonly shared: Map<string, DigestTree>;
  /** Records that this node does not have to keep. */
  readonly foreign: Map<string, HeldRecord>;
}

/**
 * Which records this node and another member both keep, with their digests, so that a round of repair costs little where
 * nothing changed. It lies in memory only, is made from the index of the store, and follows each change of the index at
 * once: a digest never outlives the records that it was made of, neither across a restart nor across a change of the
 * members. Each record is in at most as many trees, for each list, as it has other keepers.
 */
export class SharedRecords {
  readonly #account: string;
  readonly #views: RingViews;
  readonly #holdings: Holdings;
  readonly #sorted = new Memo<Sorted>(KEPT_LISTS);
  #version = -1;

  /** @param parts.account this node, lower-case hex. */
  constructor(parts: {
    readonly account: string;
    readonly views: RingViews;
    readonly holdings: Holdings;
  }) {
    this.#account = parts.account;
    this.#views = parts.views;
    this.#holdings = parts.holdings;
    this.#holdings.onChange = (id, held) => this.#note(id, held);
  }

  /**
   * Records that both this node and a member keep.
   * @param member lower-case hex. @param without members that are silent or drain, so that others take their places.
   */
  with(member: string, without: Iterable<string>): DigestTree {
    return this.#sortedFor(without).shared.get(member) ?? new DigestTree();
  }

  /** Whether the records are sorted for a list of absent members, so that it costs little to ask. */
  isSorted(without: Iterable<string>): boolean {
    this.#forgetOldViews();
    return this.#sorted.find(listName(without)) !== undefined;
  }

  /** Records that others keep, and this node does not have to. */
  foreign(without: Iterable<string>): readonly HeldRecord[] {
    return [...this.#sortedFor(without).foreign.values()];
  }

  #sortedFor(without: Iterable<string>): Sorted {
    this.#forgetOldViews();
    const absent = new Set(without);
    return this.#sorted.get(listName(absent), () => {
      const sorted = { without: absent, shared: new Map(), foreign: new Map() };
      for (const held of this.#holdings.records()) this.#put(sorted, held.id, held);
      return sorted;
    });
  }

  #note(id: string, held: HeldRecord | undefined): void {
    this.#forgetOldViews();
    for (const sorted of this.#sorted.values()) this.#put(sorted, id, held);
  }

  #put({ without, shared, foreign }: Sorted, id: string, held: HeldRecord | undefined): void {
    const keepers = this.#views.keepersOf(id, without);
    if (!keepers.has(this.#account)) {
      if (held === undefined) foreign.delete(id);
      else foreign.set(id, held);
      return;
    }
    for (const keeper of keepers) {
      if (keeper === this.#account) continue;
      const tree = shared.get(keeper) ?? new DigestTree();
      if (held === undefined) tree.delete(id);
      else tree.set(held);
      shared.set(keeper, tree);
    }
  }

  /** Other members keep a record by other views, so all is sorted again. */
  #forgetOldViews(): void {
    if (this.#version === this.#views.version) return;
    this.#version = this.#views.version;
    this.#sorted.clear();
  }
}
