import type { HeaderJson } from '../header.ts';
import type { Authority } from './authorities.ts';
import type { Ballot, Target, Vote } from './ballot.ts';

/** A block as far as votes need it. */
export interface VotableBlock extends Target {
  readonly header: HeaderJson;
}

/** How many votes are more than two thirds. */
export const thresholdOf = (count: number): number => count - Math.floor((count - 1) / 3);

/**
 * A ballot in which exactly as many authorities as are needed take part, the last of them by two votes, of which none
 * needs to be for the target: GRANDPA counts an authority that equivocates for every block.
 * @param equivocal the two blocks, the lower one first. @param path the blocks from the lower one up to the target, both
 *   included.
 */
export function withEquivocator(
  ballot: Ballot,
  equivocator: Authority,
  equivocal: readonly [Target, Target],
  path: readonly VotableBlock[],
): Ballot {
  const { target, votes } = ballot;
  const others = votes.map(({ authority }) => authority).filter((authority) => authority !== equivocator);
  const honest = others
    .slice(0, thresholdOf(votes.length) - 1)
    .map((authority): Vote => ({ authority, target }));
  const both = equivocal.map(
    ({ hash, number }): Vote => ({ authority: equivocator, target: { hash, number } }),
  );
  // The lowest vote is the base, and a justification does not contain the header of its base.
  const above = path.filter(({ number }) => number > equivocal[0].number);
  return { ...ballot, votes: [...honest, ...both], ancestries: above.map(({ header }) => header) };
}
