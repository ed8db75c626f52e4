import { equalBytes } from '../../bytes/concat.ts';
import { type Header, LEAST_HEADER_BYTES, readHeader } from './header.ts';
import { decodeJustification, type Justification } from './justification.ts';
import { invalidProof } from './proof-errors.ts';
import { ProofReader } from './proof-reader.ts';

/** The answer of `grandpa_proveFinality`, consistent in itself; the signers are not checked yet. */
export interface FinalityProof {
  readonly justification: Justification;
  /** Whether it brings headers; without any, the justified block is the one that was asked for. */
  readonly hasHeaders: boolean;
  /**
   * Headers after the block that was asked for, each the child of the one before it; the last is the justified block.
   * They take long to hash, so they are decoded here and not before the votes were found to be good.
   * @throws EvidenceError CHAIN_PROOF_INVALID.
   */
  unknownHeaders(): UnknownHeaders;
}

/** At least one header. */
export interface UnknownHeaders {
  readonly before: readonly Header[];
  readonly last: Header;
}

/** Largest answer that is decoded: an authority set of 2400 blocks has headers of about 700 kB. */
export const MAX_FINALITY_PROOF_BYTES = 16 * 1024 * 1024;

const WHAT = 'finality proof';

/**
 * Decodes `sc_consensus_grandpa::FinalityProof` (block, justification, unknown headers).
 * @throws EvidenceError CHAIN_PROOF_INVALID when it does not decode, the justification is for another block than it
 *   says, or the headers are no chain that ends in that block.
 */
export function decodeFinalityProof(bytes: Uint8Array): FinalityProof {
  const reader = new ProofReader(bytes, WHAT);
  if (bytes.length > MAX_FINALITY_PROOF_BYTES) {
    reader.fail('length', `at most ${MAX_FINALITY_PROOF_BYTES} bytes`, `${bytes.length} bytes`);
  }
  const block = reader.take(32, 'block');
  const justification = decodeJustification(reader.byteString('justification'));
  if (!equalBytes(block, justification.targetHash)) {
    throw invalidProof(WHAT, 'block', 'the target of the justification', 'another block');
  }
  return {
    justification,
    // A count of none is one zero byte, and nothing may follow it.
    hasHeaders: !equalBytes(reader.rest(), Uint8Array.of(0)),
    unknownHeaders: () => {
      const headers = new ProofReader(reader.rest(), WHAT);
      const count = headers.count(LEAST_HEADER_BYTES, 'unknown_headers');
      const before = Array.from({ length: count - 1 }, () => readHeader(headers));
      const last = readHeader(headers);
      headers.end();
      requireChain([...before, last], justification);
      return { before, last };
    },
  };
}

/** Walks back from the justified block: every header must be the parent of the one after it. */
function requireChain(headers: readonly Header[], justification: Justification): void {
  let hash: Uint8Array = justification.targetHash;
  let number = justification.targetNumber;
  for (const header of headers.toReversed()) {
    if (!equalBytes(header.hash, hash) || header.number !== number) {
      throw invalidProof(WHAT, 'unknown_headers', `block ${number} of the chain`, `block ${header.number}`);
    }
    hash = header.parentHash;
    number -= 1;
  }
}
