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
  /** Index of the parent; `undefined` for the base alone. */
  readonly parent: number | undefined;
}

/** The blocks that a justification's votes are for, and those between them. */
export interface VoteTree {
  /** The lowest block first, each parent before its children. */
  readonly blocks: readonly VoteTreeBlock[];
  /** Index of each vote's block, in the order of the votes. */
  readonly votedFor: readonly number[];
  /** Index of the commit's target. */
  readonly target: number;
}

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
export function voteTreeOf(
  commit: VoteTarget,
  votes: readonly VoteTarget[],
  headers: readonly Header[],
): VoteTree {
  const base = baseOf(votes);
  const blocks: VoteTreeBlock[] = [{ number: base.targetNumber, parent: undefined }];
  const indexes = new Map([[memoKey(base.targetHash), 0]]);
  const unused = new Set<string>();
  // Parents come before their children, so one pass reaches every header that descends from the base.
  for (const header of [...headers].sort((a, b) => a.number - b.number)) {
    const name = memoKey(header.hash);
    const parentName = memoKey(header.parentHash);
    const parent = indexes.get(parentName);
    if (indexes.has(name)) throw invalidProof(WHAT, 'votes_ancestries', 'each header once', 'a header twice');
    if (parent === undefined || blocks[parent]?.number !== header.number - 1) {
      throw invalidProof(WHAT, 'votes_ancestries', 'descendants of the lowest vote', 'another header');
    }
    indexes.set(name, blocks.length);
    blocks.push({ number: header.number, parent });
    unused.delete(parentName);
    unused.add(name);
  }
  const indexOf = ({ targetHash, targetNumber }: VoteTarget, field: string): number => {
    const index = indexes.get(memoKey(targetHash));
    if (index === undefined || blocks[index]?.number !== targetNumber) {
      throw invalidProof(WHAT, field, 'a block of the headers given', 'another block or number');
    }
    return index;
  };
  const votedFor = votes.map((vote) => {
    unused.delete(memoKey(vote.targetHash));
    return indexOf(vote, 'precommit');
  });
  // A header is needed when a vote is for it or it has a child.
  if (unused.size > 0) throw invalidProof(WHAT, 'votes_ancestries', 'only headers that votes need', 'more');
  return { blocks, votedFor, target: indexOf(commit, 'commit target') };
}
