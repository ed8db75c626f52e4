import { equalBytes } from '../bytes/concat.ts';
import type { DkgScheme, Round } from './dkg-scheme.ts';
import { RecordReader, RecordWriter } from './record-codec.ts';

/** Proof that a dealer equivocated: two public messages of one round, both signed by it. */
export interface Equivocation {
  readonly first: Uint8Array;
  readonly second: Uint8Array;
}

/** `length ‖ first ‖ length ‖ second`. */
export const encodeEquivocation = ({ first, second }: Equivocation): Uint8Array =>
  new RecordWriter().bytes(first).bytes(second).finish();

/** Reads {@link encodeEquivocation}. @throws EvidenceError EPOCH_ENCODING. */
export function decodeEquivocation(bytes: Uint8Array): Equivocation {
  const reader = new RecordReader(bytes, 'equivocation');
  const first = reader.bytes(bytes.length);
  const second = reader.bytes(bytes.length);
  reader.end();
  return { first, second };
}

/** Whether the two messages differ and the dealer signed both. Then the proof convinces every verifier. */
export const provesEquivocation = (
  scheme: DkgScheme,
  round: Round,
  dealer: Uint8Array,
  { first, second }: Equivocation,
): boolean =>
  !equalBytes(first, second) &&
  scheme.checkPublic(round, dealer, first) &&
  scheme.checkPublic(round, dealer, second);
