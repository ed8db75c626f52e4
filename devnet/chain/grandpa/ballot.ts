import { concatBytes } from '../../../src/bytes/concat.ts';
import { tryFromHex } from '../../../src/bytes/hex.ts';
import { encodeHeader, type HeaderJson } from '../header.ts';
import { u8, u32, u64, vec } from '../scale.ts';
import type { Authority } from './authorities.ts';

/** A block that is voted for. */
export interface Target {
  readonly number: number;
  /** `0x` hex. */
  readonly hash: string;
}

/** One precommit, before it is signed. */
export interface Vote {
  readonly authority: Authority;
  readonly target: Target;
  /** Whether the signature has one wrong bit, in a lie. */
  readonly isSpoilt?: boolean;
}

/** The end of a voting round: what becomes a justification when somebody asks for it. */
export interface Ballot {
  /** What is finalized; votes are for it or for descendants. */
  readonly target: Target;
  readonly votes: readonly Vote[];
  /** Headers between the target and the descendants that were voted for, the target itself left out. */
  readonly ancestries: readonly HeaderJson[];
  /** As the justification says it. */
  readonly round: number;
  /** What the signatures are made for; the round differs from the one above only in a lie. */
  readonly signedFor: { readonly round: number; readonly setId: number };
}

/** Message variant `Precommit`. */
const PRECOMMIT = 1;

function encodeTarget({ hash, number }: Target): Uint8Array {
  const bytes = tryFromHex(hash);
  if (bytes === undefined) throw new RangeError(`not a block hash: ${hash.slice(0, 20)}`);
  return concatBytes(bytes, u32(number));
}

/** The bytes that an authority signs: message, round and set id. */
export const precommitMessage = (target: Target, { round, setId }: Ballot['signedFor']): Uint8Array =>
  concatBytes(u8(PRECOMMIT), encodeTarget(target), u64(round), u64(setId));

function signatureOf({ authority, isSpoilt }: Vote, message: Uint8Array): Uint8Array {
  const signature = Uint8Array.from(authority.sign(message));
  if (isSpoilt === true) signature[0] = (signature[0] ?? 0) ^ 1;
  return signature;
}

/** SCALE GrandpaJustification: round, commit, headers of the ancestries. Signatures are made here. */
export function encodeJustification(ballot: Ballot): Uint8Array {
  const precommits = ballot.votes.map((vote) =>
    concatBytes(
      encodeTarget(vote.target),
      signatureOf(vote, precommitMessage(vote.target, ballot.signedFor)),
      vote.authority.publicKey,
    ),
  );
  return concatBytes(
    u64(ballot.round),
    encodeTarget(ballot.target),
    vec(precommits),
    vec(ballot.ancestries.map(encodeHeader)),
  );
}
