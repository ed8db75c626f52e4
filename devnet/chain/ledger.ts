import { type Block, buildBlock, buildGenesis } from './block.ts';
import type { ChainContent } from './content.ts';
import { type AuthorityChange, type AuthoritySet, deriveAuthoritySet } from './grandpa/authorities.ts';
import { Finality } from './grandpa/finality.ts';
import { impostorsOf, plannedChange, type Rotation } from './grandpa/rotation.ts';
import type { HeaderJson } from './header.ts';
import { u64 } from './scale.ts';
import type { StateVersion } from './trie/trie-node.ts';

/** Blocks kept with their whole state; older ones are forgotten, as a pruning node does. */
const KEPT_BLOCKS = 512;
/** Number of newest headers that are kept; a real node keeps all. At two blocks a second these are fourteen hours. */
const KEPT_HEADERS = 100_000;
/** How far ahead of what they finalize authorities may vote. */
const VOTED_AHEAD = 2;

/** What happened, in the order in which it happened. */
export interface LedgerEvents {
  best(block: Block): void;
  finalized(block: Block): void;
}

/** How a ledger starts. */
export interface LedgerOptions {
  readonly genesis: ChainContent;
  /** Distinguishes chains that start with the same content; the authorities' keys follow from it. */
  readonly seed: Uint8Array;
  readonly stateVersion: StateVersion;
  /** Size of the first authority set. */
  readonly authorities: number;
  readonly variedVotes: boolean;
  readonly equivocatingHandovers: boolean;
  /** Others sign in place of the authorities. */
  readonly impostors: boolean;
  /** Finalized head = best head minus this many blocks. */
  readonly finalityLag: number;
  readonly now: () => number;
}

function forgetOldest(map: Map<string, unknown>, kept: number): void {
  // Insertion order is age order.
  for (const key of map.keys()) {
    if (map.size <= kept) break;
    map.delete(key);
  }
}

/** The chain itself: one branch of blocks, its best and its finalized head, and the changes for the next block. */
export class Ledger {
  /** The authorities at work. */
  readonly finality: Finality;
  readonly #blocks = new Map<string, Block>();
  readonly #headers = new Map<string, HeaderJson>();
  readonly #hashes: string[] = [];
  readonly #listeners = new Set<LedgerEvents>();
  readonly #options: LedgerOptions;
  #pending: ChainContent;
  #finalized: Block;
  #best: Block;
  #salt = 0;
  #change: AuthorityChange | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#pending = options.genesis;
    const { equivocatingHandovers, genesis: content, seed, stateVersion, variedVotes } = options;
    const set = deriveAuthoritySet(seed, 0, options.authorities);
    const signersOf = options.impostors ? (real: AuthoritySet) => impostorsOf(seed, real) : undefined;
    this.finality = new Finality({ genesis: set, variedVotes, equivocatingHandovers, signersOf });
    const genesis = buildGenesis({ content, timestampMs: 0, salt: seed, stateVersion, grandpa: { set } });
    this.#best = genesis;
    this.#finalized = genesis;
    this.#append(genesis);
  }

  get best(): Block {
    return this.#best;
  }

  get finalized(): Block {
    return this.#finalized;
  }

  /** Hash of the canonical block of this number. */
  hashOf(number: number): string | undefined {
    return this.#hashes[number];
  }

  /** A block by hash, on the branch or abandoned; `undefined` when unknown or pruned. */
  block(hash: string): Block | undefined {
    return this.#blocks.get(hash);
  }

  /** A header by block hash; kept longer than the block. */
  header(hash: string): HeaderJson | undefined {
    return this.#headers.get(hash);
  }

  /** A set of the same size with keys that are not authorized. */
  impostorsOf(set: AuthoritySet): AuthoritySet {
    return impostorsOf(this.#options.seed, set);
  }

  /** Takes effect in the next block. @returns the number of that block. */
  change(update: (content: ChainContent) => ChainContent): number {
    this.#pending = update(this.#pending);
    return this.#best.number + 1;
  }

  /**
   * Announces another authority set in the next block.
   * @returns the number of that block.
   * @throws RangeError when a delayed change is not in force yet, or a number is out of range.
   */
  rotate(rotation: Rotation): number {
    const finalized = this.#finalized.number;
    this.#change = plannedChange(rotation, this.#best.grandpa, finalized, this.#options.seed);
    return this.#best.number + 1;
  }

  /** Makes one block on the best head and finalizes what has become old enough. */
  newBlock(): Block {
    const timestampMs = this.#options.now();
    const salt = u64(this.#salt);
    const change = this.#change;
    this.#change = undefined;
    const block = buildBlock({ parent: this.#best, content: this.#pending, timestampMs, salt, change });
    this.#append(block);
    this.#best = block;
    for (const listener of [...this.#listeners]) listener.best(block);
    this.#finalizeUpTo(block.number - this.#options.finalityLag);
    return block;
  }

  /**
   * Abandons the newest `depth` blocks with everything that changed in them, and builds `depth` + 1 siblings.
   * @throws RangeError when that would undo a finalized block.
   */
  reorganize(depth: number): Block {
    const root = this.#best.number - depth;
    const parent = this.block(this.#hashes[root] ?? '');
    if (depth < 1 || root < this.#finalized.number || parent === undefined) {
      throw new RangeError(
        `only the ${this.#best.number - this.#finalized.number} blocks that are not final can go`,
      );
    }
    this.#hashes.length = root + 1;
    this.#best = parent;
    this.#pending = parent.content;
    this.#change = undefined;
    this.#salt += 1;
    let block = parent;
    for (let made = 0; made <= depth; made += 1) block = this.newBlock();
    return block;
  }

  /** Calls back on every new head; returns the unsubscriber. */
  listen(listener: LedgerEvents): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #append(block: Block): void {
    this.#blocks.set(block.hash, block);
    this.#headers.set(block.hash, block.header);
    this.#hashes[block.number] = block.hash;
    forgetOldest(this.#blocks, KEPT_BLOCKS);
    forgetOldest(this.#headers, KEPT_HEADERS);
  }

  /** The blocks behind one, as far as authorities may vote ahead. */
  #behind(number: number): Block[] {
    const hashes = this.#hashes.slice(number + 1, number + 1 + VOTED_AHEAD);
    return hashes.flatMap((hash) => this.#blocks.get(hash) ?? []);
  }

  /** The parent of a block and its parent. */
  #before(number: number): Block[] {
    const hashes = this.#hashes.slice(Math.max(0, number - 2), number).reverse();
    return hashes.flatMap((hash) => this.#blocks.get(hash) ?? []);
  }

  #finalizeUpTo(number: number): void {
    while (this.#finalized.number < number) {
      const block = this.#blocks.get(this.#hashes[this.#finalized.number + 1] ?? '');
      if (block === undefined)
        throw new Error(`block ${this.#finalized.number + 1} was pruned before it was final`);
      this.finality.finalize(block, this.#behind(block.number), this.#before(block.number));
      this.#finalized = block;
      for (const listener of [...this.#listeners]) listener.finalized(block);
    }
  }
}
