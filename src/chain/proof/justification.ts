import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { BlockHash } from '../../bytes/fixed-bytes.ts';
import { memoKey } from '../../bytes/memo.ts';
import type { AuthoritySet, Member } from './authority-set.ts';
import { type Header, LEAST_HEADER_BYTES, readHeader } from './header.ts';
import { invalidProof, unproven } from './proof-errors.ts';
import { ProofReader } from './proof-reader.ts';
import { supportOf } from './vote-ancestry.ts';

/** A vote of the second phase of a round, for a block and all below it. */
export interface Precommit {
  /** 32 bytes. */
  readonly targetHash: Uint8Array;
  readonly targetNumber: number;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** Public key, 32 bytes. */
  readonly signer: Uint8Array;
  /** Whether the vote is for the commit's target or a block that the justification's headers show above it. */
  readonly supportsTarget: boolean;
}

/** A GRANDPA justification that is consistent in itself; who signed it is not looked at yet. */
export interface Justification {
  readonly round: bigint;
  readonly targetHash: BlockHash;
  readonly targetNumber: number;
  readonly precommits: readonly Precommit[];
  /** Headers between the lowest vote and the others. */
  readonly votesAncestries: readonly Header[];
}

/** Largest justification that is decoded: a thousand votes take 132 kB, and a few headers come on top. */
export const MAX_JUSTIFICATION_BYTES = 1024 * 1024;

const WHAT = 'justification';
const HASH_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PRECOMMIT_BYTES = HASH_BYTES + 4 + SIGNATURE_BYTES + 32;
/** Variant of `finality_grandpa::Message`. */
const PRECOMMIT_MESSAGE = 1;
/** One vote, and one more by an authority that equivocates; Substrate's nodes keep no third. */
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
 * it that does not depend on the authorities: each vote stands, by the headers given, on the lowest one, and every
 * header is needed.
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
  const support = supportOf(target, votes, votesAncestries);
  const precommits = votes.map((vote, index) => ({ ...vote, supportsTarget: support[index] === true }));
  return { round, ...target, precommits, votesAncestries };
}

/** What a precommit's signature is over (`sp_consensus_grandpa::localized_payload`); 53 bytes. */
function signedMessage(precommit: Precommit, round: bigint, setId: bigint): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(4 + 8 + 8));
  numbers.setUint32(0, precommit.targetNumber, true);
  numbers.setBigUint64(4, round, true);
  numbers.setBigUint64(12, setId, true);
  return concatBytes(Uint8Array.of(PRECOMMIT_MESSAGE), precommit.targetHash, new Uint8Array(numbers.buffer));
}

/** What one authority voted for. */
interface Ballot {
  readonly member: Member;
  readonly targets: Uint8Array[];
  supports: boolean;
}

function castVotes(precommits: readonly Precommit[], authorities: AuthoritySet): Iterable<Ballot> {
  const ballots = new Map<string, Ballot>();
  for (const { signer, targetHash, supportsTarget } of precommits) {
    const name = memoKey(signer);
    const member = authorities.member(signer);
    if (member === undefined) {
      throw unproven('a vote is by no authority of the set', `a member of set ${authorities.id}`, 'another');
    }
    const ballot = ballots.get(name) ?? { member, targets: [], supports: false };
    ballots.set(name, ballot);
    if (!ballot.targets.some((target) => equalBytes(target, targetHash))) ballot.targets.push(targetHash);
    ballot.supports ||= supportsTarget;
    if (ballot.targets.length > VOTES_PER_AUTHORITY) {
      throw invalidProof(WHAT, 'precommits', `at most ${VOTES_PER_AUTHORITY} blocks an authority`, 'more');
    }
  }
  return ballots.values();
}

/**
 * Verifies that authorities with more than two thirds of the set's weight voted for the justification's target. One
 * that voted twice counts once. Cheap checks come first; then every signature must be good, as Substrate wants it.
 * @throws EvidenceError CHAIN_FINALITY_UNPROVEN when the votes are not enough or not of this set, CHAIN_PROOF_INVALID
 *   when there are more than any such set can cast.
 */
export function verifyJustification(justification: Justification, authorities: AuthoritySet): void {
  const { precommits, round } = justification;
  const mostVotes = VOTES_PER_AUTHORITY * authorities.size;
  if (precommits.length > mostVotes) {
    // Each costs a signature: whoever repeats votes must not make us verify them for minutes.
    throw invalidProof(WHAT, 'precommits', `at most ${mostVotes}`, String(precommits.length));
  }
  let weight = 0n;
  for (const { member, supports } of castVotes(precommits, authorities)) {
    if (supports) weight += member.weight;
  }
  if (weight < authorities.threshold) {
    const expected = `a weight of ${authorities.threshold}`;
    throw unproven(`too few authorities of set ${authorities.id} voted for it`, expected, String(weight));
  }
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
