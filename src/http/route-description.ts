import type { z } from 'zod';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';

/** One route of the open port, as it is described to tools. */
export interface RouteDescription {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  /** Media type of a body that is no JSON. */
  readonly bodyBytes?: string;
  /** Parameters of the query, each a text. */
  readonly query?: readonly {
    readonly name: string;
    readonly description: string;
    readonly required?: false;
  }[];
  /** JSON of the answer; absent where the answer is empty or no JSON. */
  readonly answer?: z.ZodType;
  /** Media type of an answer that is no JSON. */
  readonly bytes?: string;
  /** Codes that this route adds to those of every route. */
  readonly codes?: readonly ErrorCode[];
}

/** Codes of every route that gives a key for a quote: those of the judge, and of the verifier (status 422). */
export const quotedCodes: readonly ErrorCode[] = [
  ...(['TD_DEBUG', 'TD_ATTRIBUTES_REFUSED', 'XFAM_REFUSED', 'SERVICE_TD_REFUSED'] as const),
  ...(['TCB_REVOKED', 'TCB_STATUS_REFUSED', 'ADVISORY_REFUSED', 'MEASUREMENT_REFUSED'] as const),
  ...(['TRUST_SECTION_REFUSED', 'ACCOUNT_DEREGISTERED', 'PLATFORM_REFUSED', 'PLATFORM_LIMIT'] as const),
  ...(['KEY_UNKNOWN', 'SERVER_BUSY', 'NODE_LOCKED', 'COLLATERAL_UNAVAILABLE', 'CHAIN_UNAVAILABLE'] as const),
  ...Object.keys(errorCodes).filter(isBadEvidence),
];

/** Object.keys forgets the type of the keys, which is ErrorCode. */
function isBadEvidence(code: string): code is ErrorCode {
  return code in errorCodes && errorCodes[code as ErrorCode].status === 422;
}
