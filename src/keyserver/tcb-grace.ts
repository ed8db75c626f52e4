import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { TdPolicy } from '../tdx/policy.ts';
import { applyPolicy } from '../tdx/policy.ts';
import type { MatchedLevel, MatchedLevels } from '../tdx/tcb-level.ts';
import { outOfDateStatuses } from '../tdx/tcb-status.ts';
import type { EvaluationNumbers, VerifiedQuote } from '../tdx/verify-quote.ts';

type Document = keyof EvaluationNumbers;

interface Seen {
  /** The first verdict by these documents. */
  readonly verified: VerifiedQuote;
  readonly atMs: number;
}

/**
 * Remembers when each TCB evaluation was first seen, so that a grace can count from the one that made a machine out of
 * date. Later evaluations begin no new grace: a service that gives out Intel's early one must not open again what was
 * closed. TCB info and QE identity count by themselves: Intel may publish those of one evaluation at different times.
 */
export class TcbGrace {
  /** Intel signs few evaluations, so these stay few. */
  readonly #seen = new Map<string, Seen>();
  readonly #graceMs: number;

  /**
   * The memory starts empty with every process, and so do the keys: `create` has no grace, so a key that is recovered
   * within a grace was made by this process while its machine was up to date.
   */
  constructor(options: { readonly graceMs: number }) {
    this.#graceMs = options.graceMs;
  }

  observe(verified: VerifiedQuote, nowMs: number): void {
    const { tcbInfo, qeIdentity } = verified.collateral.evaluationNumbers;
    const name = `${toHex(verified.platform.fmspc)} ${tcbInfo} ${qeIdentity}`;
    if (!this.#seen.has(name)) this.#seen.set(name, { verified, atMs: nowMs });
  }

  /** Whether the grace since the first evaluation by which this document made the machine out of date is still running. */
  isRunning(document: Document, verified: VerifiedQuote, nowMs: number): boolean {
    const outdating = [...this.#seen.values()].filter((seen) =>
      isOutdatedBy(document, verified, seen.verified),
    );
    return outdating.length > 0 && outdating.every(({ atMs }) => nowMs - atMs < this.#graceMs);
  }
}

/** Whether a document of another verdict has the same number, or has made this machine out of date too. */
function isOutdatedBy(document: Document, verified: VerifiedQuote, other: VerifiedQuote): boolean {
  const numberOf = ({ collateral }: VerifiedQuote): number => collateral.evaluationNumbers[document];
  if (numberOf(verified) === numberOf(other)) return true;
  // TCB info is about one FMSPC.
  if (document === 'tcbInfo' && !equalBytes(verified.platform.fmspc, other.platform.fmspc)) return false;
  const levels = verified.levelsBy(document, other);
  return levels !== undefined && outdatingDocuments(levels).includes(document);
}

/** The documents by which a machine is out of date. */
function outdatingDocuments({ platform, tdxModule, quotingEnclave }: MatchedLevels): readonly Document[] {
  const isOutdated = (level: MatchedLevel | undefined): boolean =>
    outOfDateStatuses.some((status) => status === level?.status);
  return [
    ...(isOutdated(platform) || isOutdated(tdxModule) ? (['tcbInfo'] as const) : []),
    ...(isOutdated(quotingEnclave) ? (['qeIdentity'] as const) : []),
  ];
}

/**
 * Whether a recovery may pass although the policy refuses it: the only fault is a TCB that was out of date at the launch,
 * and the first TCB evaluation that said so is recent. A patch day must not lock nodes out of their disks.
 */
export function withinGrace(
  refusal: unknown,
  verified: VerifiedQuote,
  policy: TdPolicy,
  grace: TcbGrace,
  nowMs: number,
): boolean {
  if (!(refusal instanceof LatchkeyError) || refusal.code !== 'TCB_STATUS_REFUSED') return false;
  const status = outOfDateStatuses.find((candidate) => candidate === verified.tcbStatus);
  if (status === undefined) return false;
  for (const document of outdatingDocuments(verified.levels)) {
    if (!grace.isRunning(document, verified, nowMs)) return false;
  }
  // Everything else that the policy demands must still hold.
  applyPolicy(verified, { ...policy, acceptedTcbStatuses: [...policy.acceptedTcbStatuses, status] }, nowMs);
  return true;
}
