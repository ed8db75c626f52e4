import { parsePrefixedHex } from '../bytes/hex.ts';
import type { RefusalError } from '../errors/latchkey-error.ts';
import { measurementName, trustHashName } from '../fleet/delayed-entries.ts';
import type { Judge } from '../keyserver/judge.ts';
import type { FleetWatch } from './fleet-watch.ts';

/** The last time that has a date (ECMA-262, 21.4.1.1). */
const LAST_DATE_MS = 8.64e15;

/** What this node would say to a machine, of its trust section or of its image. */
export interface AcceptanceVerdict {
  readonly accepted: boolean;
  readonly code?: string;
  readonly detail?: string;
  /** When the fleet manifest will allow it, if nothing changes: ISO 8601, by the time of the chain. */
  readonly from?: string;
}

/** Answer of `GET /accepts`. */
export interface Acceptance {
  readonly trustHash?: AcceptanceVerdict;
  readonly measurement?: AcceptanceVerdict;
}

/**
 * Whether this node would give keys to a machine under a trust section, and of an image. It shows what every refusal and
 * every manifest show already; the asker has to know the hash.
 * @param asked `0x` hex: the trust hash of 48 bytes, the measurement id of 32 bytes.
 * @throws EvidenceError FIELD_INVALID.
 */
export function acceptanceOf(
  judge: Judge,
  fleet: FleetWatch | undefined,
  asked: { readonly trustHash?: string | undefined; readonly measurement?: string | undefined },
): Acceptance {
  const { trustHash, measurement } = asked;
  const named = {
    ...(trustHash === undefined ? {} : { trustHash: parsePrefixedHex(trustHash, 48, 'trustHash') }),
    ...(measurement === undefined ? {} : { measurement: parsePrefixedHex(measurement, 32, 'measurement') }),
  };
  const refusals = judge.refusalsOf(named);
  return {
    ...(trustHash === undefined
      ? {}
      : { trustHash: verdictOf(refusals.trustHash, fleet?.startOf(trustHashName(trustHash))) }),
    ...(measurement === undefined
      ? {}
      : { measurement: verdictOf(refusals.measurement, fleet?.startOf(measurementName(measurement))) }),
  };
}

function verdictOf(refusal: RefusalError | undefined, fromMs: number | undefined): AcceptanceVerdict {
  if (refusal === undefined) return { accepted: true };
  const { code, message: detail } = refusal;
  return {
    accepted: false,
    code,
    detail,
    ...(fromMs === undefined || fromMs > LAST_DATE_MS ? {} : { from: new Date(fromMs).toISOString() }),
  };
}
