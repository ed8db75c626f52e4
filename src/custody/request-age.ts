import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import { DAY_MS, MINUTE_MS } from '../trust/section-values.ts';
import type { CustodyReport } from './request.ts';

/** Oldest request that is answered. Its one-time key lives in one process, which may wait for days for its custodians. */
export const MAX_REQUEST_AGE_MS = 7 * DAY_MS;
/** From this age on a custodian is warned. */
const OLD_REQUEST_MS = DAY_MS;
/** How far the clock of the node may be ahead of the custodian's. */
const MAX_AHEAD_MS = 60 * MINUTE_MS;

/** The times in a request: when it was made by the node's clock, and the time of the newest block that the node knew. */
export type RequestTimes = Pick<CustodyReport, 'madeAtMs' | 'blockAtMs'>;

/**
 * Judges the age of a request by the custodian's own clock. The host sets the clock of the node, and can keep new blocks
 * from it; it cannot make a block of a later time. After a blackout the chain itself may have stood still, so an old block
 * is no reason to refuse.
 * @returns warnings.
 * @throws RefusalError CUSTODY_REQUEST_OLD; EvidenceError CUSTODY_CLOCKS_DIFFER for a request from the future.
 */
export function judgeAge({ madeAtMs, blockAtMs }: RequestTimes, nowMs: number): readonly string[] {
  const latestMs = Math.max(madeAtMs, blockAtMs ?? 0);
  if (latestMs > nowMs + MAX_AHEAD_MS) {
    throw new EvidenceError('CUSTODY_CLOCKS_DIFFER', 'the request is dated after the time of this computer', {
      field: 'madeAtMs',
      expected: `at most ${inWords(MAX_AHEAD_MS)} after ${dateOf(nowMs)}`,
      observed: dateOf(latestMs),
      hint: 'compare both clocks with a third one; correct this computer’s (or --now), or let the operator correct the node’s and make a new request',
    });
  }
  const ageMs = nowMs - madeAtMs;
  if (ageMs > MAX_REQUEST_AGE_MS) {
    throw new RefusalError('CUSTODY_REQUEST_OLD', `the request was made ${inWords(ageMs)} ago`, {
      field: 'madeAtMs',
      expected: `at most ${inWords(MAX_REQUEST_AGE_MS)} before ${dateOf(nowMs)}`,
      observed: dateOf(madeAtMs),
      hint: 'ask the operator for a new one: `latchkey custody request`',
    });
  }
  const blockAgeMs = blockAtMs === undefined ? 0 : nowMs - blockAtMs;
  return [
    ...(ageMs > OLD_REQUEST_MS ? [`the request is ${inWords(ageMs)} old: is this store still locked?`] : []),
    ...(blockAgeMs > OLD_REQUEST_MS
      ? [
          `the newest block that the node knew is ${inWords(blockAgeMs)} old: the chain stood still, or the host keeps new blocks from the node, or the request is older than it says`,
        ]
      : []),
  ];
}

/** A line about the age of a request, by the custodian's clock. */
export const ageLine = ({ madeAtMs }: RequestTimes, nowMs: number): string =>
  `${dateOf(madeAtMs)}, ${nowMs < madeAtMs ? 'just now' : `${inWords(nowMs - madeAtMs)} ago`} by the clock of this computer`;

/** A date for people, UTC. */
export const dateOf = (timeMs: number): string =>
  `${new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

const HOUR_MS = 60 * MINUTE_MS;

/** A duration in its largest unit that is whole. */
function inWords(durationMs: number): string {
  const [unit, unitMs] =
    durationMs >= 2 * DAY_MS
      ? (['days', DAY_MS] as const)
      : durationMs >= 2 * HOUR_MS
        ? (['hours', HOUR_MS] as const)
        : (['minutes', MINUTE_MS] as const);
  return `${Math.floor(durationMs / unitMs)} ${unit}`;
}
