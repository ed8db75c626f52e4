import type { CodeEntry } from './code-entry.ts';

/** Codes of chain reads. */
export const chainCodes = {
  CHAIN_UNAVAILABLE: { status: 503, summary: 'The chain cannot be read now.' },
  CHAIN_STALE: {
    status: 503,
    summary:
      'The newest proven block is too old: the chain stands still, blocks are withheld, or the clock is wrong.',
  },
  CHAIN_GENESIS_MISMATCH: {
    status: 503,
    summary: 'The endpoint serves another chain than the one that was configured or seen before.',
  },
  CHAIN_SHAPE_UNKNOWN: {
    status: 503,
    summary:
      "The chain's runtime stores validators, servers or measurements in a form this version cannot read.",
  },
  CHAIN_DISAGREEMENT: {
    status: 503,
    summary: 'Too few endpoints agree on the finalized state, or the finalized history changed.',
  },
  CHAIN_PROOF_INVALID: {
    status: 503,
    summary: 'A proof of finality or of storage is malformed, incomplete, or contradicts itself.',
  },
  CHAIN_FINALITY_UNPROVEN: {
    status: 503,
    summary: 'The endpoint does not prove by the known authority set that the block is final.',
  },
  CHAIN_AUTHORITIES_UNKNOWN: {
    status: 503,
    summary:
      'The chain changed its authorities in a way that is not followed (delayed or forced); a newer checkpoint is needed.',
  },
} as const satisfies Record<string, CodeEntry>;
