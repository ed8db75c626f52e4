import { type RoundResult, type RoundTarget, runKeyRound } from '../boot/obtain/key-round.ts';
import type { HeldSlot, LineageObserver, PeerRecord } from '../boot/peer/held-keys.ts';
import { PeerClient } from '../boot/peer/peer-client.ts';
import { PeerError } from '../boot/peer/peer-failure.ts';
import { fetchTransport, type PeerTransport } from '../boot/peer/peer-transport.ts';
import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, SlotId } from '../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import { type Incarnation, isSameBoot, type Reservation } from '../lineage/incarnation.ts';
import type { Lineage } from '../lineage/lineage.ts';
import { isSame } from '../lineage/rules.ts';
import type { AttestationMessage } from '../protocol/attestation.ts';
import type { Deposit, LineageState } from '../protocol/lineage-state.ts';
import { attestationReportData, type BlockReference, type Intent } from '../protocol/report-data.ts';
import type { ServerState } from '../protocol/slot-messages.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import {
  type CollateralDocuments,
  type QuoteVerifier,
  type TdPolicy,
  verifyQuote,
} from '../tdx/verify-quote.ts';
import { type Clock, systemClock } from '../time/clock.ts';

/** How a {@link KeyClient} is made. */
export interface KeyClientOptions {
  /** The node's account. */
  readonly account: AccountId;
  /** Makes the quotes of this machine. */
  readonly quotes: QuoteSource;
  /** How long one answer may take; default 8,000. */
  readonly deadlineMs?: number;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly transport?: PeerTransport;
}

/** By what a server's own attestation is judged. */
export interface AttestationRules {
  /** Gets the collateral of a quote, such as `getCollateral` of `latchkey/tdx` does. */
  readonly collateral: (quote: Uint8Array) => Promise<CollateralDocuments>;
  /** Default: Intel's root. */
  readonly verifier?: QuoteVerifier;
  /** Default: no debug TD, TCB up to date. */
  readonly policy?: TdPolicy;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** The newest finalized block of the chain. */
  readonly finalized: BlockReference;
  /** How much older, or newer, the block of an attestation may be. */
  readonly maxBlocksApart: number;
}

/** A key under a slot id, as its owner holds it. */
export interface OwnSlot {
  readonly slotId: SlotId;
  readonly key: SecretBytes;
}

const unwatched: LineageObserver = { observe: () => undefined };

/**
 * The key protocol for a node that does without the rest of Latchkey: servers are those of the chain, given by the caller.
 * Where a server does not do what the protocol says, methods throw `PeerError` with the reason in `failure`. Nothing is
 * retried.
 */
export class KeyClient {
  readonly #client: PeerClient;
  readonly #options: KeyClientOptions;
  readonly #clock: Clock;

  constructor(options: KeyClientOptions) {
    const { clock = systemClock, random = systemRandom, transport = fetchTransport(), deadlineMs } = options;
    this.#options = options;
    this.#clock = clock;
    const common = { transport, clock, random };
    this.#client = new PeerClient(deadlineMs === undefined ? common : { ...common, deadlineMs });
  }

  /**
   * Asks up to 16 servers for keys, with one quote for those that give a challenge in time.
   * @returns one result for each target, in their order. A created key that is not fresh is a failure.
   */
  async obtain(
    intent: Intent,
    targets: readonly RoundTarget[],
    signal: AbortSignal = new AbortController().signal,
  ): Promise<readonly RoundResult[]> {
    const results = new Map<RoundTarget, RoundResult>();
    await runKeyRound(
      { client: this.#client, quotes: this.#options.quotes, clock: this.#clock },
      {
        account: this.#options.account,
        intent,
        targets,
        quorum: targets.length,
        signal,
        onResult: (target, result) => results.set(target, intent === 'create' ? onlyFresh(result) : result),
      },
    );
    const aborted: RoundResult = { ok: false, failure: { kind: 'unreachable', detail: 'cancelled' } };
    return targets.map((target) => results.get(target) ?? aborted);
  }

  /**
   * Verifies what a server attests now: quote, account, the registered key, the age of its block. The caller compares the
   * measurement.
   * @throws PeerError; EvidenceError, RefusalError when the quote is not good enough; what `collateral` throws.
   */
  async attest(
    server: PeerRecord,
    rules: AttestationRules,
    signal?: AbortSignal,
  ): Promise<AttestationMessage> {
    const attestation = await this.#client.attestation(server, signal);
    const { verifier, policy, nowMs, finalized, maxBlocksApart } = rules;
    const verified = verifyQuote(attestation.quote, {
      collateral: await rules.collateral(attestation.quote),
      nowMs,
      ...(verifier === undefined ? {} : { verifier }),
      ...(policy === undefined ? {} : { policy }),
    });
    const expected = attestationReportData({ ...attestation, x25519PublicKey: server.x25519PublicKey });
    if (!equalBytes(verified.quote.body.reportData, expected)) {
      throw untrusted('REPORT_DATA_MISMATCH', 'its attestation does not bind its account and registered key');
    }
    if (Math.abs(finalized.number - attestation.finalized.number) > maxBlocksApart) {
      throw untrusted('ATTESTATION_STALE', `its attestation cites block ${attestation.finalized.number}`);
    }
    return attestation;
  }

  /** Links a slot to the lineage and confirms it. @throws PeerError, also when the answer does not show the link. */
  async link(
    server: PeerRecord,
    slot: OwnSlot,
    lineage: Lineage,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    const lineageKey = lineage.keyOf(server.account);
    try {
      const status = { confirm: true, incarnation, head: undefined, report: undefined };
      const state = await this.#client.keyStatus(server, this.#held(slot), status, lineageKey, signal);
      if (!state.lineage?.slots.some((one) => equalBytes(one, slot.slotId))) {
        throw new PeerError({ kind: 'refused', code: 'SLOT_UNLINKED', detail: 'it did not link the slot' });
      }
      return state;
    } finally {
      lineageKey.wipe();
    }
  }

  /** Reserves a number for this boot. @returns false when it is another boot's. @throws PeerError. */
  async reserve(
    server: PeerRecord,
    slot: OwnSlot,
    wish: Reservation,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { lineage } = await this.#client.reserve(server, this.#held(slot), wish, signal);
    return isReserved(lineage, wish);
  }

  /** Shows this boot. @returns false when a newer boot is shown: then stop writing. @throws PeerError. */
  async claim(
    server: PeerRecord,
    slot: OwnSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { lineage } = await this.#client.claim(server, this.#held(slot), incarnation, signal);
    return isShown(lineage, incarnation);
  }

  /** What a server knows of the lineage; changes nothing there. @throws PeerError. */
  async lineageStatus(
    server: PeerRecord,
    lineage: Lineage,
    signal?: AbortSignal,
  ): Promise<LineageState | undefined> {
    return this.#withLineage(
      server,
      lineage,
      async (held) => (await this.#client.lineageStatus(server, held, signal)).lineage,
    );
  }

  /** Shows this boot, deposits how far it has written, erases slots that the lineage needs no more. @throws PeerError. */
  async lineageUpdate(
    server: PeerRecord,
    lineage: Lineage,
    update: {
      readonly incarnation: Incarnation;
      readonly head?: Deposit;
      readonly forget?: readonly SlotId[];
    },
    signal?: AbortSignal,
  ): Promise<LineageState | undefined> {
    const { incarnation, head, forget = [] } = update;
    const whole = { incarnation, head, forget, close: undefined };
    return this.#withLineage(
      server,
      lineage,
      async (held) => (await this.#client.lineageUpdate(server, held, whole, signal)).lineage,
    );
  }

  /** Erases a key. @returns false when the server kept it, because a newer boot needs it. @throws PeerError. */
  async forget(
    server: PeerRecord,
    slot: OwnSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<boolean> {
    return (await this.#client.forget(server, this.#held(slot), incarnation, signal)).erased;
  }

  #held({ slotId, key }: OwnSlot): HeldSlot {
    return { account: this.#options.account, slotId, key, observer: unwatched };
  }

  async #withLineage<T>(
    server: PeerRecord,
    lineage: Lineage,
    ask: (held: { account: AccountId; key: SecretBytes; observer: LineageObserver }) => Promise<T>,
  ): Promise<T> {
    const key = lineage.keyOf(server.account);
    try {
      return await ask({ account: this.#options.account, key, observer: unwatched });
    } finally {
      key.wipe();
    }
  }
}

/** Whether a server shows that this boot has the number that it wished for. */
export const isReserved = (state: LineageState | undefined, { number, boot }: Reservation): boolean =>
  state !== undefined &&
  !state.closed &&
  state.reserved.number === number &&
  isSameBoot(state.reserved.boot, boot);

/** Whether a server shows this boot as the newest one. */
export const isShown = (state: LineageState | undefined, incarnation: Incarnation): boolean =>
  state !== undefined && !state.closed && isSame(state.shown, incarnation);

function onlyFresh(result: RoundResult): RoundResult {
  if (!result.ok) return result;
  const { created, recoveryToken, key } = result.answer.grant;
  if (created && recoveryToken !== undefined) return result;
  key.wipe();
  recoveryToken?.wipe();
  return { ok: false, failure: { kind: 'garbage', detail: 'it gave no fresh key with a recovery token' } };
}

const untrusted = (code: string, detail: string): PeerError =>
  new PeerError({ kind: 'untrusted', code, detail });
