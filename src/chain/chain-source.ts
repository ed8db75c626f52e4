import { equalBytes } from '../bytes/concat.ts';
import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import { type ChainConnection, type EndpointReading, openChainConnection } from './chain-connection.ts';
import type { ChainLogEvent } from './chain-log-event.ts';
import { ConnectionLog } from './connection-log.ts';
import { endpointName } from './json-rpc-socket.ts';
import type { LayoutDecoder } from './layout-decoder.ts';
import { PageSizes } from './page-size.ts';
import type { ProvenChain } from './proven-read.ts';

/** How all endpoints of a view are read: their metadata decoded, each at a pace of its own, or all by proof. */
export type ChainReading = { readonly decoder: LayoutDecoder } | { readonly proven: ProvenChain };

/** What one endpoint's source needs; all times in milliseconds. */
export interface ChainSourceOptions {
  readonly endpoint: string;
  readonly connectDeadlineMs: number;
  readonly requestDeadlineMs: number;
  readonly watchdogMs: number;
  /** First and longest pause between attempts; the pause doubles and is jittered. */
  readonly reconnectMs: { readonly min: number; readonly max: number };
  readonly reading: ChainReading;
  readonly clock: Clock;
  /** Number in [0, 1) for the jitter. */
  readonly random: () => number;
  /** The chain that this must be, as soon as that is known. */
  readonly expectedGenesis: () => BlockHash | undefined;
  /** Called when a finalized head arrived or the connection changed. */
  readonly onChange: () => void;
  readonly log: (event: ChainLogEvent) => void;
}

/** An open connection, and the newest finalized block that it reported. */
export interface LiveConnection {
  readonly connection: ChainConnection;
  readonly finalizedNumber: number;
}

/** Keeps one endpoint connected: connects, checks the genesis hash each time, and starts over whenever it ends. */
export class ChainSource {
  readonly name: string;
  readonly #options: ChainSourceOptions;
  /** Outlives connections: an endpoint that reconnects keeps its pace. */
  readonly #reading: EndpointReading;
  readonly #pages = new PageSizes();
  #connection: ChainConnection | undefined;
  #finalizedNumber: number | undefined;
  #isStalled = false;
  /** The last read from it failed or showed less than it claims: others are asked before. */
  isDoubted = false;
  #failure: LatchkeyError | undefined;
  readonly #connections: ConnectionLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ChainSourceOptions) {
    this.#options = options;
    this.name = endpointName(options.endpoint);
    this.#connections = new ConnectionLog(options.log, options.clock);
    const noteFailure = ({ code, message }: LatchkeyError): void =>
      options.log({ event: 'chain.decoder-failed', endpoint: this.name, code, message });
    const { reading } = options;
    this.#reading = 'proven' in reading ? reading : { decoder: reading.decoder.forEndpoint(noteFailure) };
  }

  /** The live connection, once its first finalized head is known. */
  get live(): LiveConnection | undefined {
    if (this.#connection === undefined || this.#finalizedNumber === undefined) return undefined;
    return { connection: this.#connection, finalizedNumber: this.#finalizedNumber };
  }

  /** Why there is no live connection, as far as known. */
  get failure(): LatchkeyError | undefined {
    return this.#failure;
  }

  /** What is missing before this endpoint can be read. */
  get obstacle(): string | undefined {
    if (this.live !== undefined) return undefined;
    if (this.#connection !== undefined)
      return `${this.name} is connected and has told of no finalized head yet`;
    return this.#failure?.message ?? `${this.name} is being connected`;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the connection and all attempts; resolves when nothing of this source runs any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#connections.stop();
  }

  /** Starts over, because the endpoint gave answers that cannot be. */
  restart(reason: string): void {
    this.#connection?.close(reason);
  }

  async #run(): Promise<void> {
    const { min, max } = this.#options.reconnectMs;
    let pauseMs = min;
    while (!this.#stopping.signal.aborted) {
      const sawHead = await this.#runOnce();
      if (this.#stopping.signal.aborted) return;
      pauseMs = sawHead ? min : Math.min(max, pauseMs * 2);
      await this.#options.clock.sleep(pauseMs * (0.5 + this.#options.random() / 2), this.#stopping.signal);
    }
  }

  /** Runs one connection until it ends. @returns whether it reported a finalized head. */
  async #runOnce(): Promise<boolean> {
    const { onChange } = this.#options;
    try {
      const connection = await this.#connect();
      this.#connection = connection;
      this.#failure = undefined;
      this.#connections.connected({ event: 'chain.connected', endpoint: this.name });
      onChange();
      const message = await connection.ended;
      this.#failure = new ProblemError('CHAIN_UNAVAILABLE', `${this.name}: ${message}`);
      this.#connections.failed({ event: 'chain.disconnected', endpoint: this.name, message });
    } catch (error) {
      this.#failure =
        error instanceof LatchkeyError
          ? error
          : new ProblemError('CHAIN_UNAVAILABLE', `${this.name}: ${String(error)}`, { cause: error });
      const { code, message } = this.#failure;
      this.#connections.failed({ event: 'chain.connect-failed', endpoint: this.name, code, message });
    }
    const sawHead = this.#finalizedNumber !== undefined && this.#connection !== undefined;
    this.#connection = undefined;
    this.#finalizedNumber = undefined;
    onChange();
    return sawHead;
  }

  async #connect(): Promise<ChainConnection> {
    const { endpoint, clock, connectDeadlineMs, requestDeadlineMs, watchdogMs, onChange } = this.#options;
    const connection = await openChainConnection({
      endpoint,
      connectDeadlineMs,
      requestDeadlineMs,
      watchdogMs,
      reading: this.#reading,
      pages: this.#pages,
      clock,
      signal: this.#stopping.signal,
      onFinalized: (number) => {
        this.#finalizedNumber = Math.max(number, this.#finalizedNumber ?? 0);
        this.#isStalled = false;
        onChange();
      },
      onStalled: () => this.#noteStall(),
    });
    const expected = this.#options.expectedGenesis();
    if (expected === undefined || equalBytes(expected, connection.genesisHash)) return connection;
    connection.close('another chain');
    throw new ProblemError('CHAIN_GENESIS_MISMATCH', `${this.name} serves another chain`, {
      field: 'genesisHash',
      expected: toPrefixedHex(expected),
      observed: toPrefixedHex(connection.genesisHash),
      hint: 'Check the endpoint, or the genesis hash in the trust section.',
    });
  }

  /** Reports a stall once, and not at every check of the watchdog. */
  #noteStall(): void {
    if (this.#isStalled) return;
    this.#isStalled = true;
    const blockNumber = this.#finalizedNumber;
    this.#options.log({
      event: 'chain.stalled',
      endpoint: this.name,
      ...(blockNumber === undefined ? {} : { blockNumber }),
    });
  }
}
