import { equalBytes } from '../bytes/concat.ts';
import type { PlatformHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { EvidenceError, LatchkeyError, RefusalError } from '../errors/latchkey-error.ts';
import type { FleetInForce } from '../fleet/in-force.ts';
import { stricterPolicy } from '../fleet/stricter-policy.ts';
import type { CollateralDocuments } from '../tdx/collateral.ts';
import { applyPolicy } from '../tdx/policy.ts';
import { parseQuote } from '../tdx/quote.ts';
import { outOfDateStatuses } from '../tdx/tcb-status.ts';
import type { QuoteVerifier, VerifiedQuote } from '../tdx/verify-quote.ts';
import { custodySetDigest, custodySetOf } from '../trust/custody-set.ts';
import { acceptedMeasurementIds, measurementId } from '../trust/measurement.ts';
import { noPlatformLists, PlatformLists } from '../trust/platform-lists.ts';
import { PlatformRules } from '../trust/platform-rules.ts';
import { judgeTrustHash } from '../trust/trust-hash.ts';
import { hasAuthority, measurementPolicyOf, type TrustSection, tdPolicyOf } from '../trust/trust-section.ts';
import { type CustodyRequest, custodyReportData } from './request.ts';
import { judgeAge } from './request-age.ts';

/** What a custodian knows without the node: his own copies, and his own clock. */
export interface CustodianKnowledge {
  readonly trust: TrustSection;
  /** Ids of images that the custodian knows to be the fleet's, 32 bytes each, in addition to those that the section pins. */
  readonly measurements: readonly Uint8Array[];
  readonly verifier: QuoteVerifier;
  readonly collateral: CollateralDocuments;
  readonly nowMs: number;
  /** The custodian's copy of the fleet manifest; absent when he has none. */
  readonly manifest?: KnownManifest | undefined;
  /** A platform, SHA-256(PPID), that the custodian accepts although the parts were made on another one. */
  readonly acceptedPlatform?: PlatformHash | undefined;
}

/** What a custodian's copy of the fleet manifest says at his time. */
export interface KnownManifest {
  readonly serial: number;
  readonly issuedAtMs: number;
  /** Whether another manifest of the same serial was among the copies. */
  readonly isDisputed: boolean;
  readonly inForce: FleetInForce;
}

const proofKey = Symbol('judgeRequest');

/**
 * Proof that a genuine machine asks, which runs an accepted image under the custodian's trust section. Made by
 * {@link judgeRequest} only.
 */
export class JudgedCustodyRequest {
  readonly #proof = true;
  readonly request: CustodyRequest;
  readonly verified: VerifiedQuote;
  /** Id of the image, 32 bytes. */
  readonly measurement: Uint8Array;
  /** Sentences about what is unusual and does not forbid an answer. */
  readonly warnings: readonly string[];
  /** The custodian's time at which it was judged, in milliseconds. */
  readonly judgedAtMs: number;
  /** The rules about platforms, by the custodian's copies: to be asked with the part (`judgePlatform`). */
  readonly platforms: PlatformRules;
  readonly acceptedPlatform: PlatformHash | undefined;
  readonly manifest: KnownManifest | undefined;

  constructor(
    key: typeof proofKey,
    request: CustodyRequest,
    facts: Pick<JudgedCustodyRequest, 'verified' | 'measurement' | 'warnings'>,
    { trust, nowMs, manifest, acceptedPlatform }: CustodianKnowledge,
  ) {
    if (key !== proofKey) throw new TypeError('a JudgedCustodyRequest is made by judgeRequest only');
    this.request = request;
    this.verified = facts.verified;
    this.measurement = facts.measurement;
    this.warnings = facts.warnings;
    this.judgedAtMs = nowMs;
    this.manifest = manifest;
    this.acceptedPlatform = acceptedPlatform;
    const lists = manifest === undefined ? noPlatformLists : new PlatformLists(manifest.inForce);
    this.platforms = new PlatformRules(trust, () => lists);
    Object.freeze(this);
  }

  /** Whether a value is such a proof: the check at run time that the type makes at compile time. */
  static isProof(value: unknown): value is JudgedCustodyRequest {
    return typeof value === 'object' && value !== null && #proof in value && value.#proof;
  }
}

/**
 * Verifies a request completely: report data, quote, TCB, attributes, trust section, image, revoked platforms, age. The
 * custodian's own part is needed for the rest of the rules about platforms, which `makeAnswer` asks.
 * @throws EvidenceError REPORT_DATA_MISMATCH, CUSTODY_CLOCKS_DIFFER, and those of a quote; RefusalError of the TD policy,
 *   TRUST_SECTION_REFUSED, MEASUREMENT_REFUSED, PLATFORM_REVOKED, CUSTODY_REQUEST_OLD.
 */
export function judgeRequest(request: CustodyRequest, knowledge: CustodianKnowledge): JudgedCustodyRequest {
  const { trust, verifier, collateral, nowMs, manifest } = knowledge;
  const quote = parseQuote(request.quote, { trailing: 'allow-zero-padding' });
  requireReportData(request, quote.body.reportData);
  const verified = verifier.verify(quote, { collateral, nowMs });
  const tcbWarnings = judgeTd(verified, knowledge);
  judgeTrustHash(quote.body.mrConfigId, {
    section: trust,
    fleetAccepted: manifest?.inForce.trustHashes ?? [],
  });
  const measurement = measurementId(quote.body);
  requireMeasurement(measurement, knowledge);
  requireRecentBlock(request, trust);
  const warnings = [
    ...judgeAge(request.report, nowMs),
    ...tcbWarnings,
    ...setWarnings(request, trust),
    ...manifestWarnings(knowledge),
  ];
  const facts = { verified, measurement, warnings };
  const judged = new JudgedCustodyRequest(proofKey, request, facts, knowledge);
  judged.platforms.judgeRequest(verified.platform.ppid);
  return judged;
}

/** A fleet may have published no manifest yet, so its absence alone is no reason to refuse. */
function manifestWarnings({ trust, manifest }: CustodianKnowledge): readonly string[] {
  if (manifest?.isDisputed === true) {
    return [
      `there are two manifests of serial ${manifest.serial} or above: ask the keys of trust.authority which one is theirs`,
    ];
  }
  if (!hasAuthority(trust) || manifest !== undefined) return [];
  return [
    'no fleet manifest was given: revoked platforms and changes of the fleet are not known here. Get the newest one from a person that you trust, and repeat with --manifest FILE',
  ];
}

function requireReportData(request: CustodyRequest, observed: Uint8Array): void {
  if (equalBytes(observed, custodyReportData(request))) return;
  throw new EvidenceError('REPORT_DATA_MISMATCH', 'the quote is not over this request', {
    field: 'report data',
    hint: 'a part of the text was changed on its way, or the quote was made for something else; ask for a new request',
  });
}

/** An out-of-date TCB has the grace of a recovery, counted from the day of the newer TCB level. */
function judgeTd(verified: VerifiedQuote, { trust, nowMs, manifest }: CustodianKnowledge): readonly string[] {
  const policy = stricterPolicy(tdPolicyOf(trust), manifest?.inForce);
  try {
    applyPolicy(verified, policy, nowMs);
    return [];
  } catch (refusal) {
    const status = outOfDateStatuses.find((candidate) => candidate === verified.tcbStatus);
    const sinceMs = verified.outOfDateSinceMs;
    const isTcb = refusal instanceof LatchkeyError && refusal.code === 'TCB_STATUS_REFUSED';
    if (!isTcb || status === undefined || sinceMs === undefined) throw refusal;
    if (nowMs - sinceMs >= trust.freshness.tcbGraceMs) throw refusal;
    applyPolicy(verified, { ...policy, acceptedTcbStatuses: [...policy.acceptedTcbStatuses, status] }, nowMs);
    return [`the platform is out of date (${status}) since ${new Date(sinceMs).toISOString().slice(0, 10)}`];
  }
}

function requireMeasurement(id: Uint8Array, { trust, measurements, manifest }: CustodianKnowledge): void {
  if (manifest?.inForce.measurements.includes(toPrefixedHex(id)) === true) return;
  const policy = measurementPolicyOf(trust);
  const [first, ...others] = measurements;
  const known =
    first === undefined
      ? policy.kind === 'pinned'
        ? policy.accepted
        : []
      : acceptedMeasurementIds(policy, { own: first, chainAccepted: others }).concat(others);
  if (known.some((candidate) => equalBytes(candidate, id))) return;
  throw new RefusalError('MEASUREMENT_REFUSED', `measurement ${toPrefixedHex(id)} is not accepted`, {
    field: 'quote measurement',
    expected: `one of the ${known.length} that this custodian knows`,
    observed: toPrefixedHex(id),
    hint: 'the custodian names the images of the fleet by --measurement, from a source of his own, or gives a manifest that accepts it; the keys of trust.authority sign one (`latchkey fleet draft`, `latchkey fleet sign`)',
  });
}

function requireRecentBlock({ finalized }: CustodyRequest, { chain }: TrustSection): void {
  const { checkpoint } = chain;
  if (checkpoint === undefined || finalized.number >= checkpoint.blockNumber) return;
  throw new RefusalError('CUSTODY_REQUEST_OLD', 'the request is from before the checkpoint', {
    field: 'finalized',
    expected: `block ${checkpoint.blockNumber} or later`,
    observed: `block ${finalized.number}`,
    hint: 'ask the operator for a new one: `latchkey custody request`, once the node follows the chain',
  });
}

function setWarnings({ set }: CustodyRequest, trust: TrustSection): readonly string[] {
  const own = custodySetOf(trust);
  if (own !== undefined && equalBytes(set, custodySetDigest(own))) return [];
  return [
    'the parts were made for another set of custodians than the one in this trust section: the disk is from before a change, or not of this fleet',
  ];
}
