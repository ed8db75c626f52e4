import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { startTimer, type Timer } from '../time/timer.ts';
import {
  type AgreedReadOptions,
  readAgreedSnapshot,
  readProvenSnapshot,
  tooFewEndpoints,
} from './agreed-read.ts';
import { contentFingerprint, sharesContent } from './agreement.ts';
import type { ChainLogEvent } from './chain-log-event.ts';
import { type ChainReading, ChainSource } from './chain-source.ts';
import type { ChainSnapshot, ChainView } from './chain-view.ts';
import { FailureStreak } from './failure-streak.ts';
import { LayoutDecoder } from './layout-decoder.ts';
import { type Checkpoint, FinalityTracker } from './proof/finality-tracker.ts';
import { isFresh, ProvenChain, staleness } from './proven-read.ts';

/** How to follow a chain; all times in milliseconds. */
export interface ConnectChainOptions {
  /** `ws://` or `wss://` URLs, each given once. */
  readonly endpoints: readonly string[];
  /** The chain that this must be. Without it, the first chain that was read is the one from then on. */
  readonly genesisHash?: BlockHash;
  /** How many endpoints must say the same of the same finalized block; default 1, which trusts any one of them. */
  readonly agreement?: number;
  /**
   * With it no endpoint is believed: finality and storage are read by proof from this block on, and any one endpoint
   * that proves them will do, whatever `agreement` says.
   */
  readonly checkpoint?: Checkpoint;
  /** Oldest block that is taken when it is proven, by its own time against the clock; default 600 000. */
  readonly maxBlockAgeMs?: number;
  /** How long `snapshot()` and `connectChain` wait; default 15 000. */
  readonly deadlineMs?: number;
  /** Oldest snapshot that is handed out, by the time since it was last confirmed; default 120 000. */
  readonly maxSnapshotAgeMs?: number;
  /** Shortest time between two reads; default 1000. */
  readonly minRefreshMs?: number;
  /** Default 10 000. */
  readonly connectDeadlineMs?: number;
  /** Default 10 000. */
  readonly requestDeadlineMs?: number;
  /** For all answers of one endpoint to one read, where any one will do; default 10 000, and `decodeDeadlineMs` where metadata is decoded. */
  readonly readDeadlineMs?: number;
  /** For decoding the metadata of a runtime in a process of its own; default 60 000. Processor time has a bound too. */
  readonly decodeDeadlineMs?: number;
  /** Without a finalized head for this long the endpoint is asked for it, to tell a dead connection from stalled finality; default 60 000. */
  readonly watchdogMs?: number;
  /** Pauses between attempts to connect; default 500 to 15 000. */
  readonly reconnectMs?: { readonly min: number; readonly max: number };
  readonly log?: (event: ChainLogEvent) => void;
  /** For all deadlines, pauses and ages; the system's by default. */
  readonly clock?: Clock;
  /** Number in [0, 1), for jitter only. */
  readonly random?: () => number;
}

/** Shortest time between a read that failed and the next, in milliseconds. */
const MIN_RETRY_MS = 250;

/** From a failed read to the next when an endpoint has something new to read, in milliseconds. */
const NEWS_RETRY_MS = 1000;

interface Waiter {
  readonly resolve: (snapshot: ChainSnapshot) => void;
  readonly reject: (error: LatchkeyError) => void;
  readonly timer: Timer;
}

function checkOptions({ endpoints, agreement = 1 }: ConnectChainOptions): void {
  const invalid = endpoints.find((url) => !/^wss?:\/\//.test(url) || !URL.canParse(url));
  // The URL itself may hold an API key, so the message does not repeat it.
  if (invalid !== undefined) throw new TypeError('every chain endpoint must be a ws:// or wss:// URL');
  if (new Set(endpoints).size !== endpoints.length) throw new TypeError('a chain endpoint is given twice');
  if (!Number.isInteger(agreement) || agreement < 1 || agreement > endpoints.length) {
    throw new RangeError(`agreement must be 1 to ${endpoints.length} (the endpoints), got ${agreement}`);
  }
}

/**
 * A chain view over JSON-RPC: follows the finalized heads of its endpoints and keeps the newest
 * snapshot that enough of them agree on. Connections that fail, go silent or change their chain are replaced, without an
 * end.
 */
export class PolkadotChainView implements ChainView {
  readonly #agreement: number;
  readonly #deadlineMs: number;
  readonly #maxSnapshotAgeMs: number;
  readonly #minRefreshMs: number;
  readonly #readDeadlineMs: number;
  readonly #clock: Clock;
  readonly #log: (event: ChainLogEvent) => void;
  /** Absent where nothing is decoded that an endpoint could have forged. */
  readonly #decoder: LayoutDecoder | undefined;
  readonly #proven: ProvenChain | undefined;
  readonly #sources: readonly ChainSource[];
  readonly #listeners = new Set<(snapshot: ChainSnapshot) => void>();
  readonly #waiters = new Set<Waiter>();
  #genesisHash: BlockHash | undefined;
  #current: { readonly snapshot: ChainSnapshot; readonly fingerprint: string } | undefined;
  readonly #failures: FailureStreak;
  #failure: LatchkeyError | undefined;
  /** Runs while the current snapshot is young enough to be handed out. */
  #freshness: Timer | undefined;
  #isReading = false;
  /** Something may have changed since the last read began. */
  #isReadWanted = false;
  /** Runs while no read may begin. */
  #pause: Timer | undefined;
  /** Runs after a failed read, while only something new is a reason to read again. */
  #backOff: Timer | undefined;
  /** The newest finalized block that each endpoint had told of when the last read began or failed. */
  readonly #triedHeads = new Map<ChainSource, number>();
  #closed = false;

  /**
   * Starts following at once, in the background; {@link connectChain} also waits for the first snapshot.
   * @throws TypeError or RangeError on options that cannot work.
   */
  constructor(options: ConnectChainOptions) {
    checkOptions(options);
    this.#agreement = options.checkpoint === undefined ? (options.agreement ?? 1) : 1;
    this.#deadlineMs = options.deadlineMs ?? 15_000;
    this.#maxSnapshotAgeMs = options.maxSnapshotAgeMs ?? 120_000;
    this.#minRefreshMs = options.minRefreshMs ?? 1000;
    // Decoding metadata is part of a read, and has a deadline of its own.
    const decodeMs = options.checkpoint === undefined ? (options.decodeDeadlineMs ?? 60_000) : 0;
    this.#readDeadlineMs = options.readDeadlineMs ?? 10_000 + decodeMs;
    this.#clock = options.clock ?? systemClock;
    this.#failures = new FailureStreak(Math.max(this.#minRefreshMs, MIN_RETRY_MS));
    this.#log = options.log ?? (() => undefined);
    this.#genesisHash = options.genesisHash;
    const reading = this.#readingOf(options);
    this.#decoder = 'decoder' in reading ? reading.decoder : undefined;
    this.#proven = 'proven' in reading ? reading.proven : undefined;
    this.#sources = options.endpoints.map(
      (endpoint) =>
        new ChainSource({
          endpoint,
          connectDeadlineMs: options.connectDeadlineMs ?? 10_000,
          requestDeadlineMs: options.requestDeadlineMs ?? 10_000,
          watchdogMs: options.watchdogMs ?? 60_000,
          reading,
          clock: this.#clock,
          reconnectMs: options.reconnectMs ?? { min: 500, max: 15_000 },
          random: options.random ?? Math.random,
          expectedGenesis: () => this.#genesisHash,
          onChange: () => this.#wantRead(),
          log: this.#log,
        }),
    );
    for (const source of this.#sources) source.start();
  }

  #readingOf({ checkpoint, decodeDeadlineMs, maxBlockAgeMs }: ConnectChainOptions): ChainReading {
    const clock = this.#clock;
    if (checkpoint === undefined)
      return { decoder: new LayoutDecoder({ deadlineMs: decodeDeadlineMs ?? 60_000, clock }) };
    const finality = new FinalityTracker(checkpoint);
    return { proven: new ProvenChain({ finality, maxBlockAgeMs: maxBlockAgeMs ?? 600_000, clock }) };
  }

  async snapshot(): Promise<ChainSnapshot> {
    if (this.#closed) throw new ProblemError('CHAIN_UNAVAILABLE', 'the chain view was closed');
    const current = this.#current;
    if (current !== undefined && this.#isFresh(current.snapshot)) {
      return current.snapshot;
    }
    return await new Promise((resolve, reject) => {
      const timer = startTimer(this.#clock, this.#deadlineMs, () => {
        this.#waiters.delete(waiter);
        reject(this.#whyNot());
      });
      const waiter: Waiter = { resolve, reject, timer };
      this.#waiters.add(waiter);
    });
  }

  async snapshotAt(number: number): Promise<ChainSnapshot> {
    if (this.#closed) throw new ProblemError('CHAIN_UNAVAILABLE', 'the chain view was closed');
    return await readProvenSnapshot(this.#readOptions(), number);
  }

  #readOptions(): AgreedReadOptions {
    return {
      sources: this.#sources,
      agreement: this.#agreement,
      genesisHash: this.#genesisHash,
      readDeadlineMs: this.#readDeadlineMs,
      clock: this.#clock,
      previous: this.#current?.snapshot,
    };
  }

  subscribe(listener: (snapshot: ChainSnapshot) => void): () => void {
    const entry = (snapshot: ChainSnapshot): void => listener(snapshot);
    if (!this.#closed) this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Ends all connections and timers; pending calls fail with CHAIN_UNAVAILABLE. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#pause?.stop();
    this.#backOff?.stop();
    this.#freshness?.stop();
    this.#listeners.clear();
    for (const { reject, timer } of this.#waiters) {
      timer.stop();
      reject(new ProblemError('CHAIN_UNAVAILABLE', 'the chain view was closed'));
    }
    this.#waiters.clear();
    await Promise.all([
      this.#decoder?.[Symbol.asyncDispose](),
      ...this.#sources.map((source) => source.stop()),
    ]);
  }

  #isFresh(snapshot: ChainSnapshot): boolean {
    if (this.#freshness === undefined) return false;
    return this.#proven === undefined || isFresh(snapshot, this.#proven);
  }

  #whyNot(): LatchkeyError {
    const failures = this.#sources.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
    // Where an endpoint is more than away, that is what an operator must know.
    const stale = this.#current && this.#proven ? staleness(this.#current.snapshot, this.#proven) : undefined;
    const specific = [this.#failure, ...failures, stale].find(
      (error) => error && error.code !== 'CHAIN_UNAVAILABLE',
    );
    if (specific !== undefined) return specific;
    const known = this.#canRead() ? this.#failure : tooFewEndpoints(this.#sources, this.#agreement);
    const reasons = known === undefined ? 'the first read is under way' : known.message;
    const last = this.#current?.snapshot.block.number;
    const message = `no finalized snapshot within ${this.#deadlineMs} ms: ${reasons}`;
    return new ProblemError('CHAIN_UNAVAILABLE', message, {
      ...(last === undefined ? {} : { observed: `last read at block ${last}` }),
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
      cause: known,
    });
  }

  /** Reads as soon as that may be; several wishes in between are one read. */
  #wantRead(): void {
    this.#isReadWanted = true;
    this.#readIfDue();
  }

  #readIfDue(): void {
    const mustWait = this.#closed || this.#isReading || this.#pause !== undefined;
    if (mustWait || !this.#isReadWanted || !this.#canRead()) return;
    if (this.#backOff === undefined || this.#hasNews()) void this.#read();
  }

  /** Whether an endpoint can be read that could not be before, or has told of a newer head. */
  #hasNews(): boolean {
    return this.#sources.some(
      (source) =>
        source.live !== undefined && source.live.finalizedNumber > (this.#triedHeads.get(source) ?? -1),
    );
  }

  #noteTriedHeads(): void {
    for (const source of this.#sources)
      if (source.live !== undefined) this.#triedHeads.set(source, source.live.finalizedNumber);
  }

  /** Whether enough endpoints are connected and have reported a finalized head. */
  #canRead(): boolean {
    return this.#sources.filter(({ live }) => live !== undefined).length >= this.#agreement;
  }

  #startPause(milliseconds: number): void {
    this.#pause?.stop();
    this.#pause = startTimer(this.#clock, milliseconds, () => {
      this.#pause = undefined;
      this.#readIfDue();
    });
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    this.#isReadWanted = false;
    this.#backOff?.stop();
    this.#backOff = undefined;
    this.#triedHeads.clear();
    this.#noteTriedHeads();
    this.#startPause(this.#minRefreshMs);
    try {
      const snapshot = await readAgreedSnapshot(this.#readOptions());
      if (!this.#closed) this.#accept(snapshot);
    } catch (error) {
      this.#refused(error);
    }
    this.#isReading = false;
    this.#readIfDue();
  }

  #accept(snapshot: ChainSnapshot): void {
    const current = this.#current;
    const fingerprint =
      current !== undefined && sharesContent(snapshot, current.snapshot)
        ? current.fingerprint
        : contentFingerprint(snapshot);
    const isChanged = fingerprint !== current?.fingerprint;
    this.#current = { snapshot, fingerprint };
    this.#genesisHash ??= snapshot.genesisHash;
    this.#freshness?.stop();
    this.#freshness = startTimer(this.#clock, this.#maxSnapshotAgeMs, () => {
      this.#freshness = undefined;
    });
    this.#failure = undefined;
    this.#failures.end();
    for (const { resolve, timer } of this.#waiters) {
      timer.stop();
      resolve(snapshot);
    }
    this.#waiters.clear();
    if (!isChanged) return;
    this.#log({ event: 'chain.snapshot', blockNumber: snapshot.block.number });
    for (const listener of [...this.#listeners]) this.#tell(listener, snapshot);
  }

  #tell(listener: (snapshot: ChainSnapshot) => void, snapshot: ChainSnapshot): void {
    try {
      listener(snapshot);
    } catch (error) {
      this.#log({ event: 'chain.listener-failed', message: String(error) });
    }
  }

  #refused(error: unknown): void {
    if (this.#closed) return;
    this.#failure =
      error instanceof LatchkeyError
        ? error
        : new ProblemError('CHAIN_UNAVAILABLE', `reading failed: ${String(error)}`, { cause: error });
    const { code, message } = this.#failure;
    const { count, isToldAgain, pauseMs } = this.#failures.note(this.#failure);
    if (isToldAgain) this.#log({ event: 'chain.read-failed', code, message, count });
    // The next head would try again, but with slow finality that is long to wait for a fault that may have passed.
    this.#isReadWanted = true;
    this.#noteTriedHeads();
    this.#startPause(Math.min(pauseMs, Math.max(this.#minRefreshMs, NEWS_RETRY_MS)));
    this.#backOff = startTimer(this.#clock, pauseMs, () => {
      this.#backOff = undefined;
      this.#readIfDue();
    });
  }
}

/**
 * Connects to a chain and waits for the first finalized snapshot.
 * @throws ProblemError CHAIN_UNAVAILABLE, CHAIN_GENESIS_MISMATCH, CHAIN_SHAPE_UNKNOWN or CHAIN_DISAGREEMENT when there
 * is none within `deadlineMs`; nothing keeps running then.
 * @throws TypeError or RangeError on options that cannot work.
 */
export async function connectChain(options: ConnectChainOptions): Promise<PolkadotChainView> {
  const view = new PolkadotChainView(options);
  try {
    await view.snapshot();
    return view;
  } catch (error) {
    await view[Symbol.asyncDispose]();
    throw error;
  }
}
