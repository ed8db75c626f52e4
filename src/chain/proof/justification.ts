import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { BlockHash } from '../../bytes/fixed-bytes.ts';
import { memoKey } from '../../bytes/memo.ts';
import type { AuthoritySet, Member } from './authority-set.ts';
import { type Header, LEAST_HEADER_BYTES, readHeader } from './header.ts';
import { blockWeights, precommitGhost } from './precommit-ghost.ts';
import { invalidProof, unproven } from './proof-errors.ts';
import { ProofReader } from './proof-reader.ts';
import { type PlacedVote, type VoteTree, voteTreeOf } from './vote-ancestry.ts';

/** A vote of the second phase of a round, for a block and all below it. */
export interface Precommit {
  /** 32 bytes. */
  readonly targetHash: Uint8Array;
  readonly targetNumber: number;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** Public key, 32 bytes. */
  readonly signer: Uint8Array;
}

/** A GRANDPA justification that is consistent in itself; the signers are not checked yet. */
export interface Justification {
  readonly round: bigint;
  readonly targetHash: BlockHash;
  readonly targetNumber: number;
  readonly precommits: readonly PlacedVote<Precommit>[];
  /** Headers between the lowest vote and the others. */
  readonly votesAncestries: readonly Header[];
  /** The blocks that are voted for, as the headers connect them. */
  readonly tree: VoteTree;
}

/** Largest justification that is decoded: a thousand votes take 132 kB, and a few headers come on top. */
export const MAX_JUSTIFICATION_BYTES = 1024 * 1024;

const WHAT = 'justification';
const HASH_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PRECOMMIT_BYTES = HASH_BYTES + 4 + SIGNATURE_BYTES + 32;
/** Variant of `finality_grandpa::Message`. */
const PRECOMMIT_MESSAGE = 1;
/** An authority that equivocates has two; Substrate's nodes keep no third. */
const VOTES_PER_AUTHORITY = 2;

const readTarget = (reader: ProofReader) => ({
  targetHash: BlockHash.of(reader.take(HASH_BYTES, 'target hash')),
  targetNumber: reader.u32('target number'),
});

const readPrecommit = (reader: ProofReader) => ({
  ...readTarget(reader),
  signature: reader.take(SIGNATURE_BYTES, 'signature'),
  signer: reader.take(32, 'signer'),
});

/**
 * Decodes a justification (`sp_consensus_grandpa::GrandpaJustification`), to the last byte, and checks everything about
 * it that does not depend on the authorities: by the headers given, each vote is for the lowest block voted for or for a
 * descendant of it, and every header is needed.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function decodeJustification(bytes: Uint8Array): Justification {
  const reader = new ProofReader(bytes, WHAT);
  if (bytes.length > MAX_JUSTIFICATION_BYTES) {
    reader.fail('length', `at most ${MAX_JUSTIFICATION_BYTES} bytes`, `${bytes.length} bytes`);
  }
  const round = reader.u64('round');
  const target = readTarget(reader);
  const votes = Array.from({ length: reader.count(PRECOMMIT_BYTES, 'precommits') }, () =>
    readPrecommit(reader),
  );
  const headerCount = reader.count(LEAST_HEADER_BYTES, 'votes_ancestries');
  const votesAncestries = Array.from({ length: headerCount }, () => readHeader(reader));
  reader.end();
  const { tree, votes: precommits } = voteTreeOf(target, votes, votesAncestries);
  return { round, ...target, precommits, votesAncestries, tree };
}

/** What a precommit's signature is over (`sp_consensus_grandpa::localized_payload`); 53 bytes. */
function signedMessage(precommit: Precommit, round: bigint, setId: bigint): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(4 + 8 + 8));
  numbers.setUint32(0, precommit.targetNumber, true);
  numbers.setBigUint64(4, round, true);
  numbers.setBigUint64(12, setId, true);
  return concatBytes(Uint8Array.of(PRECOMMIT_MESSAGE), precommit.targetHash, new Uint8Array(numbers.buffer));
}

/** The different votes of one authority. */
interface Ballot {
  readonly member: Member;
  readonly first: PlacedVote<Precommit>;
  /** Of an authority that equivocated. */
  second: Precommit | undefined;
}

/** As `finality_grandpa` compares them: a second signature of the same precommit is an equivocation too. */
const isSameVote = (a: Precommit, b: Precommit): boolean =>
  equalBytes(a.targetHash, b.targetHash) && equalBytes(a.signature, b.signature);

function ballotsOf({ precommits }: Justification, authorities: AuthoritySet): readonly Ballot[] {
  const ballots = new Map<string, Ballot>();
  for (const precommit of precommits) {
    const name = memoKey(precommit.signer);
    const member = authorities.member(precommit.signer);
    if (member === undefined) {
      throw unproven(
        'a vote is by no authority of the set',
        `a member of set ${authorities.id}`,
        'another key',
      );
    }
    const ballot = ballots.get(name);
    if (ballot === undefined) ballots.set(name, { member, first: precommit, second: undefined });
    else if (isSameVote(ballot.first, precommit)) continue;
    else if (ballot.second === undefined) ballot.second = precommit;
    else if (!isSameVote(ballot.second, precommit)) {
      throw invalidProof(WHAT, 'precommits', `at most ${VOTES_PER_AUTHORITY} votes an authority`, 'more');
    }
  }
  return [...ballots.values()];
}

/** The target must be the highest block that enough authorities voted for; an equivocator counts for every block. */
function requireEnoughVotes(justification: Justification, authorities: AuthoritySet): void {
  const { tree } = justification;
  const ballots = ballotsOf(justification, authorities);
  const weights = blockWeights(tree, {
    first: ballots.map(({ first, member, second }) => ({
      block: first.block,
      weight: second === undefined ? member.weight : 0n,
    })),
    equivocatedWeight: ballots
      .filter(({ second }) => second !== undefined)
      .reduce((sum, { member }) => sum + member.weight, 0n),
  });
  if (precommitGhost(tree, weights, authorities.threshold) === tree.target) return;
  throw unproven(
    `the target is not the highest block that enough authorities of set ${authorities.id} voted for`,
    `a weight of ${authorities.threshold}, and no descendant and no other branch with as much`,
    `a weight of ${weights.get(tree.target) ?? 'no first vote'}`,
  );
}

/**
 * Verifies that the justification's target is the highest block for which authorities with more than two thirds of the
 * set's weight voted. An authority that equivocated counts once, for every block. Cheap checks come first; then every
 * signature must be good, as Substrate wants it.
 * @throws EvidenceError CHAIN_FINALITY_UNPROVEN when the votes are not enough or not of this set, CHAIN_PROOF_INVALID
 *   when there are more than any such set can cast.
 */
export function verifyJustification(justification: Justification, authorities: AuthoritySet): void {
  const { precommits, round } = justification;
  const mostVotes = VOTES_PER_AUTHORITY * authorities.size;
  if (precommits.length > mostVotes) {
    // Each vote costs a signature check: repeated votes must not take minutes.
    throw invalidProof(WHAT, 'precommits', `at most ${mostVotes}`, String(precommits.length));
  }
  requireEnoughVotes(justification, authorities);
  for (const precommit of precommits) {
    const message = signedMessage(precommit, round, authorities.id);
    if (authorities.member(precommit.signer)?.key.verify(message, precommit.signature) !== true) {
      throw unproven(
        `a vote is not signed for set ${authorities.id} and round ${round}`,
        'a signature',
        'another',
      );
    }
  }
}
