import type { VoteTree } from './vote-ancestry.ts';

/** What the authorities voted for, with their weights. */
export interface CountedVotes {
  /** Block index in the tree of each authority's first vote. */
  readonly first: readonly { readonly block: number; readonly weight: bigint }[];
  /** Weight of the authorities that equivocated: it counts for every block, and for no block in particular. */
  readonly equivocatedWeight: bigint;
}

/** The weight of each block of the tree: votes for it, for its descendants, and of equivocators. */
export function blockWeights({ blocks }: VoteTree, votes: CountedVotes): readonly bigint[] {
  const weights = blocks.map(() => 0n);
  const isVotedFor = blocks.map(() => false);
  for (const { block, weight } of votes.first) {
    weights[block] = (weights[block] ?? 0n) + weight;
    isVotedFor[block] = true;
  }
  // Children come after their parents, so from the end on every child is complete before it is added to its parent.
  for (const [index, { parent }] of [...blocks.entries()].reverse()) {
    if (parent === undefined || isVotedFor[index] !== true) continue;
    weights[parent] = (weights[parent] ?? 0n) + (weights[index] ?? 0n);
    isVotedFor[parent] = true;
  }
  return weights.map((weight, index) => (isVotedFor[index] === true ? weight + votes.equivocatedWeight : 0n));
}

/**
 * The precommit GHOST: the highest block with at least the threshold (`finality_grandpa::Round::precommit_ghost`).
 * @returns its index; `undefined` when no block has enough, or when two branches have, which takes more than a third of
 *   equivocators.
 */
export function precommitGhost(
  { blocks }: VoteTree,
  weights: readonly bigint[],
  threshold: bigint,
): number | undefined {
  let ghost: number | undefined;
  for (const [index, { parent }] of blocks.entries()) {
    if ((weights[index] ?? 0n) < threshold) continue;
    if (parent !== ghost) return undefined;
    ghost = index;
  }
  return ghost;
}
