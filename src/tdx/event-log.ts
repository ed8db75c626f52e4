import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { sha384 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { frozenWithJson } from './printable.ts';
import type { TdReport } from './td-report.ts';

/** Bytes of a runtime measurement register: SHA-384. */
export const RTMR_BYTES = 48;

/** The registers that a TD extends at run time, in their order. */
export const rtmrNames = ['rtMr0', 'rtMr1', 'rtMr2', 'rtMr3'] as const;
/** Name of a runtime measurement register. */
export type RtmrName = (typeof rtmrNames)[number];

/** One event that extended a register. */
export interface MeasuredEvent {
  readonly register: RtmrName;
  /** Type number of the TCG's profile, or of the program that wrote the log. */
  readonly type: number;
  /** 48 bytes, SHA-384: what the register was extended with. */
  readonly digest: Uint8Array;
  /** The name of the event, where the log has one. */
  readonly name: string | undefined;
  /** What the log says was measured. A register vouches for the digest only. */
  readonly content: Uint8Array;
  /** Whether the digest is the hash of the content, so that the register vouches for the content too. */
  readonly isContentMeasured: boolean;
}

/** Values of the four registers. */
export type Rtmrs = Readonly<Record<RtmrName, Uint8Array>>;

/**
 * The values that the registers have after these events: each begins with zeros, and each event makes
 * SHA-384(register ‖ digest) of it.
 */
export function replayEvents(events: readonly MeasuredEvent[]): Rtmrs {
  const registers: Record<RtmrName, Uint8Array> = {
    rtMr0: new Uint8Array(RTMR_BYTES),
    rtMr1: new Uint8Array(RTMR_BYTES),
    rtMr2: new Uint8Array(RTMR_BYTES),
    rtMr3: new Uint8Array(RTMR_BYTES),
  };
  for (const { register, digest } of events) registers[register] = sha384(registers[register], digest);
  return frozenWithJson(registers);
}

/**
 * Requires that events lead to exactly the register values of a report. Verify the quote first: this says nothing about
 * who made the report.
 * @param registers those to compare; by default all four. A log of the firmware alone (CCEL) does not have the later
 *   events of RTMR2 and RTMR3.
 * @throws EvidenceError EVENT_LOG_MISMATCH naming the first register that differs.
 */
export function requireEvents(
  report: Pick<TdReport, RtmrName>,
  events: readonly MeasuredEvent[],
  registers: readonly RtmrName[] = rtmrNames,
): void {
  const replayed = replayEvents(events);
  for (const name of registers) {
    if (equalBytes(replayed[name], report[name])) continue;
    const expected = `${toHex(report[name])}, as the quote says`;
    const observed = toHex(replayed[name]);
    throw new EvidenceError('EVENT_LOG_MISMATCH', `the event log gives another ${name} than the quote`, {
      field: name,
      expected,
      observed,
      hint: 'the log is incomplete, has a changed event, or belongs to another boot',
    });
  }
}
