import { memoKey } from '../../bytes/memo.ts';
import type { Header } from './header.ts';
import { invalidProof } from './proof-errors.ts';

/** A block as votes name it. */
export interface VoteTarget {
  /** 32 bytes. */
  readonly targetHash: Uint8Array;
  readonly targetNumber: number;
}

/** One block of a {@link VoteTree}. */
export interface VoteTreeBlock {
  readonly number: number;
  /** `undefined` for the base alone. */
  readonly parent: VoteTreeBlock | undefined;
}

/** The blocks that a justification's votes are for, and those between them. */
export interface VoteTree {
  /** The lowest block first, each parent before its children. */
  readonly blocks: readonly VoteTreeBlock[];
  /** The commit's target. */
  readonly target: VoteTreeBlock;
}

/** A vote with its block of the tree. */
export type PlacedVote<Vote> = Vote & { readonly block: VoteTreeBlock };

const WHAT = 'justification';

/** The lowest block that has a vote; of several the first, as in Substrate. All other votes must be for descendants. */
function baseOf(votes: readonly VoteTarget[]): VoteTarget {
  const [first, ...others] = votes;
  if (first === undefined) throw invalidProof(WHAT, 'precommits', 'at least one', 'none');
  return others.reduce((base, vote) => (vote.targetNumber < base.targetNumber ? vote : base), first);
}

/**
 * Builds the tree of blocks from the headers that come with a justification. Every vote must be for the lowest of the
 * votes' blocks or for a descendant of it, and every header must be needed for that.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function voteTreeOf<Vote extends VoteTarget>(
  commit: VoteTarget,
  votes: readonly Vote[],
  headers: readonly Header[],
): { readonly tree: VoteTree; readonly votes: readonly PlacedVote<Vote>[] } {
  const lowest = baseOf(votes);
  const base: VoteTreeBlock = { number: lowest.targetNumber, parent: undefined };
  const blocks = new Map([[memoKey(lowest.targetHash), base]]);
  const unused = new Set<string>();
  // Parents come before their children, so one pass reaches every header that descends from the base.
  for (const header of [...headers].sort((a, b) => a.number - b.number)) {
    const name = memoKey(header.hash);
    const parentName = memoKey(header.parentHash);
    const parent = blocks.get(parentName);
    if (blocks.has(name)) throw invalidProof(WHAT, 'votes_ancestries', 'each header once', 'a header twice');
    if (parent?.number !== header.number - 1) {
      throw invalidProof(WHAT, 'votes_ancestries', 'descendants of the lowest vote', 'another header');
    }
    blocks.set(name, { number: header.number, parent });
    unused.delete(parentName);
    unused.add(name);
  }
  const blockOf = ({ targetHash, targetNumber }: VoteTarget, field: string): VoteTreeBlock => {
    const block = blocks.get(memoKey(targetHash));
    if (block?.number !== targetNumber) {
      throw invalidProof(WHAT, field, 'a block of the headers given', 'another block or number');
    }
    return block;
  };
  const placed = votes.map((vote) => {
    unused.delete(memoKey(vote.targetHash));
    return { ...vote, block: blockOf(vote, 'precommit') };
  });
  // A header is needed when a vote is for it or it has a child.
  if (unused.size > 0) throw invalidProof(WHAT, 'votes_ancestries', 'only headers that votes need', 'more');
  return { tree: { blocks: [...blocks.values()], target: blockOf(commit, 'commit target') }, votes: placed };
}
