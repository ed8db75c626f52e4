import { toHex } from '../../src/bytes/hex.ts';
import { Dice } from './dice.ts';
import type { PlainCommit, PlainVote } from './grandpa-rule.ts';
import {
  type MadeBlock,
  makeBlock,
  makeJustification,
  makeVoters,
  precommitMessage,
  secondSignature,
  type Vote,
  type Voter,
} from './grandpa-world.ts';

/** One justification for the verifier, for the written rule, and for the crate. */
export interface GrandpaCase {
  readonly scenario: string;
  readonly setId: bigint;
  readonly members: readonly Voter[];
  readonly bytes: Uint8Array;
  readonly plain: PlainCommit;
}

const ROUND = 3n;

/** Blocks a to f one after another, with two forks of two blocks: p, q on b, and x, y on d. */
const blocks = new Map<string, MadeBlock>();
const grow = (name: string, parent: string | undefined): void => {
  const salt = new Uint8Array(32).fill(name.charCodeAt(0));
  const made = makeBlock(parent === undefined ? undefined : blocks.get(parent), {
    stateRoot: salt,
    ...(parent === undefined ? { number: 50 } : {}),
  });
  blocks.set(name, made);
};
const parents: ReadonlyMap<string, string> = new Map<string, string>([
  ...([
    ['b', 'a'],
    ['c', 'b'],
    ['d', 'c'],
    ['e', 'd'],
    ['f', 'e'],
  ] as const),
  ...([
    ['p', 'b'],
    ['q', 'p'],
    ['x', 'd'],
    ['y', 'x'],
  ] as const),
]);
grow('a', undefined);
for (const [name, parent] of parents) grow(name, parent);

const blockOf = (name: string): MadeBlock => {
  const block = blocks.get(name);
  if (block === undefined) throw new RangeError(`no block ${name}`);
  return block;
};
const chain = new Map(
  [...blocks].map(([name, { number }]) => [name, { parent: parents.get(name) ?? '', number }] as const),
);
const family = makeVoters(9);
const strangers = makeVoters(3, 77);
const nameOf = ({ signer }: Voter): string => toHex(signer.publicKey);

/** A vote in the making. */
interface Draft {
  readonly voter: Voter;
  readonly block: string;
  readonly signature?: 'second' | 'bad' | 'other round';
}

const votesFor = (voters: readonly Voter[], block: string): Draft[] =>
  voters.map((voter) => ({ voter, block }));

function signed({ block, signature, voter }: Draft, setId: bigint): Vote {
  const target = blockOf(block);
  switch (signature) {
    case 'second':
      return {
        voter,
        block: target,
        signature: secondSignature(voter, precommitMessage(target, ROUND, setId)),
      };
    case 'bad':
      return { voter, block: target, signature: new Uint8Array(64).fill(5) };
    case 'other round':
      return { voter, block: target, round: ROUND + 1n };
    default:
      return { voter, block: target };
  }
}

/** The headers that lead from the lowest vote to all others, as an honest node collects them. */
function honestHeaders(drafts: readonly Draft[]): string[] {
  const byNumber = [...drafts].sort((a, b) => blockOf(a.block).number - blockOf(b.block).number);
  const base = byNumber[0]?.block;
  const needed = new Set<string>();
  for (const { block } of drafts) {
    for (let at: string | undefined = block; at !== undefined && at !== base; at = parents.get(at)) {
      needed.add(at);
    }
  }
  return [...needed];
}

interface Scenario {
  readonly name: string;
  /** The votes of the equivocator, or of another special voter. */
  readonly special: (voter: Voter, dice: Dice, members: readonly Voter[]) => Draft[];
  /** d by default. */
  readonly targets?: readonly string[];
}

const scenarios: readonly Scenario[] = [
  {
    name: 'equivocates early, then for the target',
    special: (voter) => [...votesFor([voter], 'b'), ...votesFor([voter], 'd')],
  },
  {
    name: 'equivocates at the target',
    special: (voter) => [
      { voter, block: 'd' },
      { voter, block: 'd', signature: 'second' },
    ],
  },
  {
    name: 'equivocates after the target',
    special: (voter) => [...votesFor([voter], 'e'), ...votesFor([voter], 'x')],
  },
  { name: 'both votes above', special: (voter) => [...votesFor([voter], 'f'), ...votesFor([voter], 'e')] },
  { name: 'both votes below', special: (voter) => [...votesFor([voter], 'b'), ...votesFor([voter], 'c')] },
  {
    name: 'both votes below, on a fork',
    special: (voter) => [...votesFor([voter], 'b'), ...votesFor([voter], 'p')],
  },
  {
    name: 'one vote below, one above',
    special: (voter) => [...votesFor([voter], 'c'), ...votesFor([voter], 'y')],
  },
  { name: 'a third vote', special: (voter) => ['b', 'd', 'e'].flatMap((block) => votesFor([voter], block)) },
  {
    name: 'one vote below, signed twice',
    special: (voter) => [
      { voter, block: 'c' },
      { voter, block: 'c', signature: 'second' },
    ],
  },
  {
    name: 'one vote below, repeated',
    special: (voter) => [...votesFor([voter], 'c'), ...votesFor([voter], 'c')],
  },
  { name: 'one vote below', special: (voter) => votesFor([voter], 'c') },
  { name: 'one vote for the target', special: (voter) => votesFor([voter], 'd') },
  { name: 'no vote', special: () => [] },
  {
    name: 'equivocator not in the set',
    special: (_voter, dice) => {
      const stranger = dice.of(strangers);
      return [...votesFor([stranger], 'b'), ...votesFor([stranger], 'd')];
    },
  },
  {
    name: 'equivocates with a bad signature',
    special: (voter) => [
      { voter, block: 'b' },
      { voter, block: 'd', signature: 'bad' },
    ],
  },
  {
    name: 'equivocates with a signature of another round',
    special: (voter) => [
      { voter, block: 'b' },
      { voter, block: 'd', signature: 'other round' },
    ],
  },
  {
    name: 'all equivocate, on two branches',
    special: (_voter, _dice, members) =>
      members.flatMap((voter, index) =>
        (index % 2 === 0 ? ['e', 'x'] : ['x', 'e']).flatMap((block) => votesFor([voter], block)),
      ),
    targets: ['e', 'x', 'd'],
  },
  {
    name: 'votes beside the base',
    special: (voter) => [...votesFor([voter], 'p'), ...votesFor([voter], 'd')],
  },
];

const totalOf = (members: readonly Voter[]): bigint => members.reduce((sum, { weight }) => sum + weight, 0n);
/** Written as the paper does: the most that may fail is the largest f with 3f < n. */
const thresholdOf = (members: readonly Voter[]): bigint => {
  const total = totalOf(members);
  let faulty = 0n;
  while (3n * (faulty + 1n) < total) faulty += 1n;
  return total - faulty;
};

function someMembers(dice: Dice): Voter[] {
  const members = family.slice(0, 1 + dice.below(family.length));
  const isWeighted = dice.oneIn(3);
  return members.map((voter) => ({ ...voter, weight: isWeighted ? BigInt(1 + dice.below(5)) : 1n }));
}

/** A special voter, and others for the target until all together are exactly at the threshold or just below it. */
function directed(scenario: Scenario, dice: Dice, isAt: boolean): { members: Voter[]; drafts: Draft[] } {
  const members = someMembers(dice);
  const [special, ...others] = members;
  if (special === undefined) throw new RangeError('a member is needed');
  const threshold = thresholdOf(members);
  const drafts = scenario.special(special, dice, members);
  let weight = special.weight;
  const joining: Voter[] = [];
  for (const voter of others) {
    if (weight >= threshold) break;
    joining.push(voter);
    weight += voter.weight;
  }
  if (!isAt) joining.pop();
  return { members, drafts: dice.shuffled([...drafts, ...votesFor(joining, 'd')]) };
}

/** Any votes of any members for any blocks. */
function anyVotes(dice: Dice): { members: Voter[]; drafts: Draft[] } {
  const members = someMembers(dice);
  const around = dice.of([['d'], ['d', 'e'], ['c', 'd', 'e', 'x'], [...blocks.keys()]]);
  const drafts = members.flatMap((voter): Draft[] => {
    const count = dice.of([0, 1, 1, 1, 1, 2, 2, 3]);
    return Array.from({ length: count }, (_, index) => ({
      voter,
      block: dice.of(around),
      ...(index > 0 && dice.oneIn(3) ? { signature: 'second' as const } : {}),
    }));
  });
  return { members, drafts: dice.shuffled(drafts) };
}

function someHeaders(drafts: readonly Draft[], dice: Dice): string[] {
  const honest = dice.shuffled(honestHeaders(drafts));
  switch (dice.below(12)) {
    case 0:
      return honest.slice(1);
    case 1:
      return [...honest, dice.of([...parents.keys()])];
    case 2:
      return [...honest, ...honest.slice(0, 1)];
    default:
      return honest;
  }
}

function caseOf(index: number, seed: number): GrandpaCase {
  const dice = new Dice(seed * 1_000_003 + index);
  const scenario = scenarios[index % (scenarios.length + 4)];
  const isAt = Math.floor(index / (scenarios.length + 4)) % 2 === 0;
  const { drafts, members } = scenario === undefined ? anyVotes(dice) : directed(scenario, dice, isAt);
  const target = dice.of(scenario === undefined ? ['c', 'd', 'd', 'd', 'e'] : (scenario.targets ?? ['d']));
  const headers = scenario === undefined ? someHeaders(drafts, dice) : honestHeaders(drafts);
  const setId = BigInt(dice.below(1000));
  const bytes = makeJustification({
    target: blockOf(target),
    setId,
    round: ROUND,
    votes: drafts.map((draft) => signed(draft, setId)),
    ancestries: headers.map(blockOf),
  });
  const votes = drafts.map(
    ({ block, signature = 'own', voter }): PlainVote => ({
      voter: nameOf(voter),
      block,
      signature,
      isSigned: signature === 'own' || signature === 'second',
    }),
  );
  const weights = new Map(members.map((voter) => [nameOf(voter), Number(voter.weight)]));
  const where = isAt ? 'at the threshold' : 'just below the threshold';
  return {
    scenario: scenario === undefined ? 'any votes' : `${scenario.name}, ${where}`,
    setId,
    members,
    bytes,
    plain: { target, votes, headers, chain, weights },
  };
}

/** The given number of cases, derived from the seed alone. */
export const grandpaCases = (seed: number, count: number): readonly GrandpaCase[] =>
  Array.from({ length: count }, (_, index) => caseOf(index, seed));

/** A case as the Rust program reads it. */
export function grandpaLine({ bytes, members, setId }: GrandpaCase): string {
  const authorities = members.map((voter) => `${nameOf(voter)}:${voter.weight}`).join(',');
  return `J ${setId} ${authorities} ${toHex(bytes)}`;
}
