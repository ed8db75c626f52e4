import { equalBytes } from '../../bytes/concat.ts';
import { memoKey } from '../../bytes/memo.ts';
import { blake2b256 } from '../../crypto/blake2.ts';
import { decodeTrieNode, type TrieNode } from './trie-node.ts';

/** A node of a trie or a large value, named by the digest of its bytes, which was computed here. */
export class Preimage {
  /** Not copied, and must not be changed. */
  readonly bytes: Uint8Array;
  /** BLAKE2b-256 of the bytes, as `memoKey` writes it. */
  readonly name: string;
  #node: TrieNode | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.name = memoKey(blake2b256(bytes));
  }

  /** The bytes as a node. @throws EvidenceError CHAIN_PROOF_INVALID. */
  get node(): TrieNode {
    this.#node ??= decodeTrieNode(this.bytes);
    return this.#node;
  }
}

/** Keys and values below a prefix, ascending. */
export type Entries = readonly (readonly [key: Uint8Array, value: Uint8Array])[];

interface Subtree {
  /** Path to its highest node, and the digest of that node, on which everything below depends. */
  readonly id: string;
  readonly entries: Entries;
  readonly preimages: Table;
}

type Table = ReadonlyMap<string, Preimage>;

const SAMPLE_BYTES = 32;

/** Where bytes are looked up: two nodes rarely have the same sample, and where they do, the bytes themselves differ. */
function sampleOf(bytes: Uint8Array): string {
  const end = Math.max(SAMPLE_BYTES, bytes.length - SAMPLE_BYTES);
  return `${bytes.length} ${memoKey(bytes.subarray(0, SAMPLE_BYTES))}${memoKey(bytes.subarray(end))}`;
}

const tableOf = (preimages: Iterable<Preimage>): Table =>
  new Map([...preimages].map((preimage) => [sampleOf(preimage.bytes), preimage]));

/**
 * What was proven of the last state: from block to block most of it is the same, and need not be hashed and decoded
 * again. Bytes count as known only when they are equal to bytes that were hashed here, and entries only under the same
 * digest at the same place, so nothing is believed that was not computed. Only what a state root names is kept: nodes
 * that an endpoint invents are never in here, and the size is that of the last proof that was needed, at most.
 */
export class ProofMemory {
  #ways: Table = new Map();
  #subtree: Subtree | undefined;

  /** The preimage with these bytes: the known one, or a new one, which is hashed. */
  preimageOf(bytes: Uint8Array): Preimage {
    const sample = sampleOf(bytes);
    const known = this.#ways.get(sample) ?? this.#subtree?.preimages.get(sample);
    return known !== undefined && equalBytes(known.bytes, bytes) ? known : new Preimage(bytes);
  }

  /** Whether entries were proven before. */
  get hasEntries(): boolean {
    return this.#subtree !== undefined;
  }

  /** The entries below a node, by the id of the place. */
  entriesOf(id: string): Entries | undefined {
    return this.#subtree?.id === id ? this.#subtree.entries : undefined;
  }

  /** Keeps the nodes that led from a state root to what was asked for, instead of those before. */
  keepWays(preimages: Iterable<Preimage>): void {
    this.#ways = tableOf(preimages);
  }

  /** Keeps the entries below a node, and the nodes that proved them, instead of those before. */
  keepEntries(id: string, entries: Entries, preimages: Iterable<Preimage>): void {
    this.#subtree = { id, entries, preimages: tableOf(preimages) };
  }
}
