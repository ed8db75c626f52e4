import type { AccountId, SlotId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { FleetInForce } from '../fleet/in-force.ts';
import { stricterPolicy } from '../fleet/stricter-policy.ts';
import { applyPolicy, type TdPolicy } from '../tdx/policy.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import type { TokenBuckets } from '../time/token-buckets.ts';
import { judgeMeasurement, judgeMeasurementId, type MeasurementFacts } from '../trust/measurement.ts';
import type { PlatformRules } from '../trust/platform-rules.ts';
import { judgeTrustHash, type TrustHashFacts } from '../trust/trust-hash.ts';
import { type MeasurementPolicy, measurementPolicyOf, type TrustSection } from '../trust/trust-section.ts';
import type { BoundRequest } from './handshake.ts';
import { ownsKey } from './ownership.ts';
import type { Provenance, SlotKey } from './slot-key.ts';
import { type TcbGrace, withinGrace } from './tcb-grace.ts';
import type { VerifiedRequest } from './verify.ts';

const proofKey = Symbol('Judge');

/** Proof that a genuine request is allowed by policy. Made by {@link Judge} only. */
export class JudgedRequest {
  readonly bound: BoundRequest;
  /** Which platforms may have a key that exists: to be asked once the request has proved that the key is its own. */
  readonly platforms: PlatformRules;
  readonly #provenance: Provenance;

  constructor(key: typeof proofKey, bound: BoundRequest, provenance: Provenance, platforms: PlatformRules) {
    if (key !== proofKey) throw new TypeError('a JudgedRequest is made by Judge only');
    this.bound = bound;
    this.platforms = platforms;
    this.#provenance = provenance;
    Object.freeze(this);
  }

  get provenance(): Provenance {
    return this.#provenance;
  }
}

/**
 * Proof that a machine may ask for a key of an account that exists, by another way than a key request. The owner of the
 * key remains to be proved. Made by {@link Judge} only.
 */
export class JudgedReturn {
  readonly account: AccountId;
  readonly platforms: PlatformRules;
  readonly #ppid: Uint8Array;

  constructor(key: typeof proofKey, account: AccountId, ppid: Uint8Array, platforms: PlatformRules) {
    if (key !== proofKey) throw new TypeError('a JudgedReturn is made by Judge only');
    this.account = account;
    this.platforms = platforms;
    this.#ppid = ppid;
    Object.freeze(this);
  }

  /** PPID that the quote proves, 16 bytes. */
  get ppid(): Uint8Array {
    return this.#ppid;
  }
}

/** Looks up the trust section under which a key was made. */
export interface KeyLookup {
  find(account: AccountId, slotId: SlotId, nowMs: number): SlotKey | undefined;
}

/** The facts of the chain that the judge uses. */
export interface ChainFacts {
  /** Measurement ids that the chain accepts, 32 bytes each. */
  readonly acceptedMeasurements: readonly Uint8Array[];
  /** Whether an account once had a record and has none now. */
  hasDeparted(account: AccountId): boolean;
}

/** The parts that a judge uses. */
export interface JudgeParts {
  readonly trust: TrustSection;
  readonly tdPolicy: TdPolicy;
  /** This machine's own measurement id, 32 bytes. */
  readonly ownMeasurement: Uint8Array;
  readonly chain: () => ChainFacts;
  readonly grace: TcbGrace;
  readonly now: () => number;
  /** Requests by platform; only accepted machines count, so that no other machine can use up the limit. */
  readonly platformRate: TokenBuckets;
  readonly platforms: PlatformRules;
  /** What the fleet manifest accepts now; absent without `trust.authority`. */
  readonly fleet?: FleetFacts;
}

/** What a fleet manifest accepts: for machines that ask, for servers that have a slot, and for those that get one. */
export interface FleetFacts {
  granting(): FleetInForce;
  asking(): FleetInForce;
  enrolling(): FleetInForce;
}

/** Decides whether this server gives keys of an account to a genuine machine. */
export class Judge {
  readonly #parts: JudgeParts;
  readonly #measurementPolicy: MeasurementPolicy;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
    this.#measurementPolicy = measurementPolicyOf(parts.trust);
  }

  /** This machine's own measurement id, 32 bytes. */
  get ownMeasurement(): Uint8Array {
    return this.#parts.ownMeasurement;
  }

  /** Which platforms get keys, and which may hold them. */
  get platforms(): PlatformRules {
    return this.#parts.platforms;
  }

  /**
   * Judges a key request. The verdict does not show whether the account has a key here, but to a request that proves the
   * key to be its own: the same rules hold with and without one, and the request counts against its platform first.
   * @throws RefusalError of the TD policy, MEASUREMENT_REFUSED, TRUST_SECTION_REFUSED, PLATFORM_REVOKED,
   *   PLATFORM_NOT_ENDORSED, PLATFORM_LIMIT, ACCOUNT_DEREGISTERED; ProblemError CHAIN_UNAVAILABLE.
   */
  judge({ bound, verified }: VerifiedRequest, keys: KeyLookup): JudgedRequest {
    const { account, intent } = bound.request;
    const { ppid } = verified.platform;
    const recovers = intent === 'recover';
    const fleet = this.#parts.fleet?.granting();
    this.#judgeTd(verified, recovers, fleet);
    const recovered = recovers ? this.#ownKey(bound, ppid, keys) : undefined;
    this.#judgeImage(verified, fleet, recovered?.provenance.trustHash);
    const { platforms } = this.#parts;
    if (recovers) platforms.judgeRequest(ppid);
    else platforms.judgeNewKey(ppid);
    this.#countPlatform(ppid);
    // The other intents give a key that exists too, to a request that proves that the key is its own.
    const isReturn = recovers || this.#ownKey(bound, ppid, keys) !== undefined;
    if (isReturn && this.#parts.chain().hasDeparted(account)) {
      throw new RefusalError(
        'ACCOUNT_DEREGISTERED',
        'the account was registered on the chain and no longer is',
        {
          field: 'accountId',
          hint: 'register the account again; its keys are kept for some time after their last use',
        },
      );
    }
    const provenance = { platform: ppid, trustHash: verified.quote.body.mrConfigId };
    return new JudgedRequest(proofKey, bound, provenance, platforms);
  }

  /**
   * Judges a machine that asks for a key that exists without a key request: by the rules of `recover` about
   * machines. The caller looks at the account, which is the one that the quote names.
   * @throws RefusalError of the TD policy, MEASUREMENT_REFUSED, TRUST_SECTION_REFUSED, PLATFORM_REVOKED, PLATFORM_LIMIT.
   */
  judgeReturn(verified: VerifiedQuote, account: AccountId): JudgedReturn {
    const fleet = this.#parts.fleet?.granting();
    this.#judgeTd(verified, true, fleet);
    this.#judgeImage(verified, fleet);
    const { platforms } = this.#parts;
    const { ppid } = verified.platform;
    platforms.judgeRequest(ppid);
    this.#countPlatform(ppid);
    return new JudgedReturn(proofKey, account, ppid, platforms);
  }

  /**
   * Judges a machine that is to hold a key: TD attributes and TCB, measurement, trust section.
   * @throws RefusalError naming the rule.
   */
  judgeMachine(verified: VerifiedQuote): void {
    const fleet = this.#parts.fleet?.enrolling();
    this.#judgeTd(verified, false, fleet);
    this.#judgeImage(verified, fleet);
  }

  /**
   * Why a machine that asks for keys would be refused by its trust section (48 bytes) or its image (id, 32 bytes) alone;
   * `undefined` for what would be accepted now.
   */
  refusalsOf({
    trustHash,
    measurement,
  }: {
    readonly trustHash?: Uint8Array;
    readonly measurement?: Uint8Array;
  }): {
    readonly trustHash: RefusalError | undefined;
    readonly measurement: RefusalError | undefined;
  } {
    const fleet = this.#parts.fleet?.granting();
    return {
      trustHash: trustHash && refusalOf(() => judgeTrustHash(trustHash, this.#trustHashFacts(fleet))),
      measurement:
        measurement &&
        refusalOf(() =>
          judgeMeasurementId(measurement, this.#measurementPolicy, this.#measurementFacts(fleet)),
        ),
    };
  }

  /**
   * The key that exists; `undefined` unless the request proves that it is its own, so that a refused machine learns
   * nothing about the keys of others.
   */
  #ownKey(bound: BoundRequest, ppid: Uint8Array, keys: KeyLookup): SlotKey | undefined {
    const key = keys.find(bound.request.account, bound.slotId, this.#parts.now());
    return key !== undefined && ownsKey(bound, key, ppid) ? key : undefined;
  }

  /** Only accepted machines count: a foreign TD on the same platform must not use up the limit. */
  #countPlatform(ppid: Uint8Array): void {
    const waitMs = this.#parts.platformRate.take(toHex(ppid), this.#parts.now());
    if (waitMs === 0) return;
    throw new RefusalError('PLATFORM_LIMIT', 'too many requests from this platform', {
      retryAfterMs: waitMs,
    });
  }

  /**
   * Judges the server of a slot that exists: like any machine, but an out-of-date TCB has its grace.
   * @throws RefusalError naming the rule.
   */
  judgeKeyHolder(verified: VerifiedQuote): void {
    const fleet = this.#parts.fleet?.asking();
    this.#judgeTd(verified, true, fleet);
    this.#judgeImage(verified, fleet);
  }

  /** An out-of-date TCB has its grace for a key that exists already, or a patch day would lock every store. */
  #judgeTd(verified: VerifiedQuote, hasGrace: boolean, fleet: FleetInForce | undefined): void {
    const { grace, now } = this.#parts;
    const tdPolicy = stricterPolicy(this.#parts.tdPolicy, fleet);
    grace.observe(verified, now());
    try {
      applyPolicy(verified, tdPolicy, now());
    } catch (refusal) {
      if (!hasGrace || !withinGrace(refusal, verified, tdPolicy, grace, now())) throw refusal;
    }
  }

  #judgeImage(verified: VerifiedQuote, fleet: FleetInForce | undefined, keyMadeUnder?: Uint8Array): void {
    const { body } = verified.quote;
    judgeMeasurement(body, this.#measurementPolicy, this.#measurementFacts(fleet));
    judgeTrustHash(body.mrConfigId, {
      ...this.#trustHashFacts(fleet),
      ...(keyMadeUnder === undefined ? {} : { keyMadeUnder }),
    });
  }

  #measurementFacts(fleet: FleetInForce | undefined): MeasurementFacts {
    const { ownMeasurement, chain } = this.#parts;
    return {
      own: ownMeasurement,
      chainAccepted: chain().acceptedMeasurements,
      ...(fleet === undefined ? {} : { fleetAccepted: fleet.measurements }),
    };
  }

  #trustHashFacts(fleet: FleetInForce | undefined): TrustHashFacts {
    return {
      section: this.#parts.trust,
      ...(fleet === undefined ? {} : { fleetAccepted: fleet.trustHashes }),
    };
  }
}

function refusalOf(judging: () => void): RefusalError | undefined {
  try {
    judging();
    return undefined;
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
}
