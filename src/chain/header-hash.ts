import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import { headerFromJson } from './proof/header.ts';

/**
 * Hash of a header in the RPC's JSON form: BLAKE2b-256 of its SCALE encoding, as Substrate hashes blocks. The digest's
 * logs come SCALE-encoded, so nothing of the runtime's types is needed.
 * @throws ProblemError CHAIN_UNAVAILABLE when it is no header.
 */
export function headerHash(header: unknown): BlockHash {
  try {
    return headerFromJson(header).hash;
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause;
    const message = `the endpoint's answer is malformed: ${cause.message}`;
    throw new ProblemError('CHAIN_UNAVAILABLE', message, { cause });
  }
}
