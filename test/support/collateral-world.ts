import { createDevelopmentPki, type DevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { mockTdxApp } from '../../mock-tdx/http/app.ts';
import type { ServiceStyle } from '../../mock-tdx/http/certification-routes.ts';
import type { Fetch } from '../../src/outbound/bounded-fetch.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import type { Clock } from '../../src/time/clock.ts';

/** A clock that moves only when the test sets it; sleepers wake when it passes their time. */
export class ManualClock implements Clock {
  #nowMs: number;
  #aheadMs = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#aheadMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** A host sets the clock of this machine: it shows this much more, or less, than the time that passed. */
  set(aheadMs: number): void {
    this.#aheadMs = aheadMs;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = {
        untilMs: this.#nowMs + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake, { once: true });
      if (milliseconds <= 0 || signal?.aborted === true) sleeper.wake();
    });
  }

  /** Sets the time and lets everything that was waiting for it run. */
  async to(nowMs: number): Promise<void> {
    this.#nowMs = nowMs;
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= nowMs) sleeper.wake();
    await settle();
  }

  async advance(milliseconds: number): Promise<void> {
    await this.to(this.#nowMs + milliseconds);
  }
}

/** Lets pending work finish; requests to the in-process services take only turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** One collateral service in this process, with switches for its faults. */
export interface FakeService {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Replaces or changes an answer; `undefined` leaves it as it is. */
  answer: ((path: string) => Response | Promise<Response> | undefined) | undefined;
  /** The date at which the service issues its documents; default: the time of the clock. */
  nowMs: number | undefined;
}

/** A development PKI, services of it, a clock, and a `fetch` that reaches them. */
export interface CollateralWorld {
  readonly pki: DevelopmentPki;
  readonly clock: ManualClock;
  readonly verifier: QuoteVerifier;
  readonly fetch: Fetch;
  /** Adds a service; another PKI makes a liar. */
  service(url: string, style?: ServiceStyle, pki?: DevelopmentPki): FakeService;
}

export const DAY_MS = 86_400_000;
/** Noon of a fixed day. */
export const START_MS = Date.UTC(2026, 10, 21, 12);

export function collateralWorld(): CollateralWorld {
  const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(1) });
  const clock = new ManualClock(START_MS);
  const services = new Map<string, (path: string) => Promise<Response>>();
  return {
    pki,
    clock,
    verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
    fetch: async (url) => {
      const { origin, pathname, search } = new URL(url);
      const serve = services.get(origin);
      if (serve === undefined) throw new Error(`connect ECONNREFUSED ${origin}`);
      return serve(`${pathname}${search}`);
    },
    service(url, style = 'pccs', servicePki = pki) {
      const service: FakeService = { url, requests: [], answer: undefined, nowMs: undefined };
      const nowMs = () => service.nowMs ?? clock.nowMs();
      const app = mockTdxApp({ pki: servicePki, measurements: {}, style, nowMs });
      services.set(url, async (path) => {
        service.requests.push(path);
        return (await service.answer?.(path)) ?? app.request(path);
      });
      return service;
    },
  };
}
