/** A vote in words: blocks are names. */
export interface PlainVote {
  readonly voter: string;
  readonly block: string;
  /** Two signatures of one vote have different names. */
  readonly signature: string;
  readonly isSigned: boolean;
}

/** A justification in words. */
export interface PlainCommit {
  readonly target: string;
  readonly votes: readonly PlainVote[];
  /** The blocks of the headers in the justification, with repetitions. */
  readonly headers: readonly string[];
  /** Parent and number of every block that exists. */
  readonly chain: ReadonlyMap<string, { readonly parent: string; readonly number: number }>;
  readonly weights: ReadonlyMap<string, number>;
}

/** What is refused here although `finality-grandpa` may accept it; `docs/chain.md` names each. */
export type Strictness = 'stranger' | 'third vote' | 'header twice' | 'two branches' | 'too many votes';

/** What the rule says of a commit. */
export interface RuleVerdict {
  readonly isValid: boolean;
  readonly strict: readonly Strictness[];
}

const differentVotes = (votes: readonly PlainVote[], voter: string): string[] => [
  ...new Set(
    votes.filter((vote) => vote.voter === voter).map(({ block, signature }) => `${block} ${signature}`),
  ),
];

/** The blocks from one down to the base, both included, by the headers given; `undefined` when they do not lead there. */
function pathTo(commit: PlainCommit, base: string, block: string): string[] | undefined {
  const path = [block];
  for (let at = block; at !== base; path.push(at)) {
    const parent = commit.headers.includes(at) ? commit.chain.get(at)?.parent : undefined;
    if (parent === undefined) return undefined;
    at = parent;
  }
  return path;
}

/**
 * Judges a commit by the written rule of GRANDPA (Stewart, Kokoris-Kogia, "GRANDPA: a Byzantine Finality Gadget",
 * section 2): voters that have a vote for a block or a descendant, or that equivocate, must have a supermajority for
 * it, and the commit must be for the highest such block. Slow and plain, and apart from `src`.
 */
export function judgeByRule(commit: PlainCommit): RuleVerdict {
  const { chain, headers, target, votes, weights } = commit;
  const strict = new Set<Strictness>();
  const voters = [...weights.keys()];
  if (votes.some(({ voter }) => !weights.has(voter))) strict.add('stranger');
  if (voters.some((voter) => differentVotes(votes, voter).length > 2)) strict.add('third vote');
  if (new Set(headers).size < headers.length) strict.add('header twice');
  if (votes.length > 2 * voters.length) strict.add('too many votes');
  const refused = (): RuleVerdict => ({ isValid: false, strict: [...strict] });
  const lowest = Math.min(...votes.map(({ block }) => chain.get(block)?.number ?? Number.NaN));
  const base = votes.find(({ block }) => chain.get(block)?.number === lowest)?.block;
  if (base === undefined) return refused();
  const paths = votes.map(({ block }) => pathTo(commit, base, block));
  if (paths.includes(undefined)) return refused();
  const needed = new Set(paths.flatMap((path) => path ?? []).filter((block) => block !== base));
  const isExact = headers.every((block) => needed.has(block));
  if (!isExact || votes.some(({ isSigned }) => !isSigned)) return refused();
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const mayFail = Math.floor((total - 1) / 3);
  const firstPathOf = (voter: string): readonly string[] =>
    paths[votes.findIndex((vote) => vote.voter === voter)] ?? [];
  const weightOf = (block: string): number =>
    voters
      .filter((voter) => firstPathOf(voter).includes(block) || differentVotes(votes, voter).length > 1)
      .reduce((sum, voter) => sum + (weights.get(voter) ?? 0), 0);
  const voted = [...new Set(voters.flatMap(firstPathOf))];
  const enough = voted.filter((block) => weightOf(block) >= total - mayFail);
  const parents = enough.map((block) => chain.get(block)?.parent);
  const highest = enough.filter((block) => !parents.includes(block));
  if (highest.length > 1) strict.add('two branches');
  return { isValid: strict.size === 0 && highest[0] === target, strict: [...strict] };
}
