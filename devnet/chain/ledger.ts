import { type Block, buildBlock } from './block.ts';
import type { ChainContent } from './content.ts';
import { u64 } from './scale.ts';

/** Blocks kept with their whole state; older ones are forgotten, as a pruning node does. */
const KEPT_BLOCKS = 512;

/** What happened, in the order in which it happened. */
export interface LedgerEvents {
  best(block: Block): void;
  finalized(block: Block): void;
}

/** How a ledger starts. */
export interface LedgerOptions {
  readonly genesis: ChainContent;
  /** Distinguishes chains that start with the same content. */
  readonly seed: Uint8Array;
  /** Finalized head = best head minus this many blocks. */
  readonly finalityLag: number;
  readonly now: () => number;
}

/** The chain itself: one branch of blocks, its best and its finalized head, and the changes for the next block. */
export class Ledger {
  readonly #blocks = new Map<string, Block>();
  readonly #hashes: string[] = [];
  readonly #listeners = new Set<LedgerEvents>();
  readonly #options: LedgerOptions;
  #pending: ChainContent;
  #finalized: Block;
  #best: Block;
  #salt = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#pending = options.genesis;
    const genesis = buildBlock({
      parent: undefined,
      content: options.genesis,
      timestampMs: 0,
      salt: options.seed,
    });
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

  /** Takes effect in the next block. @returns the number of that block. */
  change(update: (content: ChainContent) => ChainContent): number {
    this.#pending = update(this.#pending);
    return this.#best.number + 1;
  }

  /** Makes one block on the best head and finalizes what has become old enough. */
  newBlock(): Block {
    const timestampMs = this.#options.now();
    const salt = u64(this.#salt);
    const block = buildBlock({ parent: this.#best, content: this.#pending, timestampMs, salt });
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
    this.#hashes[block.number] = block.hash;
    // Insertion order is age order.
    for (const hash of this.#blocks.keys()) {
      if (this.#blocks.size <= KEPT_BLOCKS) break;
      this.#blocks.delete(hash);
    }
  }

  #finalizeUpTo(number: number): void {
    while (this.#finalized.number < number) {
      const block = this.#blocks.get(this.#hashes[this.#finalized.number + 1] ?? '');
      if (block === undefined)
        throw new Error(`block ${this.#finalized.number + 1} was pruned before it was final`);
      this.#finalized = block;
      for (const listener of [...this.#listeners]) listener.finalized(block);
    }
  }
}
