import { equalBytes } from '../../bytes/concat.ts';
import { memoKey } from '../../bytes/memo.ts';
import type { Header } from './header.ts';
import { invalidProof } from './proof-errors.ts';

/** A block as votes name it. */
export interface VoteTarget {
  /** 32 bytes. */
  readonly targetHash: Uint8Array;
  readonly targetNumber: number;
}

/** A block between the base and a vote. */
interface Known {
  readonly number: number;
  /** Whether it is the commit's target or above it. */
  readonly supports: boolean;
}

const WHAT = 'justification';

/** The lowest block voted for, on which all other votes must stand; of several the first, as in Substrate. */
function baseOf(votes: readonly VoteTarget[]): VoteTarget {
  const [first, ...others] = votes;
  if (first === undefined) throw invalidProof(WHAT, 'precommits', 'at least one', 'none');
  return others.reduce((base, vote) => (vote.targetNumber < base.targetNumber ? vote : base), first);
}

/**
 * Proves by the headers that come with a justification that every vote is for the lowest of their targets or for a
 * block above it, and tells which votes are for the commit's target or above it. No header may be without use.
 * @returns for each vote, in order, whether it supports the commit's target.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function supportOf(
  commit: VoteTarget,
  votes: readonly VoteTarget[],
  headers: readonly Header[],
): readonly boolean[] {
  const base = baseOf(votes);
  const isTarget = (hash: Uint8Array): boolean => equalBytes(hash, commit.targetHash);
  const known = new Map<string, Known>([
    [memoKey(base.targetHash), { number: base.targetNumber, supports: isTarget(base.targetHash) }],
  ]);
  const unused = new Set<string>();
  // Parents come before their children, so one pass reaches every header that stands on the base.
  for (const header of [...headers].sort((a, b) => a.number - b.number)) {
    const name = memoKey(header.hash);
    const parentName = memoKey(header.parentHash);
    const parent = known.get(parentName);
    if (known.has(name)) throw invalidProof(WHAT, 'votes_ancestries', 'each header once', 'one twice');
    if (parent?.number !== header.number - 1) {
      throw invalidProof(WHAT, 'votes_ancestries', 'headers above the lowest vote', 'one that is not');
    }
    known.set(name, { number: header.number, supports: parent.supports || isTarget(header.hash) });
    unused.delete(parentName);
    unused.add(name);
  }
  const support = votes.map((vote) => {
    const place = known.get(memoKey(vote.targetHash));
    if (place?.number !== vote.targetNumber) {
      throw invalidProof(WHAT, 'precommit', 'for a block of the headers given', 'another block or number');
    }
    unused.delete(memoKey(vote.targetHash));
    return place.supports;
  });
  // A header is of use when it is voted for or has a child; childless ones without a vote are left over.
  if (unused.size > 0) throw invalidProof(WHAT, 'votes_ancestries', 'only headers that votes need', 'more');
  const target = known.get(memoKey(commit.targetHash));
  if (target?.number !== commit.targetNumber) {
    throw invalidProof(WHAT, 'commit target', 'a block that votes stand on', 'another block or number');
  }
  return support;
}
