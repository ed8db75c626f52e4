import { equalBytes } from '../bytes/concat.ts';
import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { headerHash } from './header-hash.ts';
import type { JsonRpcSocket } from './json-rpc-socket.ts';
import { PageSizes } from './page-size.ts';
import { hashAnswer, headerNumber, hexAnswer, listAnswer, objectAnswer } from './rpc-values.ts';
import { mapKey, storageItems } from './storage-keys.ts';

/** More records than any network of threshold servers has; beyond, the endpoint is feeding us junk. */
const MAX_RECORDS = 20_000;
/** Of keys and values together; a thousand records with quotes have 16 MB. An endpoint must not fill our memory. */
const MAX_STATE_BYTES = 128 * 1024 * 1024;

/** A finalized block as an endpoint names it. */
export interface BlockReference {
  readonly number: number;
  readonly hash: BlockHash;
  /** The block with the code that wrote the state after this one. */
  readonly codeAt: BlockHash;
  readonly header: unknown;
}

/** Raw storage at one block, not decoded yet; `undefined` where the chain stores nothing. */
export interface RawFinalizedState {
  readonly validators: Uint8Array | undefined;
  readonly signers: Uint8Array | undefined;
  readonly now: Uint8Array | undefined;
  readonly acceptedMeasurements: Uint8Array | undefined;
  /** Storage key (`0x` hex, of the right prefix) and value of each threshold server. */
  readonly thresholdServers: readonly (readonly [key: string, value: Uint8Array])[];
}

const inconsistent = (message: string): ProblemError =>
  new ProblemError('CHAIN_UNAVAILABLE', `the endpoint contradicts itself: ${message}`);

/** Finds a block of the canonical chain by number. @throws ProblemError CHAIN_UNAVAILABLE when it is not there. */
export async function findBlock(socket: JsonRpcSocket, number: number): Promise<BlockReference> {
  const hash = hashAnswer(await socket.request('chain_getBlockHash', [number]), `hash of block ${number}`);
  const header = await socket.request('chain_getHeader', [toPrefixedHex(hash)]);
  if (headerNumber(header) !== number) throw inconsistent(`block ${number} has another number in its header`);
  // The runtime that ran a block is the code before it: an upgrade in block N first writes state in N + 1.
  const parent = objectAnswer(header, 'header')['parentHash'];
  return { number, hash, codeAt: number === 0 ? hash : hashAnswer(parent, 'parentHash'), header };
}

/** Checks that the header is what the hash commits to. @throws ProblemError CHAIN_UNAVAILABLE. */
export function checkHeader(block: BlockReference): void {
  if (equalBytes(headerHash(block.header), block.hash)) return;
  throw inconsistent(`the header of block ${block.number} does not hash to its block hash`);
}

/** Counts what an endpoint sends for one snapshot. @throws ProblemError CHAIN_UNAVAILABLE above the bound. */
type Spend = (bytes: number) => void;

function spendAtMost(maxBytes: number): Spend {
  let left = maxBytes;
  return (bytes) => {
    left -= bytes;
    if (left < 0) throw inconsistent(`more than ${maxBytes} bytes of threshold servers`);
  };
}

async function readValues(
  socket: JsonRpcSocket,
  at: BlockHash,
  keys: readonly string[],
  spend: Spend,
  pages: PageSizes,
): Promise<Map<string, Uint8Array | undefined>> {
  const values = new Map<string, Uint8Array | undefined>();
  const ask = (page: readonly string[]): Promise<unknown> =>
    socket.request('state_queryStorageAt', [page, toPrefixedHex(at)]);
  for await (const [page, answer] of pages.values.pagesOf(keys, ask)) {
    const [set] = listAnswer(answer, 'storage');
    const { block, changes } = objectAnswer(set, 'storage');
    if (block !== toPrefixedHex(at)) throw inconsistent('storage of another block than was asked for');
    for (const change of listAnswer(changes, 'storage')) {
      const [key, value] = listAnswer(change, 'storage entry');
      if (typeof key !== 'string' || !page.includes(key)) throw inconsistent('a key that was not asked for');
      const bytes = value === null || value === undefined ? undefined : hexAnswer(value, 'storage value');
      spend(bytes?.length ?? 0);
      values.set(key, bytes);
    }
    if (page.some((key) => !values.has(key))) throw inconsistent('a key that was asked for is missing');
  }
  return values;
}

async function readKeys(
  socket: JsonRpcSocket,
  at: BlockHash,
  prefix: string,
  spend: Spend,
  pages: PageSizes,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for (;;) {
    const last = keys.at(-1) ?? null;
    let asked = 0;
    const answer = await pages.keys.ask((most) => {
      asked = most;
      return socket.request('state_getKeysPaged', [prefix, most, last, toPrefixedHex(at)]);
    });
    const page = listAnswer(answer, 'keys');
    for (const key of page) {
      // Strictly ascending, so that a repeated page is an error and not an endless loop.
      const isNext = typeof key === 'string' && key.startsWith(prefix) && key > (keys.at(-1) ?? '');
      if (!isNext) throw inconsistent('keys that are out of order or outside the prefix');
      spend(key.length);
      keys.push(key);
    }
    if (keys.length > MAX_RECORDS) throw inconsistent(`more than ${MAX_RECORDS} threshold servers`);
    if (page.length < asked) return keys;
  }
}

/** Keys of a storage map as an endpoint lists them, `0x` hex, ascending. @throws ProblemError CHAIN_UNAVAILABLE. */
export const readMapKeys = (
  socket: JsonRpcSocket,
  at: BlockHash,
  prefix: string,
  pages: PageSizes,
): Promise<readonly string[]> => readKeys(socket, at, prefix, spendAtMost(MAX_STATE_BYTES), pages);

/**
 * Reads everything that a snapshot needs, all of it at one block.
 * @throws ProblemError CHAIN_UNAVAILABLE.
 */
export async function readFinalizedState(
  socket: JsonRpcSocket,
  at: BlockHash,
  entropyTssKey: Uint8Array,
  pages: PageSizes = new PageSizes(),
  maxBytes = MAX_STATE_BYTES,
): Promise<RawFinalizedState> {
  const spend = spendAtMost(maxBytes);
  const measurementsKey = mapKey(storageItems.acceptedMeasurementValues, entropyTssKey);
  const { validators, signers, now, thresholdServers } = storageItems;
  const plain = [validators.prefix, signers.prefix, now.prefix, measurementsKey];
  const serverKeys = await readKeys(socket, at, thresholdServers.prefix, spend, pages);
  const values = await readValues(socket, at, [...plain, ...serverKeys], spend, pages);
  return {
    validators: values.get(validators.prefix),
    signers: values.get(signers.prefix),
    now: values.get(now.prefix),
    acceptedMeasurements: values.get(measurementsKey),
    thresholdServers: serverKeys.map((key) => {
      const value = values.get(key);
      if (value === undefined) throw inconsistent('a listed key that has no value');
      return [key, value] as const;
    }),
  };
}
