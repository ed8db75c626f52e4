import { equalBytes } from '../bytes/concat.ts';
import { ReportData } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { TcbGrace, withinGrace } from '../keyserver/tcb-grace.ts';
import { EvidenceVerifier } from '../keyserver/verify.ts';
import { applyPolicy } from '../tdx/policy.ts';
import { parseQuote } from '../tdx/quote.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import { orAborted } from '../time/or-aborted.ts';
import { measurementId } from '../trust/measurement.ts';
import { platformHash } from '../trust/platform-lists.ts';
import { judgeOwnTrustHash } from '../trust/trust-hash.ts';
import { type TrustSection, tdPolicyOf } from '../trust/trust-section.ts';
import type { NodeParts } from './parts.ts';

/** The facts about this machine from its own quote. */
export interface OwnMachine {
  /** BLAKE2b-256 of its measurement registers. */
  readonly measurement: Uint8Array;
  /** PPID of its platform, 16 bytes. */
  readonly ppid: Uint8Array;
  /** For logs: the measurement, what MRCONFIGID is, and SHA-256 of the PPID. */
  readonly description: Readonly<Record<string, string>>;
}

/** The parts that the self-check uses. */
export type SelfCheckParts = Pick<NodeParts, 'quotes' | 'random' | 'clock' | 'verifier' | 'collateral'>;

/**
 * Quotes the own machine once at start and verifies that quote like any other: the host may have made it. Its
 * measurement is what this node accepts of others, and its MRCONFIGID must be the hash of the trust section, or the
 * host has given the node another configuration than the measured one.
 * @throws ProblemError TRUST_HASH_MISMATCH, OWN_QUOTE_REFUSED, QUOTE_SOURCE_UNAVAILABLE, COLLATERAL_UNAVAILABLE.
 */
export async function examineOwnMachine(parts: SelfCheckParts, trust: TrustSection): Promise<OwnMachine> {
  const { quotes, random, verifier, collateral, clock } = parts;
  const reportData = ReportData.of(random(ReportData.byteLength));
  const quote = parseQuote(await quotes.quote(reportData), { trailing: 'allow-zero-padding' });
  const { body } = quote;
  if (!equalBytes(body.reportData, reportData)) {
    throw refused('it does not contain the report data that was asked for');
  }
  judgeOwnTrustHash(trust, body.mrConfigId);
  const evidenceVerifier = new EvidenceVerifier({ verifier, collateral, now: () => clock.nowMs() });
  const verified = await evidenceVerifier.verify(quote).catch((error: unknown) => {
    // Missing collateral proves nothing against the quote: its own error says that a retry helps.
    if (!(error instanceof LatchkeyError) || error instanceof ProblemError) throw error;
    throw refused(`${error.code}: ${error.message}`, error);
  });
  requireOwnTcb(verified, trust, clock.nowMs());
  const measurement = measurementId(body);
  const { ppid } = verified.platform;
  return {
    measurement,
    ppid,
    description: {
      measurement: toPrefixedHex(measurement),
      mrConfigId: toPrefixedHex(body.mrConfigId),
      platform: toPrefixedHex(platformHash(ppid)),
    },
  };
}

/** An out-of-date TCB has the grace of a recovery: a patch day must not lock the own disk. */
function requireOwnTcb(verified: VerifiedQuote, trust: TrustSection, nowMs: number): void {
  const policy = tdPolicyOf(trust);
  const grace = new TcbGrace({ graceMs: trust.freshness.tcbGraceMs });
  grace.observe(verified, nowMs);
  try {
    applyPolicy(verified, policy, nowMs);
  } catch (refusal) {
    if (!(refusal instanceof LatchkeyError)) throw refusal;
    if (withinGrace(refusal, verified, policy, grace, nowMs)) return;
    throw refused(`${refusal.code}: ${refusal.message}`, refusal);
  }
}

const refused = (reason: string, cause?: unknown): ProblemError =>
  new ProblemError('OWN_QUOTE_REFUSED', `the quote of this machine is refused: ${reason}`, {
    field: 'own quote',
    hint: 'peers would refuse it for the same reason; `latchkey quote verify` says more',
    cause,
  });

/** Between two examinations while they fail; each takes a quote, so the pause doubles up to the second number. */
const RETRY_MS = 2_000;
const MAX_RETRY_MS = 30_000;

/**
 * Tries until this machine satisfies its own trust section.
 * @param onRefused told why an attempt failed.
 * @returns `undefined` when the signal aborted before.
 */
export async function examineUntilGood(
  parts: SelfCheckParts & Pick<NodeParts, 'log'> & Partial<Pick<NodeParts, 'mainLoop'>>,
  trust: TrustSection,
  signal: AbortSignal,
  onRefused: (reason: string) => void,
): Promise<OwnMachine | undefined> {
  const { clock, log, mainLoop } = parts;
  const examine = () => orAborted(examineOwnMachine(parts, trust), signal);
  for (let pauseMs = RETRY_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_RETRY_MS)) {
    try {
      const machine = await (mainLoop?.turn(examine) ?? examine());
      log('info', 'machine.examined', machine.description);
      return machine;
    } catch (error) {
      if (signal.aborted) break;
      const reason = error instanceof Error ? error.message : String(error);
      const hashes =
        error instanceof LatchkeyError && error.code === 'TRUST_HASH_MISMATCH'
          ? { trustHash: error.expected, mrConfigId: error.observed }
          : {};
      log('error', 'machine.refused', { reason, ...hashes });
      onRefused(reason);
      await clock.sleep(pauseMs, signal);
    }
  }
  return undefined;
}
