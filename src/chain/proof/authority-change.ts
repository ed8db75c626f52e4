import type { Authority } from './authority-set.ts';
import type { Header } from './header.ts';
import { invalidProof } from './proof-errors.ts';
import { ProofReader } from './proof-reader.ts';

/** A change of the authority set that a header announces (`sp_consensus_grandpa::ConsensusLog`). */
export interface AuthorityChange {
  /** A scheduled change takes effect `delay` blocks after its block is final; a forced one without finality. */
  readonly kind: 'scheduled' | 'forced';
  readonly nextAuthorities: readonly Authority[];
  /** In blocks. */
  readonly delay: number;
}

const GRANDPA_ENGINE = 'FRNK';
const SCHEDULED_CHANGE = 1;
const FORCED_CHANGE = 2;
/** OnDisabled(u64), Pause(u32) and Resume(u32): clients ignore them. */
const IGNORED: readonly number[] = [3, 4, 5];
/** A public key and a weight. */
const AUTHORITY_BYTES = 32 + 8;
const WHAT = 'GRANDPA digest';

function readChange(reader: ProofReader, kind: AuthorityChange['kind']): AuthorityChange {
  // The median last finalized block: where the forced change counts from.
  if (kind === 'forced') reader.u32('median');
  const count = reader.count(AUTHORITY_BYTES, 'next authorities');
  const nextAuthorities = Array.from({ length: count }, () => ({
    publicKey: reader.take(32, 'authority'),
    weight: reader.u64('weight'),
  }));
  return { kind, nextAuthorities, delay: reader.u32('delay') };
}

function readLog(bytes: Uint8Array): AuthorityChange | undefined {
  const reader = new ProofReader(bytes, WHAT);
  const variant = reader.u8('variant');
  if (IGNORED.includes(variant)) return undefined;
  if (variant !== SCHEDULED_CHANGE && variant !== FORCED_CHANGE) {
    return reader.fail('variant', '1 to 5', String(variant));
  }
  const change = readChange(reader, variant === SCHEDULED_CHANGE ? 'scheduled' : 'forced');
  reader.end();
  return change;
}

/**
 * The change that a header announces; `undefined` when it announces none. A forced change wins over a scheduled one,
 * as in Substrate.
 * @throws EvidenceError CHAIN_PROOF_INVALID on a GRANDPA digest that does not decode, and on two changes of one kind.
 */
export function authorityChange(header: Header): AuthorityChange | undefined {
  const changes = header.digest.flatMap((item) => {
    if (item.kind !== 'consensus' || item.engine !== GRANDPA_ENGINE) return [];
    return readLog(item.bytes) ?? [];
  });
  const ofKind = (kind: AuthorityChange['kind']): AuthorityChange | undefined => {
    const [first, second] = changes.filter((change) => change.kind === kind);
    if (second !== undefined) throw invalidProof(WHAT, `${kind} change`, 'at most one a header', 'several');
    return first;
  };
  return ofKind('forced') ?? ofKind('scheduled');
}
