import type { CollateralDocuments } from '../tdx/collateral.ts';
import type { CollateralFacts } from '../tdx/verify-quote.ts';

/** A set that was genuine and current when it came, and where it came from. */
export interface HeldSet {
  readonly documents: CollateralDocuments;
  readonly facts: CollateralFacts;
  readonly origin: string;
}

/** Why an attempt failed that found only a set within its grace. */
export const pastItsTime = (origin: string): string => `${origin}: only collateral past its nextUpdate`;

const MIN_REFRESH_MS = 60_000;
const MAX_SLEEP_MS = 86_400_000;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 3_600_000;
/** While nothing usable is held: a node may be locked because of it, and must open soon after the service is back. */
const MAX_RETRY_WITHOUT_SET_MS = 60_000;

/** The collateral of one kind of platform, and the time of its next renewal. */
export class PlatformCollateral {
  held: HeldSet | undefined;
  /** Why the last attempt failed; `undefined` after a good one. */
  lastFailure: string | undefined;
  refreshAtMs = 0;
  #failures = 0;

  /** A new set: next attempt when the first of its documents has lived half its life. */
  succeed(held: HeldSet, nowMs: number): void {
    this.held = held;
    this.lastFailure = undefined;
    this.#failures = 0;
    this.refreshAtMs = Math.max(nowMs + MIN_REFRESH_MS, halfLifeMs(held.facts, nowMs));
  }

  /** Only a set within its grace is available: it is used, and the attempt counts as failed. */
  bridge(held: HeldSet, nowMs: number, random: number): void {
    this.held = held;
    this.fail(pastItsTime(held.origin), nowMs, random);
  }

  /**
   * The attempt failed: the next one comes after a pause that doubles with each failure, with jitter. Without a set that
   * is still current the pause stays short.
   * @param random from 0 to 1.
   */
  fail(reason: string, nowMs: number, random: number): void {
    this.lastFailure = reason;
    const mostMs = this.#isCurrent(nowMs) ? MAX_RETRY_MS : MAX_RETRY_WITHOUT_SET_MS;
    const delayMs = Math.min(mostMs, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 20);
    this.refreshAtMs = nowMs + delayMs * (0.75 + random / 2);
  }

  /**
   * Whether to ask the services although nothing usable is held: always, except in the pause after a failure. A pause
   * that is longer than the maximum means that the clock was set back after its start.
   */
  mayTry(nowMs: number): boolean {
    const waitMs = this.refreshAtMs - nowMs;
    return this.lastFailure === undefined || waitMs <= 0 || waitMs > 2 * MAX_RETRY_MS;
  }

  #isCurrent(nowMs: number): boolean {
    return this.held !== undefined && Math.min(...Object.values(this.held.facts.nextUpdateMs)) > nowMs;
  }

  /** How long to sleep until the next check; limited, since timers cannot count beyond 24 days and clocks can be changed. */
  sleepMs(nowMs: number): number {
    return Math.min(MAX_SLEEP_MS, Math.max(0, this.refreshAtMs - nowMs));
  }
}

/**
 * The first time at which one of the four documents reaches half of its life. For a document that is past it already (the
 * root's CRL is valid for a year), half of the remaining time.
 */
function halfLifeMs({ issuedAtMs, nextUpdateMs }: CollateralFacts, nowMs: number): number {
  const halves = (['tcbInfo', 'qeIdentity', 'rootCaCrl', 'pckCrl'] as const).map((name) => {
    const half = (issuedAtMs[name] + nextUpdateMs[name]) / 2;
    return half > nowMs ? half : (nowMs + nextUpdateMs[name]) / 2;
  });
  return Math.min(...halves);
}
