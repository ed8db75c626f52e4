import { copyBytes } from '../bytes/copy-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import { type Log, silentLog } from '../observe/log.ts';
import type { Fetch } from '../outbound/bounded-fetch.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import type { CollateralSource, CollateralStatus, UsableCollateral } from './collateral-source.ts';
import { DiskCache } from './disk-cache.ts';
import { NewestSeen } from './generation.ts';
import { type HeldSet, PlatformCollateral, pastItsTime } from './platform-collateral.ts';
import type { PlatformKind } from './platform-kind.ts';
import {
  ServiceClient,
  type ServiceClientOptions,
  ServiceFailure,
  type TcbUpdate,
} from './service-client.ts';
import { type SetCheck, SetFetcher } from './set-fetcher.ts';

/** How a {@link PccsCollateralSource} works. */
export interface PccsCollateralSourceOptions {
  /** Base addresses of PCS or PCCS services, tried in this order. */
  readonly endpoints: readonly string[];
  readonly verifier: Pick<QuoteVerifier, 'checkCollateral'>;
  /** An existing folder that keeps standard sets over a restart; without one they live in memory only. */
  readonly cache?: { readonly fileSystem: FileSystem; readonly directory: string };
  /** How long sets may be used past their `nextUpdate` when nothing newer can be had; default 0. */
  readonly graceMs?: number;
  /** Default 0. */
  readonly minimumTcbEvaluationDataNumber?: number;
  /** For each document, default 10,000. */
  readonly timeoutMs?: number;
  /** Default standard. */
  readonly update?: TcbUpdate;
  /** Kinds of platforms that are kept at once, default 64; the one unused for longest goes first. */
  readonly capacity?: number;
  readonly fetch?: Fetch;
  readonly clock?: Clock;
  /** From 0 to 1; spreads retries. */
  readonly jitter?: () => number;
  readonly log?: Log;
}

interface Entry {
  readonly platform: PlatformKind;
  readonly collateral: PlatformCollateral;
  readonly gone: AbortController;
  /** The attempt in flight, which all askers share. */
  attempt: Promise<void> | undefined;
  /** Whether the cache on the disk was read. */
  isLoaded: boolean;
  isMaintained: boolean;
  /** As last seen, so that a change can be told. */
  state: CollateralStatus['state'];
}

/**
 * Collateral from Intel's service or caches of it. Every set, from the network or the disk, is verified before it
 * is kept, and again on every use against the clock.
 */
export class PccsCollateralSource implements CollateralSource {
  readonly graceMs: number;
  readonly #entries: Memo<Entry>;
  readonly #closed = new AbortController();
  readonly #newest = new NewestSeen();
  readonly #clientOptions: ServiceClientOptions;
  #fetcher: SetFetcher;
  readonly #check: SetCheck;
  readonly #cache: DiskCache | undefined;
  readonly #clock: Clock;
  readonly #jitter: () => number;
  readonly #log: Log;

  /** @throws TypeError for no endpoint, an endpoint that is not an http(s) address, or a cache of other than standard sets. */
  constructor(options: PccsCollateralSourceOptions) {
    if (options.endpoints.length === 0)
      throw new TypeError('a collateral source needs at least one endpoint');
    this.graceMs = options.graceMs ?? 0;
    const update = options.update ?? 'standard';
    if (options.cache !== undefined && update !== 'standard')
      throw new TypeError(`the disk cache is for update standard only, got ${update}`);
    this.#cache = options.cache && new DiskCache(options.cache.fileSystem, options.cache.directory);
    this.#clock = options.clock ?? systemClock;
    this.#jitter = options.jitter ?? Math.random;
    this.#log = options.log ?? silentLog;
    this.#entries = new Memo(options.capacity ?? 64, { onEvicted: ({ gone }) => gone.abort() });
    this.#check = (documents, { fmspc, ca }) =>
      options.verifier.checkCollateral(documents, {
        nowMs: this.#clock.nowMs(),
        collateralGraceMs: this.graceMs,
        minimumTcbEvaluationDataNumber: options.minimumTcbEvaluationDataNumber ?? 0,
        fmspc,
        ca,
      });
    this.#clientOptions = {
      fetch: options.fetch ?? fetch,
      timeoutMs: options.timeoutMs ?? 10_000,
      update,
      signal: this.#closed.signal,
    };
    this.#fetcher = this.#fetcherOf(options.endpoints);
  }

  /**
   * Asks other services from the next request on; what is held stays.
   * @throws TypeError for an endpoint that is not an http(s) address; then nothing changes.
   */
  setEndpoints(endpoints: readonly string[]): void {
    this.#fetcher = this.#fetcherOf(endpoints);
  }

  #fetcherOf(endpoints: readonly string[]): SetFetcher {
    const clients = endpoints.map((url) => new ServiceClient(url, this.#clientOptions));
    return new SetFetcher(clients, this.#check, this.#newest, this.#log);
  }

  async collateralFor(platform: PlatformKind): Promise<UsableCollateral> {
    if (this.#closed.signal.aborted) throw this.#unavailable('the collateral source is closed');
    const entry = this.#entryOf(platform);
    const usable = this.#usable(entry);
    if (usable !== undefined) return usable;
    await this.#attempt(entry);
    const now = this.#usable(entry);
    if (now !== undefined) return now;
    const { lastFailure, refreshAtMs } = entry.collateral;
    throw this.#unavailable(
      lastFailure ?? 'the cached set has run out',
      Math.max(0, refreshAtMs - this.#clock.nowMs()),
    );
  }

  status(): readonly CollateralStatus[] {
    return this.#entries.values().map((entry) => {
      const { held, lastFailure, refreshAtMs } = entry.collateral;
      this.#usable(entry);
      return {
        fmspc: toHex(entry.platform.fmspc).toUpperCase(),
        ca: entry.platform.ca,
        state: entry.state,
        validUntilMs: held?.facts.validUntilMs,
        tcbEvaluationDataNumber: held?.facts.tcbEvaluationDataNumber,
        origin: held?.origin,
        refreshAtMs: refreshAtMs === 0 ? undefined : refreshAtMs,
        lastFailure,
      };
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    for (const entry of this.#entries.values()) entry.gone.abort();
    await Promise.allSettled(this.#entries.values().map(({ attempt }) => attempt));
    this.#entries.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The entry of a kind of platform; the one unused for longest makes room. */
  #entryOf(platform: PlatformKind): Entry {
    return this.#entries.get(`${toHex(platform.fmspc)}/${platform.ca}`, () => ({
      platform: { fmspc: copyBytes(platform.fmspc), ca: platform.ca },
      collateral: new PlatformCollateral(),
      gone: new AbortController(),
      attempt: undefined,
      isLoaded: false,
      isMaintained: false,
      state: 'refused',
    }));
  }

  /** The held set, if it may be used now. */
  #usable(entry: Entry): UsableCollateral | undefined {
    const { held } = entry.collateral;
    const state = this.#stateOf(held, entry.platform);
    if (state !== entry.state) {
      const level = state === 'fresh' ? 'info' : 'warn';
      this.#log(level, 'collateral.state', { ...nameOf(entry.platform), from: entry.state, to: state });
      entry.state = state;
    }
    if (held === undefined || state === 'refused') return undefined;
    return { documents: held.documents, state, validUntilMs: held.facts.validUntilMs };
  }

  /** The window includes every date of the set; a grace matters only outside of it. */
  #stateOf(held: HeldSet | undefined, platform: PlatformKind): CollateralStatus['state'] {
    if (held === undefined) return 'refused';
    const nowMs = this.#clock.nowMs();
    const { validFromMs, validUntilMs } = held.facts;
    if (nowMs >= validFromMs && nowMs <= validUntilMs) return 'fresh';
    return this.#currentFacts(held.documents, platform)?.state ?? 'refused';
  }

  /** `undefined` when the set does not hold at this moment. */
  #currentFacts(...[documents, platform]: Parameters<SetCheck>): ReturnType<SetCheck> | undefined {
    try {
      return this.#check(documents, platform);
    } catch (error) {
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  /** Tries the disk (once) and the network; never more than one attempt at a time, and none before it is due. */
  #attempt(entry: Entry): Promise<void> {
    entry.attempt ??= this.#renew(entry).finally(() => {
      entry.attempt = undefined;
    });
    return entry.attempt;
  }

  async #renew(entry: Entry): Promise<void> {
    const { collateral, platform } = entry;
    if (!entry.isLoaded && (await this.#loadFromDisk(entry))) return;
    const nowMs = this.#clock.nowMs();
    if (!collateral.mayTry(nowMs)) return;
    try {
      const held = await this.#fetcher.fetch(platform);
      const isFresh = held.facts.state === 'fresh';
      if (!isFresh && this.#stateOf(collateral.held, platform) === 'fresh')
        throw new ServiceFailure(pastItsTime(held.origin));
      this.#newest.remember(held.facts);
      if (isFresh) collateral.succeed(held, this.#clock.nowMs());
      else collateral.bridge(held, this.#clock.nowMs(), this.#jitter());
      this.#log('info', 'collateral.renewed', {
        ...nameOf(platform),
        origin: held.origin,
        tcbEvaluationDataNumber: held.facts.tcbEvaluationDataNumber,
      });
      this.#maintain(entry);
      const failure = this.#closed.signal.aborted
        ? undefined
        : await this.#cache?.save(platform, held.documents);
      if (failure !== undefined) this.#log('warn', 'collateral.cache-failed', { reason: failure });
    } catch (error) {
      if (!(error instanceof ServiceFailure)) throw error;
      collateral.fail(error.message, this.#clock.nowMs(), this.#jitter());
      this.#log('warn', 'collateral.renewal-failed', { ...nameOf(platform), reason: error.message });
    }
  }

  /**
   * A set from the disk serves at once; the services are asked right after, and a fresh set of theirs takes its place
   * even when it is older: the host can put an early set on the disk, next to which each standard set looks old. So a set
   * from the disk leaves no mark either.
   */
  async #loadFromDisk(entry: Entry): Promise<boolean> {
    const { platform, collateral } = entry;
    entry.isLoaded = true;
    const documents = await this.#cache?.load(platform);
    if (documents === undefined) return false;
    const facts = this.#currentFacts(documents, platform);
    if (facts === undefined) return false;
    try {
      this.#newest.requireNotOlder(facts);
    } catch (error) {
      if (error instanceof ProblemError) return false;
      throw error;
    }
    collateral.held = { documents, facts, origin: 'disk cache' };
    collateral.refreshAtMs = this.#clock.nowMs();
    this.#maintain(entry);
    return true;
  }

  /** Keeps a set fresh from now on, as long as its entry lives. */
  #maintain(entry: Entry): void {
    if (entry.isMaintained) return;
    entry.isMaintained = true;
    this.#keepFresh(entry).catch((error: unknown) => {
      entry.isMaintained = false;
      this.#log('error', 'collateral.bug', { reason: String(error) });
    });
  }

  async #keepFresh(entry: Entry): Promise<void> {
    const { signal } = entry.gone;
    while (!signal.aborted) {
      // After the attempt that started this loop: its promise must not wait for itself.
      await entry.attempt;
      await this.#clock.sleep(entry.collateral.sleepMs(this.#clock.nowMs()), signal);
      if (signal.aborted) return;
      if (this.#clock.nowMs() >= entry.collateral.refreshAtMs) await this.#attempt(entry);
    }
  }

  #unavailable(reason: string, retryAfterMs?: number): ProblemError {
    return new ProblemError('COLLATERAL_UNAVAILABLE', `no usable collateral: ${reason}`, {
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}

const nameOf = ({ fmspc, ca }: PlatformKind) => ({ fmspc: toHex(fmspc).toUpperCase(), ca });
