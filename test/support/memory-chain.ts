import { compareBytes } from '../../src/bytes/concat.ts';
import { BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { u64BigEndian } from '../../src/bytes/integers.ts';
import type { ChainSnapshot, ChainView, ServerRecord } from '../../src/chain/chain-view.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { ProblemError } from '../../src/errors/latchkey-error.ts';

/** What a test may set; the rest of the snapshot follows. */
export interface MemoryChainContent {
  readonly servers?: readonly ServerRecord[];
  readonly acceptedMeasurements?: readonly Uint8Array[];
  readonly undecodableRecords?: number;
  readonly timestampMs?: number | undefined;
}

/** A chain in memory that a test drives by hand. */
export interface MemoryChain extends ChainView {
  /** Replaces what is given, keeps the rest, and finalizes one more block; tells subscribers before it returns. */
  set(content: MemoryChainContent): ChainSnapshot;
  /** Finalizes one more block that changes nothing else; subscribers hear only of changed content. */
  extend(timestampMs: number): ChainSnapshot;
  /** Makes `snapshot()` fail with CHAIN_UNAVAILABLE until called with `true`. */
  setAvailable(available: boolean): void;
}

const genesisHash = BlockHash.of(sha256(new TextEncoder().encode('memory chain')));

/** Makes an in-memory chain view: block 1 holds `initial`, every `set` finalizes the next block. */
export function memoryChain(initial: MemoryChainContent = {}): MemoryChain {
  const listeners = new Set<(snapshot: ChainSnapshot) => void>();
  let content = initial;
  let number = 1;
  let available = true;
  let closed = false;

  const block = (): ChainSnapshot['block'] => ({
    number,
    hash: BlockHash.of(sha256(genesisHash, u64BigEndian(number))),
    timestampMs: content.timestampMs,
  });
  const build = (): ChainSnapshot => ({
    genesisHash,
    block: block(),
    servers: [...(content.servers ?? [])].sort((a, b) => compareBytes(a.account, b.account)),
    undecodableRecords: content.undecodableRecords ?? 0,
    acceptedMeasurements: content.acceptedMeasurements ?? [],
  });
  let current = build();

  return {
    async snapshot() {
      if (!available || closed)
        throw new ProblemError('CHAIN_UNAVAILABLE', 'the memory chain was switched off');
      return current;
    },
    subscribe(listener) {
      // A wrapper of its own, so that one function subscribed twice is two subscriptions.
      const entry = (snapshot: ChainSnapshot): void => listener(snapshot);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    set(next) {
      content = { ...content, ...next };
      number += 1;
      current = build();
      if (!closed) for (const listener of [...listeners]) listener(current);
      return current;
    },
    extend(timestampMs) {
      content = { ...content, timestampMs };
      number += 1;
      current = { ...current, block: block() };
      return current;
    },
    setAvailable(value) {
      available = value;
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      listeners.clear();
    },
  };
}
