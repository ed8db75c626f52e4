import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { applyPolicy, type TdPolicy } from '../tdx/policy.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import { judgeMeasurement } from '../trust/measurement.ts';
import { judgeTrustHash } from '../trust/trust-hash.ts';
import { type MeasurementPolicy, measurementPolicyOf, type TrustSection } from '../trust/trust-section.ts';
import type { BoundRequest } from './handshake.ts';
import type { Provenance, SlotKey } from './slot-key.ts';
import { type TcbGrace, withinGrace } from './tcb-grace.ts';
import type { TokenBuckets } from './token-buckets.ts';
import type { Vault } from './vault.ts';
import { findRecoverable } from './vault-request.ts';
import type { WitnessedRequest } from './witness.ts';

declare const judged: unique symbol;

/** A genuine request that policy allows. Made only by {@link Judge}. */
export interface JudgedRequest {
  readonly bound: BoundRequest;
  readonly provenance: Provenance;
  readonly [judged]: true;
}

/** What the chain says, as the judge needs it. */
export interface ChainFacts {
  /** Measurement ids that the chain accepts, 32 bytes each. */
  readonly acceptedMeasurements: readonly Uint8Array[];
  /** Whether an account once had a record and has none now. */
  hasDeparted(account: AccountId): boolean;
}

/** What a judge goes by. */
export interface JudgeParts {
  readonly trust: TrustSection;
  readonly tdPolicy: TdPolicy;
  /** This machine's own measurement id, 32 bytes. */
  readonly ownMeasurement: Uint8Array;
  readonly chain: () => ChainFacts;
  readonly grace: TcbGrace;
  readonly now: () => number;
  /** Requests by platform; counted only once its machine is accepted, so that nobody else can use it up. */
  readonly platformRate: TokenBuckets;
}

/** The judge: whether a genuine machine is one that this server answers, and for this account. */
export class Judge {
  readonly #parts: JudgeParts;
  readonly #measurementPolicy: MeasurementPolicy;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
    this.#measurementPolicy = measurementPolicyOf(parts.trust);
  }

  /**
   * Judges a key request.
   * @throws RefusalError of the TD policy, MEASUREMENT_REFUSED, TRUST_SECTION_REFUSED, ACCOUNT_DEREGISTERED,
   *   PLATFORM_LIMIT; EvidenceError KEY_UNKNOWN.
   */
  judge({ bound, verified }: WitnessedRequest, vault: Vault): JudgedRequest {
    const { now, chain } = this.#parts;
    const { ppid } = verified.platform;
    const recovered =
      bound.request.intent === 'recover'
        ? findRecoverable(vault, bound.request.account, bound.slotId, now())
        : undefined;
    this.judgeMachine(verified, recovered);
    this.#countPlatform(ppid);
    if (recovered !== undefined && chain().hasDeparted(bound.request.account)) {
      throw new RefusalError(
        'ACCOUNT_DEREGISTERED',
        'the account was registered on the chain and no longer is',
        {
          field: 'accountId',
          hint: 'register the account again; its keys are kept',
        },
      );
    }
    const provenance = { platform: ppid, trustHash: verified.quote.body.mrConfigId };
    // The brand says that every judgement above was passed.
    return { bound, provenance } as JudgedRequest;
  }

  /** Only accepted machines count: another tenant's TD on the same platform must not use up its rate. */
  #countPlatform(ppid: Uint8Array): void {
    const waitMs = this.#parts.platformRate.take(toHex(ppid), this.#parts.now());
    if (waitMs === 0) return;
    throw new RefusalError('PLATFORM_LIMIT', 'too many requests from this platform', {
      retryAfterMs: waitMs,
    });
  }

  /**
   * Judges a machine: TD attributes and TCB, measurement, trust section. A recovery is judged more mildly in two
   * points: an out-of-date TCB within its grace, and the trust section under which the key was made.
   * @throws RefusalError naming the rule.
   */
  judgeMachine(verified: VerifiedQuote, recovered?: SlotKey): void {
    const { trust, tdPolicy, ownMeasurement, chain, grace, now } = this.#parts;
    grace.observe(verified.collateral.evaluationNumbers, now());
    try {
      applyPolicy(verified, tdPolicy, now());
    } catch (refusal) {
      if (recovered === undefined || !withinGrace(refusal, verified, tdPolicy, grace, now())) throw refusal;
    }
    const { body } = verified.quote;
    const facts = { own: ownMeasurement, chainAccepted: chain().acceptedMeasurements };
    const measurementRefusal = judgeMeasurement(body, this.#measurementPolicy, facts);
    if (measurementRefusal !== undefined) throw measurementRefusal;
    const trustRefusal = judgeTrustHash(body.mrConfigId, {
      section: trust,
      ...(recovered === undefined ? {} : { keyMadeUnder: recovered.provenance.trustHash }),
    });
    if (trustRefusal !== undefined) throw trustRefusal;
  }
}
