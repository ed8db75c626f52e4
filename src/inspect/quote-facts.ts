import { toHex } from '../bytes/hex.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { policyRules, type TdPolicy } from '../tdx/policy.ts';
import type { Quote } from '../tdx/quote.ts';
import type { ChainOptions, QuoteVerifier, VerifiedQuote, VerifyOptions } from '../tdx/verify-quote.ts';
import { reportVersion } from './describe-quote.ts';

/** One line of a report. */
export interface Fact {
  readonly mark: 'holds' | 'fails' | 'open';
  readonly text: string;
}

/** What a report is about. */
export interface ReportInput {
  readonly verifier: QuoteVerifier;
  readonly quote: Quote;
  readonly options: VerifyOptions;
  readonly policy: TdPolicy;
}

const day = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

/** The facts of a whole verification: those of the evidence, then the rules of the policy. */
export function quoteFacts({ verifier, quote, options, policy }: ReportInput): {
  readonly evidence: readonly Fact[];
  readonly policy: readonly Fact[];
} {
  const verified = tryStep(() => verifier.verify(quote, options));
  const rules = policyRules.map(({ title, check }): Fact => {
    if (!verified.ok) return { mark: 'open', text: title };
    const checked = tryStep(() => check(verified.value, policy, options.nowMs));
    return {
      mark: checked.ok ? 'holds' : 'fails',
      text: checked.ok ? title : `${title}: ${checked.error.message}`,
    };
  });
  return { evidence: [structureFact(quote), ...evidenceFacts(verifier, quote, options)], policy: rules };
}

/** The facts of a verification without collateral: structure and signatures. */
export const signatureFacts = (verifier: QuoteVerifier, quote: Quote, nowMs: number): readonly Fact[] => [
  structureFact(quote),
  chainFact(verifier, quote, nowMs),
];

type Step<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: LatchkeyError };

function tryStep<Value>(step: () => Value): Step<Value> {
  try {
    return { ok: true, value: step() };
  } catch (error) {
    if (error instanceof LatchkeyError) return { ok: false, error };
    throw error;
  }
}

const factOf = <Value>(step: Step<Value>, title: string, describe: (value: Value) => string): Fact =>
  step.ok
    ? { mark: 'holds', text: `${title}: ${describe(step.value)}` }
    : { mark: 'fails', text: `${title}: ${step.error.code}: ${step.error.message}` };

function structureFact(quote: Quote): Fact {
  const padding =
    quote.trailingByteLength === 0
      ? ''
      : `, ${quote.trailingByteLength} zero bytes of padding after it (ignored)`;
  return {
    mark: 'holds',
    text: `structure: TDX quote version ${quote.version}, TD report ${reportVersion[quote.bodyType]}${padding}`,
  };
}

function chainFact(
  verifier: QuoteVerifier,
  quote: Quote,
  nowMs: number,
  given: Pick<ChainOptions, 'pckCertificateChain'> = {},
): Fact {
  const root = verifier.trustRoot.isIntel ? 'Intel SGX Root CA' : 'the INJECTED, INSECURE root';
  return factOf(
    tryStep(() => verifier.verifyChainOnly(quote, { nowMs, ...given })),
    'signatures',
    ({ platform }) =>
      `quote ← attestation key ← QE report ← PCK ${platform.pckSerialNumber} ← ${platform.ca} CA ← ${root}`,
  );
}

function evidenceFacts(verifier: QuoteVerifier, quote: Quote, options: VerifyOptions): readonly Fact[] {
  const { pck_certificate_chain: pckCertificateChain } = options.collateral;
  const collateral = tryStep(() => verifier.checkCollateral(options.collateral, options));
  const verified = tryStep(() => verifier.verify(quote, options));
  return [
    factOf(
      collateral,
      'collateral',
      ({ fmspc, tcbEvaluationDataNumber, validFromMs, validUntilMs, state }) =>
        `signed; FMSPC ${toHex(fmspc)}, evaluation data ${tcbEvaluationDataNumber}, ` +
        `valid ${day(validFromMs)} to ${day(validUntilMs)} (${state})`,
    ),
    chainFact(
      verifier,
      quote,
      options.nowMs,
      pckCertificateChain === undefined ? {} : { pckCertificateChain },
    ),
    collateral.ok
      ? factOf(verified, 'platform, quoting enclave, TDX module and TCB level', describeVerified)
      : { mark: 'open', text: 'platform, quoting enclave, TDX module and TCB level' },
  ];
}

function describeVerified({ tcbStatus, tcbDateMs, advisoryIds, currentTcb }: VerifiedQuote): string {
  const advisories = advisoryIds.length === 0 ? '' : `; ${advisoryIds.join(', ')}`;
  const current =
    currentTcb === undefined || currentTcb.tcbStatus === tcbStatus
      ? ''
      : `; the TCB that is loaded now: ${currentTcb.tcbStatus}`;
  return `not revoked; ${tcbStatus} as of ${day(tcbDateMs)}${advisories}${current}`;
}
