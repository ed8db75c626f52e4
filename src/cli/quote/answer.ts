import { toHex } from '../../bytes/hex.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { hexFields } from '../../inspect/describe-quote.ts';
import { applyPolicy, requireNotDebug, type TdPolicy } from '../../tdx/policy.ts';
import type { Quote } from '../../tdx/quote.ts';
import type { TcbStatus } from '../../tdx/tcb-status.ts';
import type {
  ChainVerifiedQuote,
  QuoteVerifier,
  VerifiedQuote,
  VerifyOptions,
} from '../../tdx/verify-quote.ts';

/** The result of a verification. */
export type Outcome =
  | { readonly ok: true; readonly verified: VerifiedQuote }
  | { readonly ok: true; readonly verified: undefined; readonly chainVerified: ChainVerifiedQuote }
  | { readonly ok: false; readonly error: LatchkeyError; readonly tcbStatus?: TcbStatus };

/** Verifies and applies the policy; every error of ours becomes part of the outcome. */
export function decide(
  verifier: QuoteVerifier,
  quote: Quote,
  options: VerifyOptions,
  policy: TdPolicy,
): Outcome {
  let tcbStatus: TcbStatus | undefined;
  try {
    const verified = verifier.verify(quote, options);
    tcbStatus = verified.tcbStatus;
    applyPolicy(verified, policy, options.nowMs);
    return { ok: true, verified };
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error;
    return tcbStatus === undefined ? { ok: false, error } : { ok: false, error, tcbStatus };
  }
}

/** Verifies chain and signatures only, and refuses a debug TD. */
export function decideChainOnly(verifier: QuoteVerifier, quote: Quote, nowMs: number): Outcome {
  try {
    const chainVerified = verifier.verifyChainOnly(quote, { nowMs });
    requireNotDebug(quote);
    return { ok: true, verified: undefined, chainVerified };
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error;
    return { ok: false, error };
  }
}

/** An answer as JSON; `id` first where there is one. */
export type Answer = Readonly<Record<string, unknown>>;

/** The JSON answer to a verification. */
export function answerOf(outcome: Outcome): Answer {
  if (!outcome.ok) return failureAnswer(outcome.error, outcome.tcbStatus);
  if (outcome.verified === undefined)
    return { ok: true, chainOnly: true, ...signedFacts(outcome.chainVerified) };
  const { verified } = outcome;
  return {
    ok: true,
    tcbStatus: verified.tcbStatus,
    advisoryIds: verified.advisoryIds,
    tcbDate: isoDate(verified.tcbDateMs),
    tcbEvaluationDataNumber: verified.tcbEvaluationDataNumber,
    evaluationNumbers: verified.collateral.evaluationNumbers,
    currentTcbStatus: verified.currentTcb?.tcbStatus,
    collateral: { state: verified.collateral.state, validUntil: isoDate(verified.collateral.validUntilMs) },
    ...signedFacts(verified),
    shortfalls: verified.shortfalls.map(({ part, required, observed, shortBy, level }) => {
      return {
        part,
        required,
        observed,
        shortBy,
        level: { status: level.status, tcbDate: isoDate(level.tcbDateMs) },
      };
    }),
  };
}

/** The JSON answer to anything that failed. */
export function failureAnswer(error: LatchkeyError, tcbStatus?: TcbStatus): Answer {
  const { code, message: detail, field, expected, observed, hint } = error;
  return { ok: false, code, detail, tcbStatus, field, expected, observed, hint };
}

const isoDate = (timeMs: number): string => new Date(timeMs).toISOString();

function signedFacts({ quote, platform, isIntelRooted }: VerifiedQuote | ChainVerifiedQuote): Answer {
  return {
    root: isIntelRooted ? 'intel' : 'insecure',
    platform: {
      ppid: toHex(platform.ppid),
      fmspc: toHex(platform.fmspc),
      pceId: toHex(platform.pceId),
      ca: platform.ca,
      pckSerialNumber: platform.pckSerialNumber,
    },
    measurements: { ...hexFields(quote.body), ...hexFields(quote.body.extension ?? {}) },
    trailingZeroBytes: quote.trailingByteLength,
  };
}
