import { createPublicKey, verify } from 'node:crypto';
import type { ApiPromise } from '@polkadot/api';
import type { GrandpaJustification } from '@polkadot/types/interfaces';
import { toHex } from '../../src/bytes/hex.ts';

/** A block by number and `0x` hash. */
interface Place {
  readonly number: number;
  readonly hash: string;
}

/** One signature of a justification. */
interface Precommit {
  readonly target: Place;
  /** `0x` hex, 64 bytes. */
  readonly signature: string;
  /** `0x` hex, 32 bytes. */
  readonly id: string;
}

/** A GRANDPA justification, as @polkadot/types decodes it. */
export interface Justification {
  readonly round: number;
  readonly target: Place;
  readonly precommits: readonly Precommit[];
  /** Headers by the hash that the library computes, with their parents. */
  readonly ancestries: readonly { readonly hash: string; readonly parentHash: string }[];
}

/** Decodes by the library; a justification that it would encode otherwise is an error. */
export function decodeJustification(api: ApiPromise, hex: string): Justification {
  const decoded = api.createType<GrandpaJustification>('GrandpaJustification', hex);
  if (decoded.toHex() !== hex) throw new Error('the library reads another justification');
  const { commit, round, votesAncestries } = decoded;
  return {
    round: round.toNumber(),
    target: { number: commit.targetNumber.toNumber(), hash: commit.targetHash.toHex() },
    precommits: [...commit.precommits].map(({ precommit, signature, id }) => ({
      target: { number: precommit.targetNumber.toNumber(), hash: precommit.targetHash.toHex() },
      signature: signature.toHex(),
      id: id.toHex(),
    })),
    ancestries: [...votesAncestries].map(({ hash, parentHash }) => ({
      hash: hash.toHex(),
      parentHash: parentHash.toHex(),
    })),
  };
}

/** Whether OpenSSL finds the signature good, for this round and set. */
function signedFor({ target, signature, id }: Precommit, round: number, setId: number): boolean {
  const message = Buffer.alloc(1 + 32 + 4 + 8 + 8);
  message.writeUInt8(1, 0);
  message.write(target.hash.slice(2), 1, 'hex');
  message.writeUInt32LE(target.number, 33);
  message.writeBigUInt64LE(BigInt(round), 37);
  message.writeBigUInt64LE(BigInt(setId), 45);
  const x = Buffer.from(id.slice(2), 'hex').toString('base64url');
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
  return verify(null, message, key, Buffer.from(signature.slice(2), 'hex'));
}

/** Whether the headers lead from the vote's target back to what is finalized. */
function leadsTo({ target, ancestries }: Justification, from: string): boolean {
  let hash: string | undefined = from;
  while (hash !== undefined && hash !== target.hash)
    hash = ancestries.find((header) => header.hash === hash)?.parentHash;
  return hash === target.hash;
}

/** What is wrong with a justification for this set, in words; nothing, when it proves its target. */
export function faultsOf(
  justification: Justification,
  setId: number,
  authorities: readonly string[],
): string[] {
  const faults = new Set<string>();
  const signers = new Set<string>();
  for (const vote of justification.precommits) {
    if (!authorities.includes(vote.id)) faults.add('stranger');
    if (signers.has(vote.id)) faults.add('twice');
    if (!signedFor(vote, justification.round, setId)) faults.add('signature');
    else if (!leadsTo(justification, vote.target.hash)) faults.add('elsewhere');
    signers.add(vote.id);
  }
  if (signers.size * 3 <= authorities.length * 2) faults.add('too few');
  return [...faults].sort();
}

/** Public keys of a SCALE `Vec<(AuthorityId, u64)>`, in its order. */
export const authoritiesOf = (api: ApiPromise, hex: string): string[] =>
  [...api.createType('Vec<(AuthorityId, u64)>', hex)].map(([id]) => `0x${toHex(id.toU8a())}`);
