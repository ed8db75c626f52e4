import { equalBytes } from '../../bytes/concat.ts';
import type { InstanceId, PlatformHash } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toHex } from '../../bytes/hex.ts';
import { Memo, memoKey } from '../../bytes/memo.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { LatchkeyError, RefusalError } from '../../errors/latchkey-error.ts';
import type { Judge } from '../../keyserver/judge.ts';
import type { Attestation } from '../../keyserver/own-attestation.ts';
import type { EvidenceVerifier } from '../../keyserver/verify.ts';
import { attestationReportData } from '../../protocol/report-data.ts';
import { parseQuote } from '../../tdx/quote.ts';
import type { QuoteVerifier, VerifiedQuote } from '../../tdx/verify-quote.ts';
import type { Clock } from '../../time/clock.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { platformHash } from '../../trust/platform-lists.ts';
import type { ServerRole } from '../../trust/platform-rules.ts';
import { provenPlatform } from '../../trust/registered-platform.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { PeerError, type PeerFailure } from '../peer/peer-failure.ts';
import { RecentNames } from './recent-names.ts';

const PPID_BYTES = 16;
/** How long a passed attestation is not asked for again. */
const VETTED_FOR_MS = 30_000;
/**
 * How long a registered quote that proves nothing is not verified again. A corrected clock usually jumps by more, so
 * that the verdict of a wrong clock does not last.
 */
const REFUSED_FOR_MS = 600_000;
/** Verdicts that are remembered, each kind: as many as a chain may have records, so that no walk meets one twice. */
const MAX_REMEMBERED = 20_000;

/** Limits on the age of the block in an attestation. */
export interface AttestationBounds {
  readonly maxAgeMs: number;
  /** Expected time between blocks, for turning a distance in blocks into an age. */
  readonly blockTimeMs: number;
}

/** A server under examination. */
interface Candidate {
  readonly record: ServerRecord;
  /** What its registered quote proves. */
  readonly platform: string;
  readonly role: 'new' | 'holder';
}

/** The failure when the chain does not prove which machine holds a server's key. */
export const unprovenRegistration: PeerFailure = {
  kind: 'untrusted',
  code: 'REGISTRATION_MISMATCH',
  detail: 'its registered quote does not prove its account, key and platform',
};

/**
 * Decides with whom a node shares its store key. The registered quote proves account ↔ X25519 key ↔ platform, for
 * good; `GET /attestation` proves what the machine runs now.
 */
export class ServerVetter {
  readonly #verifier: QuoteVerifier;
  readonly #evidenceVerifier: EvidenceVerifier;
  readonly #judge: Judge;
  readonly #client: PeerClient;
  readonly #clock: Clock;
  readonly #bounds: AttestationBounds;
  readonly #platforms = new Memo<string>(MAX_REMEMBERED);
  readonly #refused = new RecentNames({ forMs: REFUSED_FOR_MS, capacity: MAX_REMEMBERED });
  #vetted = recentlyVetted();

  constructor(parts: {
    readonly verifier: QuoteVerifier;
    readonly evidenceVerifier: EvidenceVerifier;
    readonly judge: Judge;
    readonly client: PeerClient;
    readonly clock: Clock;
    readonly bounds: AttestationBounds;
  }) {
    this.#verifier = parts.verifier;
    this.#evidenceVerifier = parts.evidenceVerifier;
    this.#judge = parts.judge;
    this.#client = parts.client;
    this.#clock = parts.clock;
    this.#bounds = parts.bounds;
  }

  /** PPID (hex) that the registered quote proves for this account and key; `undefined` when it proves none. */
  platformOf(record: ServerRecord): string | undefined {
    const name = memoKey(sha256(record.account, record.x25519PublicKey, record.quote));
    const known = this.#platforms.find(name);
    if (known !== undefined) return known;
    const nowMs = this.#clock.nowMs();
    if (this.#refused.has(name, nowMs)) return undefined;
    const platform = this.#registeredPlatform(record, nowMs);
    if (platform === undefined) {
      this.#refused.add(name, nowMs);
      return undefined;
    }
    this.#platforms.set(name, platform);
    return platform;
  }

  /** SHA-256 of the PPID that {@link platformOf} gives: its name in lists of platforms. */
  platformHashOf(record: ServerRecord): PlatformHash | undefined {
    const platform = this.platformOf(record);
    return platform === undefined ? undefined : platformHash(ppidOf(platform));
  }

  /** Whether slots of a server count only up to a limit, because the fleet does not vouch for its platform. */
  countsInPart(record: ServerRecord): boolean {
    const platform = this.platformOf(record);
    return platform !== undefined && this.#judge.platforms.countsInPart(ppidOf(platform));
  }

  /** Why the slot of a server does not count as live, by its platform alone; `undefined` when it does. */
  platformRefusal(record: ServerRecord): PeerFailure | undefined {
    const platform = this.platformOf(record);
    return platform === undefined ? undefined : this.#refusalOf(platform, 'kept');
  }

  #refusalOf(platform: string, role: ServerRole): PeerFailure | undefined {
    try {
      this.#judge.platforms.judgeServer(ppidOf(platform), role);
      return undefined;
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      return { kind: 'untrusted', code: error.code, detail: error.message };
    }
  }

  /**
   * Checks that a server is, now, a machine that the trust section accepts. A passed check is remembered for a short
   * time.
   * @param role `new`: it is to get a slot; `holder`: it has one, so that an out-of-date TCB has its grace.
   * @throws PeerError saying why not.
   */
  async vet(
    record: ServerRecord,
    snapshot: ChainSnapshot,
    signal: AbortSignal,
    role: 'new' | 'holder' = 'new',
  ): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const platform = this.platformOf(record);
    if (platform === undefined) throw new PeerError(unprovenRegistration);
    // With the platform: a registration that changes to another one must not count there by the attestation of the former.
    const name = [role, platform, toHex(record.account), toHex(record.x25519PublicKey), record.endpoint].join(
      '/',
    );
    // Before what is remembered: a revocation takes effect at once.
    const refusal = this.#refusalOf(platform, role);
    if (refusal !== undefined) throw new PeerError(refusal);
    if (this.#vetted.has(name, nowMs)) return;
    await this.#attested({ record, platform, role }, snapshot, signal);
    this.#vetted.add(name, nowMs);
  }

  /**
   * The process that a server attests now. Another one than before has lost the memory of the one before. The rules about
   * platforms are not asked: that loss is a fact wherever the server runs.
   * @throws PeerError when the attestation does not satisfy the trust section.
   */
  async instanceOf(record: ServerRecord, snapshot: ChainSnapshot, signal: AbortSignal): Promise<InstanceId> {
    const platform = this.platformOf(record);
    if (platform === undefined) throw new PeerError(unprovenRegistration);
    const { instanceId } = await this.#attested({ record, platform, role: 'holder' }, snapshot, signal);
    return instanceId;
  }

  /**
   * Judges an attestation that a server sent itself, as for a server that has a slot.
   * @returns its quote, which is genuine and binds the account and the registered key.
   * @throws PeerError saying why not.
   */
  async judgeAttestation(
    record: ServerRecord,
    attestation: Attestation,
    snapshot: ChainSnapshot,
  ): Promise<VerifiedQuote> {
    const platform = this.platformOf(record);
    if (platform === undefined) throw new PeerError(unprovenRegistration);
    const refusal = this.#refusalOf(platform, 'kept');
    if (refusal !== undefined) throw new PeerError(refusal);
    return await this.#examine(attestation, { record, platform, role: 'holder' }, snapshot);
  }

  /** Every server is asked for its attestation again: the rules have changed. */
  forget(): void {
    this.#vetted = recentlyVetted();
  }

  async #attested(candidate: Candidate, snapshot: ChainSnapshot, signal: AbortSignal): Promise<Attestation> {
    const attestation = await this.#client.attestation(candidate.record, signal);
    await orAborted(this.#examine(attestation, candidate, snapshot), signal);
    return attestation;
  }

  async #examine(
    attestation: Attestation,
    { record, platform, role }: Candidate,
    snapshot: ChainSnapshot,
  ): Promise<VerifiedQuote> {
    let verified: VerifiedQuote;
    try {
      const quote = parseQuote(attestation.quote);
      const expected = attestationReportData({ ...attestation, x25519PublicKey: record.x25519PublicKey });
      if (!equalBytes(quote.body.reportData, expected)) {
        throw untrusted(
          'REPORT_DATA_MISMATCH',
          'its attestation does not bind its account and registered key',
        );
      }
      verified = await this.#evidenceVerifier.verify(quote);
      if (role === 'new') this.#judge.judgeMachine(verified);
      else this.#judge.judgeKeyHolder(verified);
      if (toHex(verified.platform.ppid) !== platform) {
        throw untrusted('PLATFORM_REFUSED', 'it runs on another platform than the one that it registered');
      }
    } catch (error) {
      if (error instanceof LatchkeyError) throw untrusted(error.code, error.message);
      throw error;
    }
    this.#requireFresh(attestation, snapshot);
    return verified;
  }

  #requireFresh({ finalized }: Attestation, { block }: ChainSnapshot): void {
    const behindMs = (block.number - finalized.number) * this.#bounds.blockTimeMs;
    // A block far ahead of the chain would keep an attestation fresh for ever.
    if (Math.abs(behindMs) > this.#bounds.maxAgeMs) {
      throw untrusted(
        'ATTESTATION_STALE',
        `its attestation cites block ${finalized.number}, the chain is at ${block.number}`,
      );
    }
  }

  #registeredPlatform(record: ServerRecord, nowMs: number): string | undefined {
    const ppid = provenPlatform(record, this.#verifier, nowMs);
    return ppid === undefined ? undefined : toHex(ppid);
  }
}

const recentlyVetted = (): RecentNames => new RecentNames({ forMs: VETTED_FOR_MS, capacity: MAX_REMEMBERED });

/** Platforms are named by the hex of their PPID here. */
const ppidOf = (platform: string): Uint8Array => parsePrefixedHex(`0x${platform}`, PPID_BYTES, 'PPID');

const untrusted = (code: string, detail: string): PeerError =>
  new PeerError({ kind: 'untrusted', code, detail });
