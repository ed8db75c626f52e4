import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { ChainSnapshot } from './chain-view.ts';
import { decodeSnapshot } from './decode-snapshot.ts';
import { type BlockReference, checkHeader, findBlock, readFinalizedState } from './finalized-state.ts';
import { type JsonRpcSocket, openJsonRpcSocket } from './json-rpc-socket.ts';
import type { EndpointDecoder } from './layout-decoder.ts';
import { hashAnswer, headerNumber, hexAnswer, objectAnswer } from './rpc-values.ts';
import { type ProvenChain, ProvenReader } from './proven-read.ts';
import { MAX_METADATA_BYTES } from './runtime-layout.ts';
import { type RecordDecoders, recordDecoders } from './record-decoders.ts';

/** Either an endpoint is believed, and its metadata decoded, or it has to prove what it says. */
export type EndpointReading = { readonly decoder: EndpointDecoder } | { readonly proven: ProvenChain };

/** How one connection behaves; all times in milliseconds. */
export interface ChainConnectionOptions {
  readonly endpoint: string;
  /** For the handshake. */
  readonly connectDeadlineMs: number;
  /** For each answer. */
  readonly requestDeadlineMs: number;
  /** Without a finalized head for this long, the connection counts as dead. */
  readonly watchdogMs: number;
  readonly reading: EndpointReading;
  /** Ends the connection, or the attempt to connect, at once. */
  readonly signal: AbortSignal;
  /** Called with the number of each finalized head. */
  readonly onFinalized: (number: number) => void;
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
  /** Resolves with the reason once the connection is over. */
  readonly ended: Promise<string>;
  close(reason: string): void;
}

/** Metadata's bytes; looks at the length first, because hex is read in one go. */
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
  reading: EndpointReading,
): Promise<ChainConnection['readAt']> {
  if ('proven' in reading) {
    const reader = new ProvenReader(socket, reading.proven);
    await reader.listen();
    return (number) => reader.read(genesisHash, number);
  }
  const runtimeAt = runtimeCache(socket, reading.decoder);
  return async (number) => {
    const block = await findBlock(socket, number);
    checkHeader(block);
    const runtime = await runtimeAt(block);
    const state = await readFinalizedState(socket, block.hash, runtime.entropyTssKey);
    return decodeSnapshot(genesisHash, block, runtime, state);
  };
}

/** Ends the connection when no finalized head comes: half-open connections look alive for hours. */
function startWatchdog(
  socket: JsonRpcSocket,
  watchdogMs: number,
): { readonly heard: () => void; readonly stop: () => void } {
  const timer = setTimeout(() => socket.close(`no finalized head for ${watchdogMs} ms`), watchdogMs);
  return { heard: () => timer.refresh(), stop: () => clearTimeout(timer) };
}

/**
 * Connects to one endpoint and follows its finalized heads.
 * @throws ProblemError CHAIN_UNAVAILABLE when that does not succeed in time.
 */
export async function openChainConnection(options: ChainConnectionOptions): Promise<ChainConnection> {
  const socket = await openJsonRpcSocket(options);
  const watchdog = startWatchdog(socket, options.watchdogMs);
  void socket.ended.then(watchdog.stop);
  const blockHash = async (number: number): Promise<BlockHash> =>
    hashAnswer(await socket.request('chain_getBlockHash', [number]), `hash of block ${number}`);
  try {
    const genesisHash = await blockHash(0);
    await socket.subscribe('chain_subscribeFinalizedHeads', (header) => {
      watchdog.heard();
      try {
        options.onFinalized(headerNumber(header));
      } catch {
        socket.close('the endpoint sent a finalized head that is no header');
      }
    });
    const readAt = await readerOf(socket, genesisHash, options.reading);
    return {
      genesisHash,
      blockHash,
      readAt,
      ended: socket.ended,
      close: socket.close,
    };
  } catch (error) {
    socket.close('the connection could not be set up');
    throw error;
  }
}
