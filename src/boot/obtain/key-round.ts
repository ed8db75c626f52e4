import { type AccountId, type Nonce, type SlotId, X25519PublicKey } from '../../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { generateEphemeralX25519KeyPair, type X25519KeyPair } from '../../crypto/x25519.ts';
import { recoveryProof } from '../../protocol/recovery-proof.ts';
import { type Intent, MAX_ADDRESSED_SERVERS, requestReportData } from '../../protocol/report-data.ts';
import type { QuoteSource } from '../../quote-source/quote-source.ts';
import type { Clock } from '../../time/clock.ts';
import { orAborted } from '../../time/or-aborted.ts';
import type { PeerRecord } from '../peer/held-keys.ts';
import type { InstanceGrant, PeerClient, QuotedRequest } from '../peer/peer-client.ts';
import { failureOf, type PeerFailure } from '../peer/peer-failure.ts';

/** One server that is asked in a round. */
export interface RoundTarget {
  readonly peer: PeerRecord;
  readonly slotId: SlotId;
  /** The token that came with the key; needed for `recover`. */
  readonly recoveryToken?: SecretBytes;
}

/** The result of one server. */
export type RoundResult =
  | { readonly ok: true; readonly answer: InstanceGrant }
  | { readonly ok: false; readonly failure: PeerFailure };

/** A round of key requests. */
export interface KeyRound {
  readonly account: AccountId;
  readonly intent: Intent;
  readonly targets: readonly RoundTarget[];
  /** The first quote is made a short time after this number of challenges has arrived, or when no more can arrive. */
  readonly quorum: number;
  /** Called once for every target, as its answer or failure arrives. */
  readonly onResult: (target: RoundTarget, result: RoundResult) => void;
  /** Ends the round: the caller has enough. */
  readonly signal: AbortSignal;
}

/** The parts that a round uses. */
export interface RoundTools {
  readonly client: PeerClient;
  readonly quotes: QuoteSource;
  readonly clock: Clock;
}

/** How long a quote waits for further challenges once the quorum is in: less than the quote itself costs. */
const GRACE_MS = 40;

interface Challenged {
  readonly target: RoundTarget;
  readonly nonce: Nonce;
}

/**
 * Asks many servers with few quotes: challenges in parallel; at the quorum plus a short grace one quote for all of
 * them; stragglers share further quotes. A dead or hanging server costs the others nothing. Resolves when every target
 * has its result or the signal aborts.
 */
export async function runKeyRound(tools: RoundTools, round: KeyRound): Promise<void> {
  const ephemeral = generateEphemeralX25519KeyPair();
  const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
  const arrivals = new Arrivals();
  for (const target of round.targets) {
    tools.client.challenge(target.peer, round.account, ephemeralPublicKey, round.signal).then(
      (nonce) => arrivals.add({ target, nonce }),
      (error: unknown) => {
        round.onResult(target, { ok: false, failure: failureOf(error) });
        arrivals.lose();
      },
    );
  }
  const requests: Promise<void>[] = [];
  let quorum = round.quorum;
  let expected = round.targets.length;
  while (expected > 0 && !round.signal.aborted) {
    await arrivals.until(Math.min(quorum, expected), expected, round.signal);
    if (arrivals.settled < expected) await arrivals.all(expected, tools.clock.sleep(GRACE_MS, round.signal));
    const { challenged, settled } = arrivals.take();
    expected -= settled;
    quorum = 1;
    for (let at = 0; at < challenged.length; at += MAX_ADDRESSED_SERVERS) {
      const wave = challenged.slice(at, at + MAX_ADDRESSED_SERVERS);
      requests.push(askWave(tools, round, wave, ephemeral, ephemeralPublicKey));
    }
  }
  await Promise.all(requests);
}

/** Makes one quote and asks all servers of a wave with it. */
async function askWave(
  { client, quotes }: RoundTools,
  round: KeyRound,
  wave: readonly Challenged[],
  ephemeral: X25519KeyPair,
  ephemeralPublicKey: X25519PublicKey,
): Promise<void> {
  if (round.signal.aborted) return;
  const parameters = {
    account: round.account,
    ephemeralPublicKey,
    intent: round.intent,
    servers: wave.map(({ target, nonce }) => ({ server: target.peer.account, nonce, slotId: target.slotId })),
  };
  const reportData = requestReportData(parameters);
  let request: QuotedRequest;
  try {
    request = { ...parameters, reportData, quote: await orAborted(quotes.quote(reportData), round.signal) };
  } catch (error) {
    const detail = `this machine could not make a quote: ${error instanceof Error ? error.message : error}`;
    for (const { target } of wave) {
      round.onResult(target, { ok: false, failure: { kind: 'unreachable', detail } });
    }
    return;
  }
  await Promise.all(
    wave.map(async ({ target }) => {
      const proof =
        target.recoveryToken === undefined ? undefined : recoveryProof(target.recoveryToken, reportData);
      try {
        const answer = await client.requestKey(target.peer, request, proof, ephemeral, round.signal);
        round.onResult(target, { ok: true, answer });
      } catch (error) {
        round.onResult(target, { ok: false, failure: failureOf(error) });
      }
    }),
  );
}

/** Challenges as they come in, and a way to wait for enough of them. */
class Arrivals {
  #challenged: Challenged[] = [];
  #lost = 0;
  #wake: (() => void) | undefined;

  get settled(): number {
    return this.#challenged.length + this.#lost;
  }

  add(challenged: Challenged): void {
    this.#challenged.push(challenged);
    this.#wake?.();
  }

  lose(): void {
    this.#lost++;
    this.#wake?.();
  }

  /** Resolves at `enough` challenges, or when all `expected` targets have settled, or on abort. */
  async until(enough: number, expected: number, signal: AbortSignal): Promise<void> {
    while (this.#challenged.length < enough && this.settled < expected && !signal.aborted) {
      await this.#next(signal);
    }
  }

  /** Resolves when all `expected` targets have settled, or when the grace is over. */
  async all(expected: number, grace: Promise<void>): Promise<void> {
    let over = false;
    const end = grace.then(() => {
      over = true;
      this.#wake?.();
    });
    while (!over && this.settled < expected) {
      await Promise.race([
        end,
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      ]);
    }
  }

  take(): { challenged: readonly Challenged[]; settled: number } {
    const taken = { challenged: this.#challenged, settled: this.settled };
    this.#challenged = [];
    this.#lost = 0;
    return taken;
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        signal.removeEventListener('abort', finish);
        resolve();
      };
      this.#wake = finish;
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}
