import type { Block } from '../block.ts';
import type { AuthoritySet } from './authorities.ts';
import { type Ballot, encodeJustification, type Vote } from './ballot.ts';
import { thresholdOf, withEquivocator } from './equivocation.ts';

/** How the authorities vote. */
export interface FinalityOptions {
  readonly genesis: AuthoritySet;
  /**
   * Every third round the last authority votes for a descendant, every fourth one the first is missing; without, all
   * vote for the block that becomes final.
   */
  readonly variedVotes: boolean;
  /** The last block of each set is final by exactly enough votes, one of them by an authority that equivocates. */
  readonly equivocatingHandovers: boolean;
  /** Replaces the signers, for a fork that the real authorities never signed. */
  readonly signersOf?: ((set: AuthoritySet) => AuthoritySet) | undefined;
}

/** A set that has been replaced, and the justification of its last block. */
interface EndedSet {
  readonly lastBlock: number;
  readonly ballot: Ballot | undefined;
}

/** The authorities at work: finalizes block after block and hands over at announced changes. */
export class Finality {
  readonly #options: FinalityOptions;
  readonly #ended: EndedSet[] = [];
  readonly #encoded = new WeakMap<Ballot, Uint8Array>();
  #set: AuthoritySet;
  #round = 0;
  #handover: { readonly next: AuthoritySet; readonly at: number } | undefined;
  #first: Ballot | undefined;
  #latest: Ballot | undefined;

  constructor(options: FinalityOptions) {
    this.#options = options;
    this.#set = options.genesis;
  }

  /** The set that will finalize the block after the finalized head. */
  get set(): AuthoritySet {
    return this.#set;
  }

  /** Rounds of the present set that have ended. */
  get round(): number {
    return this.#round;
  }

  get latest(): Ballot | undefined {
    return this.#latest;
  }

  /** The oldest justification there is. */
  get first(): Ballot | undefined {
    return this.#first;
  }

  /**
   * Finalizes the next block. @param descendants the blocks after it that exist already, oldest first. @param ancestors
   *   the parent and its parent, as far as there are any.
   */
  finalize(block: Block, descendants: readonly Block[], ancestors: readonly Block[]): void {
    const { change } = block;
    if (change?.forcedAfter !== undefined) this.#enter(change.next, block.number - 1);
    else if (change !== undefined) this.#handover = { next: change.next, at: block.number + change.delay };
    this.#round += 1;
    const isHandover = this.#handover?.at === block.number;
    this.#latest =
      isHandover && this.#options.equivocatingHandovers
        ? this.#equivocate(this.#ballotOf(block), [block, ...ancestors])
        : this.#vote(block, descendants);
    this.#first ??= this.#latest;
    if (this.#handover?.at === block.number) this.#enter(this.#handover.next, block.number);
  }

  /**
   * What proves that a finalized block is: the last block of its set, or the latest block of the present set.
   * @returns `undefined` when there is none, as for the genesis block before anything else is final.
   */
  covering(number: number): Ballot | undefined {
    const ended = this.#ended.find(({ lastBlock }) => number <= lastBlock);
    return ended === undefined ? this.#latest : ended.ballot;
  }

  /** The justification that is kept permanently: that of the last block of a set. */
  keptWith(number: number): Ballot | undefined {
    return this.#ended.find(({ lastBlock }) => lastBlock === number)?.ballot;
  }

  /** Signs at the first time that somebody wants it: signing is slower than making blocks. */
  justification(ballot: Ballot): Uint8Array {
    const encoded = this.#encoded.get(ballot) ?? encodeJustification(ballot);
    this.#encoded.set(ballot, encoded);
    return encoded;
  }

  #enter(next: AuthoritySet, lastBlock: number): void {
    this.#ended.push({ lastBlock, ballot: this.#latest });
    this.#set = next;
    this.#round = 0;
    this.#handover = undefined;
  }

  /** By turns both votes are below the target, or one of them is for it. */
  #equivocate(ballot: Ballot, downwards: readonly Block[]): Ballot {
    const [equivocator] = ballot.votes;
    const equivocal = downwards.slice(this.#set.id % 2, 2 + (this.#set.id % 2)).reverse();
    const [lower, higher] = equivocal;
    if (equivocator === undefined || lower === undefined || higher === undefined) return ballot;
    return withEquivocator(ballot, equivocator.authority, [lower, higher], downwards.toReversed());
  }

  /** All authorities vote for the block. */
  #ballotOf({ hash, number }: Block): Ballot {
    const { authorities } = this.#options.signersOf?.(this.#set) ?? this.#set;
    const target = { number, hash };
    return {
      target,
      votes: authorities.map((authority): Vote => ({ authority, target })),
      ancestries: [],
      round: this.#round,
      signedFor: { round: this.#round, setId: this.#set.id },
    };
  }

  #vote(block: Block, descendants: readonly Block[]): Ballot {
    const ballot = this.#ballotOf(block);
    const votes = [...ballot.votes];
    const ahead = this.#options.variedVotes && this.#round % 3 === 0 ? this.#votable(descendants) : [];
    const last = ahead.at(-1);
    const lastVote = votes.at(-1);
    if (last !== undefined && lastVote !== undefined) {
      votes.splice(-1, 1, { ...lastVote, target: { number: last.number, hash: last.hash } });
    }
    if (this.#options.variedVotes && this.#round % 4 === 0 && votes.length > thresholdOf(votes.length))
      votes.shift();
    return { ...ballot, votes, ancestries: ahead.map(({ header }) => header) };
  }

  /** No vote goes beyond the last block of the set, whether the change of sets is final or only announced. */
  #votable(descendants: readonly Block[]): readonly Block[] {
    let end = this.#handover?.at ?? Number.POSITIVE_INFINITY;
    const votable: Block[] = [];
    for (const block of descendants) {
      if (block.number > end || block.change?.forcedAfter !== undefined) break;
      if (block.change !== undefined) end = block.number + block.change.delay;
      votable.push(block);
    }
    return votable;
  }
}
