import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import { startTimer, type Timer } from '../time/timer.ts';
import type { ChainSnapshot } from './chain-view.ts';
import { decodeSnapshot } from './decode-snapshot.ts';
import { type BlockReference, checkHeader, findBlock, readFinalizedState } from './finalized-state.ts';
import { type JsonRpcSocket, openJsonRpcSocket } from './json-rpc-socket.ts';
import type { EndpointDecoder } from './layout-decoder.ts';
import type { PageSizes } from './page-size.ts';
import { type ProvenChain, ProvenReader } from './proven-read.ts';
import { type RecordDecoders, recordDecoders } from './record-decoders.ts';
import { hashAnswer, headerNumber, hexAnswer, objectAnswer } from './rpc-values.ts';
import { MAX_METADATA_BYTES } from './runtime-layout.ts';

/** How an endpoint is read: trusted, with its metadata decoded, or with proofs for all of its answers. */
export type EndpointReading = { readonly decoder: EndpointDecoder } | { readonly proven: ProvenChain };

/** How one connection behaves; all times in milliseconds. */
export interface ChainConnectionOptions {
  readonly endpoint: string;
  /** For the handshake. */
  readonly connectDeadlineMs: number;
  /** For each answer. */
  readonly requestDeadlineMs: number;
  /** Without a finalized head for this long, the endpoint is asked for its finalized head. */
  readonly watchdogMs: number;
  readonly reading: EndpointReading;
  /** Outlives the connection. */
  readonly pages: PageSizes;
  readonly clock: Clock;
  /** Ends the connection, or the attempt to connect, at once. */
  readonly signal: AbortSignal;
  /** Called with the number of each finalized head. */
  readonly onFinalized: (number: number) => void;
  /** Called when the endpoint answers and has no newer finalized head than it reported. */
  readonly onStalled: () => void;
}

/** One live connection to one endpoint; once it has ended, make another. */
export interface ChainConnection {
  readonly genesisHash: BlockHash;
  /** Hash of a block of the endpoint's canonical chain. @throws ProblemError CHAIN_UNAVAILABLE. */
  blockHash(number: number): Promise<BlockHash>;
  /**
   * Reads the snapshot at a block that this endpoint called finalized; where that is to be proven, at the newest block
   * that is. @throws ProblemError; EvidenceError of a proof.
   */
  readAt(number: number): Promise<ChainSnapshot>;
  /**
   * Reads the snapshot at exactly this block, which is proven to be an ancestor of the newest proven one; absent where
   * nothing is proven. @throws ProblemError; EvidenceError of a proof.
   */
  readonly readAncestor?: (number: number) => Promise<ChainSnapshot>;
  /** Resolves with the reason once the connection is over. */
  readonly ended: Promise<string>;
  close(reason: string): void;
}

/** The bytes of metadata; the length is checked first, because hex is decoded in one step. */
function metadataAnswer(value: unknown): Uint8Array {
  if (typeof value === 'string' && value.length > 2 + 2 * MAX_METADATA_BYTES) {
    const message = `the endpoint's metadata has more than ${MAX_METADATA_BYTES} bytes`;
    throw new ProblemError('CHAIN_UNAVAILABLE', message);
  }
  return hexAnswer(value, 'metadata');
}

/** Keeps the runtime of the last block read; loads another when the version at the block's code differs. */
function runtimeCache(
  socket: JsonRpcSocket,
  decoder: EndpointDecoder,
): (block: BlockReference) => Promise<RecordDecoders> {
  let cached: { readonly key: string; readonly runtime: RecordDecoders } | undefined;
  return async ({ codeAt }) => {
    const version = await socket.request('state_getRuntimeVersion', [toPrefixedHex(codeAt)]);
    const { specName, specVersion } = objectAnswer(version, 'runtime version');
    const key = `${String(specName)}/${String(specVersion)}`;
    if (cached?.key !== key) {
      const layout = await decoder(async () =>
        metadataAnswer(await socket.request('state_getMetadata', [toPrefixedHex(codeAt)])),
      );
      cached = { key, runtime: recordDecoders(layout) };
    }
    return cached.runtime;
  };
}

async function readerOf(
  socket: JsonRpcSocket,
  genesisHash: BlockHash,
  { pages, reading }: ChainConnectionOptions,
  lastHead: () => unknown,
): Promise<Pick<ChainConnection, 'readAt' | 'readAncestor'>> {
  if ('proven' in reading) {
    const reader = new ProvenReader(socket, reading.proven, pages, lastHead);
    await reader.listen();
    return {
      readAt: (number) => reader.read(genesisHash, number),
      readAncestor: (number) => reader.readAncestor(genesisHash, number),
    };
  }
  const runtimeAt = runtimeCache(socket, reading.decoder);
  return {
    async readAt(number) {
      const block = await findBlock(socket, number);
      checkHeader(block);
      const runtime = await runtimeAt(block);
      const state = await readFinalizedState(socket, block.hash, runtime.entropyTssKey, pages);
      return decodeSnapshot(genesisHash, block, runtime, state);
    },
  };
}

/** A half-open connection seems alive for hours, so an endpoint that reports no finalized head is asked for it. */
class Watchdog {
  readonly #socket: JsonRpcSocket;
  readonly #options: ChainConnectionOptions;
  #timer: Timer | undefined;
  #heard = -1;
  #isOver = false;

  constructor(socket: JsonRpcSocket, options: ChainConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#restart();
    void socket.ended.then(() => {
      this.#isOver = true;
      this.#timer?.stop();
    });
  }

  heard(number: number): void {
    this.#heard = Math.max(this.#heard, number);
    this.#restart();
  }

  #restart(): void {
    this.#timer?.stop();
    if (this.#isOver) return;
    this.#timer = startTimer(this.#options.clock, this.#options.watchdogMs, () => void this.#look());
  }

  /** Stalled finality is no reason to connect again; a finalized head that the subscription did not send is. */
  async #look(): Promise<void> {
    const { onStalled, watchdogMs } = this.#options;
    const heard = this.#heard;
    try {
      const hash = hashAnswer(await this.#socket.request('chain_getFinalizedHead', []), 'finalized head');
      const head = headerNumber(await this.#socket.request('chain_getHeader', [toPrefixedHex(hash)]));
      if (this.#heard > heard) return;
      if (head !== heard) throw new ProblemError('CHAIN_UNAVAILABLE', `block ${head} is final already`);
      onStalled();
      this.#restart();
    } catch (error) {
      this.#socket.close(`no finalized head for ${watchdogMs} ms: ${messageOf(error)}`);
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Connects to one endpoint and follows its finalized heads.
 * @throws ProblemError CHAIN_UNAVAILABLE when that does not succeed in time.
 */
export async function openChainConnection(options: ChainConnectionOptions): Promise<ChainConnection> {
  const socket = await openJsonRpcSocket(options);
  const watchdog = new Watchdog(socket, options);
  const blockHash = async (number: number): Promise<BlockHash> =>
    hashAnswer(await socket.request('chain_getBlockHash', [number]), `hash of block ${number}`);
  let lastHead: unknown;
  try {
    const genesisHash = await blockHash(0);
    await socket.subscribe('chain_subscribeFinalizedHeads', (header) => {
      try {
        const number = headerNumber(header);
        lastHead = header;
        watchdog.heard(number);
        options.onFinalized(number);
      } catch {
        socket.close('the endpoint sent a finalized head that is no header');
      }
    });
    const reader = await readerOf(socket, genesisHash, options, () => lastHead);
    return {
      ...reader,
      genesisHash,
      blockHash,
      ended: socket.ended,
      close: socket.close,
    };
  } catch (error) {
    socket.close('the connection could not be set up');
    throw error;
  }
}
