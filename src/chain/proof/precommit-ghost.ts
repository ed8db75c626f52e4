import type { VoteTree, VoteTreeBlock } from './vote-ancestry.ts';

/** What the authorities voted for, with their weights. */
export interface CountedVotes {
  /** Block of each authority's first vote; the weight of one that equivocated is 0 here. */
  readonly first: readonly { readonly block: VoteTreeBlock; readonly weight: bigint }[];
  /** Weight of the authorities that equivocated: it counts for every block that has a first vote, or a descendant of it. */
  readonly equivocatedWeight: bigint;
}

/** The weight of each block with votes: votes for it, for its descendants, and of equivocators. */
export function blockWeights({ blocks }: VoteTree, votes: CountedVotes): ReadonlyMap<VoteTreeBlock, bigint> {
  const weights = new Map<VoteTreeBlock, bigint>();
  const add = (block: VoteTreeBlock, weight: bigint): unknown =>
    weights.set(block, (weights.get(block) ?? 0n) + weight);
  for (const { block, weight } of votes.first) add(block, weight);
  // Parents come before their children, so from the end on every block is complete before it is added to its parent.
  for (const block of [...blocks].reverse()) {
    const weight = weights.get(block);
    if (weight !== undefined && block.parent !== undefined) add(block.parent, weight);
  }
  return new Map([...weights].map(([block, weight]) => [block, weight + votes.equivocatedWeight]));
}

/**
 * The precommit GHOST: the highest block with at least the threshold (`finality_grandpa::Round::precommit_ghost`).
 * @returns `undefined` when no block has enough, or when two branches have, which takes more than a third of
 *   equivocators.
 */
export function precommitGhost(
  { blocks }: VoteTree,
  weights: ReadonlyMap<VoteTreeBlock, bigint>,
  threshold: bigint,
): VoteTreeBlock | undefined {
  let ghost: VoteTreeBlock | undefined;
  for (const block of blocks) {
    const weight = weights.get(block);
    if (weight === undefined || weight < threshold) continue;
    if (block.parent !== ghost) return undefined;
    ghost = block;
  }
  return ghost;
}
