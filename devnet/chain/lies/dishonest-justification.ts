import { type Ballot, encodeJustification, type Vote } from '../grandpa/ballot.ts';
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

function lieAbout(ballot: Ballot, lie: Lie, ledger: Ledger): Ballot {
  const { votes, signedFor, target } = ballot;
  switch (lie) {
    case 'too-few-signatures':
      return { ...ballot, votes: half(votes) };
    case 'duplicate-signers':
      return { ...ballot, votes: [...half(votes), ...half(votes)] };
    case 'foreign-signers':
      return { ...ballot, votes: byStrangers(votes, ledger) };
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
  if (!lies.includes('bad-signatures')) return { ballot, bytes: finality.justification(ballot) };
  const spoilt = new Set(half(ballot.votes));
  const bytes = encodeJustification(ballot, (vote, message) => {
    const signature = Uint8Array.from(vote.authority.sign(message));
    if (spoilt.has(vote)) signature[0] = (signature[0] ?? 0) ^ 1;
    return signature;
  });
  return { ballot, bytes };
}
