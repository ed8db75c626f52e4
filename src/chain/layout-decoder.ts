import { toHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import { startTimer, type Timer } from '../time/timer.ts';
import { DecodePace } from './decode-pace.ts';
import { type DecoderProcess, startDecoderProcess } from './decoder-process.ts';
import type { DecoderAnswer, RuntimeLayout } from './runtime-layout.ts';

/** Processes at once; the endpoints beyond wait for their turn, which comes because each process has a deadline. */
const MAX_RUNNING = 3;
/** Answers kept, those used last: one for each runtime that endpoints are at. */
const MAX_ANSWERS = 8;
/** How long a process waits for the first metadata before it is let go. */
const IDLE_MS = 30_000;

/** What the decoder of a view needs. */
export interface LayoutDecoderOptions {
  /** Milliseconds for one metadata. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly start?: (options: { readonly deadlineMs: number; readonly clock: Clock }) => DecoderProcess;
}

/** Gets the layout of a runtime for one endpoint; `fetch` brings its metadata. @throws ProblemError. */
export type EndpointDecoder = (fetch: () => Promise<Uint8Array>) => Promise<RuntimeLayout>;

const unavailable = (message: string): ProblemError => new ProblemError('CHAIN_UNAVAILABLE', message);

function layoutOf(answer: DecoderAnswer): RuntimeLayout {
  switch (answer.kind) {
    case 'layout':
      return answer.layout;
    case 'unusable':
      throw unavailable(`the runtime's metadata cannot be used: ${answer.why}`);
    case 'shape': {
      const { item, expected, observed } = answer;
      const message = `the runtime's ${item} is ${observed}, expected ${expected}`;
      throw new ProblemError('CHAIN_SHAPE_UNKNOWN', message, {
        field: item,
        expected,
        observed,
        hint: 'The runtime was upgraded to, or is still at, a version that this release does not know.',
      });
    }
  }
}

/**
 * Decodes the metadata of all endpoints of one view, each in a process of its own, and remembers the answers by the
 * metadata's hash: endpoints of one chain share one, and an endpoint that forges is alone with its forgery.
 */
export class LayoutDecoder implements AsyncDisposable {
  readonly #options: LayoutDecoderOptions;
  readonly #start: () => DecoderProcess;
  readonly #answers = new Memo<DecoderAnswer>(MAX_ANSWERS);
  readonly #pending = new Map<string, Promise<DecoderAnswer>>();
  readonly #processes = new Set<DecoderProcess>();
  readonly #turns: (() => void)[] = [];
  #running = 0;
  #ready: DecoderProcess | undefined;
  #idleTimer: Timer | undefined;
  #closed = false;

  /** Starts the first process at once: it takes as long to get ready as a connection. */
  constructor(options: LayoutDecoderOptions) {
    this.#options = options;
    const start = options.start ?? startDecoderProcess;
    this.#start = () => {
      const started = start({ deadlineMs: options.deadlineMs, clock: options.clock });
      this.#processes.add(started);
      void started.ended.then(() => this.#processes.delete(started));
      return started;
    };
    this.#ready = this.#start();
    this.#idleTimer = startTimer(options.clock, IDLE_MS, () => this.#takeReady()?.kill('nothing to decode'));
  }

  /** The decoder as one endpoint sees it, with a pace of its own. @param onFailure hears of processes that failed. */
  forEndpoint(onFailure: (error: ProblemError) => void): EndpointDecoder {
    const pace = new DecodePace(this.#options.clock);
    let isDecoding = false;
    return async (fetch) => {
      pace.check();
      const metadata = await fetch();
      const id = toHex(sha256(metadata));
      const known = this.#answers.find(id);
      if (known !== undefined) return layoutOf(known);
      const pending = this.#pending.get(id);
      if (pending !== undefined) return layoutOf(await pending);
      // One at a time: an endpoint with endless metadata must not take the turns of the others.
      if (isDecoding) throw unavailable('its former metadata is still being decoded');
      isDecoding = true;
      pace.started();
      const answer = await this.#decodeOnce(id, metadata)
        .catch((error: unknown) => {
          if (error instanceof ProblemError && !this.#closed) onFailure(error);
          throw error;
        })
        .finally(() => {
          isDecoding = false;
        });
      return layoutOf(answer);
    };
  }

  /** Ends all processes; resolves when they are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#idleTimer?.stop();
    for (const turn of this.#turns.splice(0)) turn();
    const processes = [...this.#processes];
    for (const one of processes) one.kill('the chain view was closed');
    await Promise.all(processes.map(({ ended }) => ended));
  }

  #decodeOnce(id: string, metadata: Uint8Array): Promise<DecoderAnswer> {
    const pending = this.#decode(metadata).finally(() => this.#pending.delete(id));
    this.#pending.set(id, pending);
    void pending.then(
      (answer) => this.#answers.set(id, answer),
      () => undefined,
    );
    return pending;
  }

  async #decode(metadata: Uint8Array): Promise<DecoderAnswer> {
    while (this.#running >= MAX_RUNNING && !this.#closed) {
      await new Promise<void>((resolve) => this.#turns.push(resolve));
    }
    if (this.#closed) throw unavailable('the chain view was closed');
    this.#running += 1;
    try {
      const ready = this.#takeReady();
      return await (ready?.isRunning === true ? ready : this.#start()).decode(metadata);
    } finally {
      this.#running -= 1;
      this.#turns.shift()?.();
    }
  }

  #takeReady(): DecoderProcess | undefined {
    this.#idleTimer?.stop();
    const ready = this.#ready;
    this.#ready = undefined;
    return ready;
  }
}
