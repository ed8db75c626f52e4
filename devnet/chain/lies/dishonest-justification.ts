import type { Ballot, Vote } from '../grandpa/ballot.ts';
import { type VotableBlock, withEquivocator } from '../grandpa/equivocation.ts';
import type { Ledger } from '../ledger.ts';
import type { Lie } from './lies.ts';

const half = <T>(list: readonly T[]): readonly T[] => list.slice(0, Math.floor(list.length / 2));

const UNKNOWN_HASH = `0x${'fe'.repeat(32)}`;

/** The votes as cast by a set of strangers. */
function byStrangers(votes: readonly Vote[], ledger: Ledger): readonly Vote[] {
  const authorities = votes.map(({ authority }) => authority);
  const strangers = ledger.impostorsOf({ id: ledger.finality.set.id, authorities }).authorities;
  return votes.map((vote, index) => ({ ...vote, authority: strangers[index] ?? vote.authority }));
}

/** The target's parent and the target; nothing for genesis. */
function pathTo(
  { hash, number }: Ballot['target'],
  ledger: Ledger,
): readonly [VotableBlock, VotableBlock] | undefined {
  const header = ledger.header(hash);
  const parent = header === undefined ? undefined : ledger.header(header.parentHash);
  if (header === undefined || parent === undefined) return undefined;
  return [
    { hash: header.parentHash, number: number - 1, header: parent },
    { hash, number, header },
  ];
}

/** An equivocation by the first authority that is none, and without which one vote is missing. */
function equivocation(
  ballot: Ballot,
  ledger: Ledger,
  change: (both: readonly Vote[]) => readonly Vote[],
): Ballot {
  const path = pathTo(ballot.target, ledger);
  const [first] = ballot.votes;
  if (path === undefined || first === undefined) return ballot;
  const told = withEquivocator(ballot, first.authority, path, path);
  return { ...told, votes: [...told.votes.slice(0, -2), ...change(told.votes.slice(-2))] };
}

function lieAbout(ballot: Ballot, lie: Lie, ledger: Ledger): Ballot {
  const { votes, signedFor, target } = ballot;
  switch (lie) {
    case 'too-few-signatures':
      return { ...ballot, votes: half(votes) };
    case 'duplicate-signers':
      return { ...ballot, votes: [...half(votes), ...half(votes)] };
    case 'foreign-signers':
      return { ...ballot, votes: byStrangers(votes, ledger) };
    case 'bad-signatures':
      return {
        ...ballot,
        votes: votes.map((vote, index) =>
          index < Math.floor(votes.length / 2) ? { ...vote, isSpoilt: true } : vote,
        ),
      };
    case 'feigned-equivocation':
      return equivocation(ballot, ledger, ([vote]) => (vote === undefined ? [] : [vote, vote]));
    case 'spoilt-equivocation':
      return equivocation(ballot, ledger, ([vote, other]) =>
        vote === undefined || other === undefined ? [] : [vote, { ...other, isSpoilt: true }],
      );
    case 'foreign-equivocation':
      return equivocation(ballot, ledger, (both) => {
        const [stranger] = byStrangers(both, ledger);
        return both.map((vote) => ({ ...vote, authority: stranger?.authority ?? vote.authority }));
      });
    case 'wrong-set-id':
      return { ...ballot, signedFor: { ...signedFor, setId: signedFor.setId + 1 } };
    case 'wrong-round':
      return { ...ballot, round: ballot.round + 1 };
    case 'missing-ancestry': {
      const unknown = { number: target.number + 1, hash: UNKNOWN_HASH };
      const [first, ...others] = votes;
      return { ...ballot, votes: first === undefined ? [] : [{ ...first, target: unknown }, ...others] };
    }
    default:
      return ballot;
  }
}

/** The justification that is served in place of the honest one; `undefined` when it is withheld. */
export function servedJustification(
  honest: Ballot,
  lies: readonly Lie[],
  ledger: Ledger,
): { readonly ballot: Ballot; readonly bytes: Uint8Array } | undefined {
  const { finality } = ledger;
  if (lies.includes('withhold-justifications')) return undefined;
  const old = lies.includes('replay-justification') ? (finality.first ?? honest) : honest;
  const ballot = lies.reduce((told, lie) => lieAbout(told, lie, ledger), old);
  return { ballot, bytes: finality.justification(ballot) };
}
