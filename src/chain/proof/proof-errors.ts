import { EvidenceError } from '../../errors/latchkey-error.ts';

/** Evidence that is malformed or contradicts itself. `what` is the document, `field` the place in it. */
export function invalidProof(what: string, field: string, expected: string, observed: string): EvidenceError {
  return new EvidenceError('CHAIN_PROOF_INVALID', `${what}: ${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}

/** Well-formed evidence that does not prove finality by the authority set that was reached, or none at all. */
export function unproven(message: string, expected: string, observed: string): EvidenceError {
  return new EvidenceError('CHAIN_FINALITY_UNPROVEN', message, { expected, observed });
}
