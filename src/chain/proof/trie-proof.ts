import { concatBytes } from '../../bytes/concat.ts';
import { memoKey } from '../../bytes/memo.ts';
import { invalidProof } from './proof-errors.ts';
import { type Entries, type Preimage, ProofMemory } from './proof-memory.ts';
import {
  type ChildReference,
  decodeTrieNode,
  nibblesOf,
  type TrieNode,
  type TrieValue,
} from './trie-node.ts';

/** Limits on the cost of a proof; a proof above any of them is refused. */
export interface ProofLimits {
  /** Nodes and hashed values in the proof, those that nothing asks for included. */
  readonly maxNodes: number;
  /** Bytes of all of them together; each byte is hashed once. */
  readonly maxBytes: number;
  /** Nodes that one call of `entries` visits. */
  readonly maxVisits: number;
  /** Bytes of a key. */
  readonly maxKeyBytes: number;
}

/** Room for 6,000 servers with quotes of 5 kB; hashing that much takes about two seconds. */
export const defaultProofLimits: ProofLimits = {
  maxNodes: 100_000,
  maxBytes: 32 * 1024 * 1024,
  maxVisits: 100_000,
  maxKeyBytes: 1024,
};

const WHAT = 'storage proof';
/** A list of 30,000 validators; a larger one would keep everything else waiting while its digest is made. */
const MAX_NODE_BYTES = 1024 * 1024;
/** Some 12 ms of digests. */
const BREATHE_AFTER_BYTES = 256 * 1024;

function requireBounded(proof: readonly Uint8Array[], limits: ProofLimits): void {
  const total = proof.reduce((sum, node) => sum + node.length, 0);
  if (proof.length > limits.maxNodes) throw tooLarge('nodes', limits.maxNodes, proof.length);
  if (total > limits.maxBytes) throw tooLarge('bytes', limits.maxBytes, total);
  const longest = proof.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > MAX_NODE_BYTES) throw tooLarge('bytes of a node', MAX_NODE_BYTES, longest);
}

/** A node with the path (one nibble a byte) that leads to where its value or its children are. */
interface Place {
  readonly node: Exclude<TrieNode, { readonly kind: 'empty' }>;
  readonly path: Uint8Array;
  /** What its parent says of it, and the path to where it begins: all that is below it depends on these two. */
  readonly reference: ChildReference;
  readonly start: Uint8Array;
}

/** Names a place together with everything below it. */
const idOf = ({ reference: { kind, ...content }, start }: Place): string =>
  `${kind} ${memoKey(start)} ${memoKey('hash' in content ? content.hash : content.bytes)}`;

/**
 * The storage under one state root, as far as a read proof shows it (`state_getReadProof`): nodes of the trie and, in
 * state version 1, large values, in any order. Nothing is believed: a node counts only where a hash names it. Nodes
 * that nothing asks for are ignored; they cost their hash, and count toward the limits.
 */
export class ProvenState {
  readonly #root: ChildReference;
  readonly #preimages: ReadonlyMap<string, Preimage>;
  readonly #limits: ProofLimits;
  readonly #memory: ProofMemory;
  /** The preimages that were needed, without those below a prefix. */
  readonly #ways = new Set<Preimage>();

  /**
   * @param stateRoot 32 bytes, from a header that is proven to be final. @param proof the nodes; they are not copied
   *   and must not be changed afterwards. @param memory what earlier proofs showed.
   * @throws EvidenceError CHAIN_PROOF_INVALID when the proof is larger than the limits. RangeError on a root of
   *   another length.
   */
  constructor(
    stateRoot: Uint8Array,
    proof: readonly Uint8Array[],
    limits: ProofLimits = defaultProofLimits,
    memory = new ProofMemory(),
    preimages?: ReadonlyMap<string, Preimage>,
  ) {
    if (stateRoot.length !== 32) throw new RangeError(`a state root has 32 bytes, got ${stateRoot.length}`);
    requireBounded(proof, limits);
    this.#root = { kind: 'hashed', hash: stateRoot };
    this.#preimages = preimages ?? new Map(proof.map((node) => named(memory.preimageOf(node))));
    this.#limits = limits;
    this.#memory = memory;
  }

  /** As the constructor; lets others run between the digests, which for a large proof take a second or two. */
  static async hashing(
    stateRoot: Uint8Array,
    proof: readonly Uint8Array[],
    memory = new ProofMemory(),
    limits: ProofLimits = defaultProofLimits,
  ): Promise<ProvenState> {
    requireBounded(proof, limits);
    const preimages = new Map<string, Preimage>();
    let bytes = 0;
    for (const node of proof) {
      preimages.set(...named(memory.preimageOf(node)));
      bytes += node.length;
      if (bytes < BREATHE_AFTER_BYTES) continue;
      bytes = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return new ProvenState(stateRoot, proof, limits, memory, preimages);
  }

  /**
   * The value under a key, as a view into the proof; `undefined` when the proof shows that there is none.
   * @throws EvidenceError CHAIN_PROOF_INVALID when the proof shows neither.
   */
  value(key: Uint8Array): Uint8Array | undefined {
    const nibbles = nibblesOf(key);
    const place = this.#find(nibbles);
    if (place === undefined || place.path.length > nibbles.length || place.node.value === undefined) {
      return undefined;
    }
    return this.#bytesOf(place.node.value, this.#ways);
  }

  /**
   * Every key that begins with the prefix, and its value, in ascending order. The whole subtree is walked, so a key
   * that the proof leaves out is an error and never a shorter list.
   * @throws EvidenceError CHAIN_PROOF_INVALID when a node below the prefix is missing, or at a limit.
   */
  entries(prefix: Uint8Array): Entries {
    const top = this.#find(nibblesOf(prefix));
    if (top === undefined) return [];
    const id = idOf(top);
    const known = this.#memory.entriesOf(id);
    if (known !== undefined) return known;
    const preimages = new Set<Preimage>();
    const entries = this.#walk(top, preimages);
    this.#memory.keepEntries(id, entries, preimages);
    return entries;
  }

  /**
   * Whether {@link entries} of this prefix needs only the nodes that lead to the prefix, because everything below is as
   * it was when it was proven last.
   * @throws EvidenceError CHAIN_PROOF_INVALID when one of those nodes is missing.
   */
  knowsEntries(prefix: Uint8Array): boolean {
    const top = this.#find(nibblesOf(prefix));
    return top === undefined || this.#memory.entriesOf(idOf(top)) !== undefined;
  }

  /** Lets the memory keep the nodes that were needed: to be called once everything was read. */
  remember(): void {
    this.#memory.keepWays(this.#ways);
  }

  #walk(top: Place, used: Set<Preimage>): Entries {
    const found: (readonly [Uint8Array, Uint8Array])[] = [];
    // A stack of its own, because the depth is the proof's to choose.
    const pending: (() => Place)[] = [() => top];
    let visits = 0;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      visits += 1;
      if (visits > this.#limits.maxVisits) throw tooLarge('visited nodes', this.#limits.maxVisits, visits);
      const { node, path } = next();
      if (node.value !== undefined) found.push([keyOf(path), this.#bytesOf(node.value, used)]);
      if (node.kind === 'branch') pending.push(...this.#childrenBelow(node.children, path, used));
    }
    return found;
  }

  /** The children as places still to be opened, the last one first, as a stack wants them. */
  #childrenBelow(
    children: readonly (ChildReference | undefined)[],
    path: Uint8Array,
    used: Set<Preimage>,
  ): (() => Place)[] {
    return children
      .flatMap((child, nibble) =>
        child === undefined ? [] : [() => this.#open(child, concatBytes(path, Uint8Array.of(nibble)), used)],
      )
      .reverse();
  }

  /** The highest node with a path that begins with `wanted`; `undefined` when no key of the trie begins with it. */
  #find(wanted: Uint8Array): Place | undefined {
    let place = this.#openRoot();
    while (place !== undefined) {
      const { node, path }: Place = place;
      const shared = Math.min(path.length, wanted.length);
      if (!sameStart(path, wanted, shared)) return undefined;
      const nibble = wanted[shared];
      if (nibble === undefined) return place;
      const child: ChildReference | undefined = node.kind === 'branch' ? node.children[nibble] : undefined;
      // Each step goes at least one nibble down, so there are no more steps than nibbles.
      place =
        child === undefined
          ? undefined
          : this.#open(child, concatBytes(path, Uint8Array.of(nibble)), this.#ways);
    }
    return undefined;
  }

  /** The root's place; `undefined` for the empty trie, which has a root and nothing else. */
  #openRoot(): Place | undefined {
    const start = new Uint8Array(0);
    const node = this.#nodeOf(this.#root, start, this.#ways);
    return node.kind === 'empty' ? undefined : this.#placeOf(node, this.#root, start);
  }

  #open(reference: ChildReference, start: Uint8Array, used: Set<Preimage>): Place {
    const node = this.#nodeOf(reference, start, used);
    if (node.kind === 'empty') throw invalidProof(WHAT, 'child', 'a leaf or a branch', 'an empty node');
    return this.#placeOf(node, reference, start);
  }

  #placeOf(node: Place['node'], reference: ChildReference, start: Uint8Array): Place {
    const most = 2 * this.#limits.maxKeyBytes;
    const length = start.length + node.partialKey.length;
    if (length > most) throw tooLarge('nibbles of a key', most, length);
    return { node, path: concatBytes(start, node.partialKey), reference, start };
  }

  #nodeOf(reference: ChildReference, path: Uint8Array, used: Set<Preimage>): TrieNode {
    if (reference.kind === 'inline') return decodeTrieNode(reference.bytes);
    const field = (): string => `the node at path 0x${[...path].map(toDigit).join('')}`;
    return this.#preimage(reference.hash, field, used).node;
  }

  #bytesOf(value: TrieValue, used: Set<Preimage>): Uint8Array {
    return value.kind === 'inline' ? value.bytes : this.#preimage(value.hash, () => 'a value', used).bytes;
  }

  #preimage(hash: Uint8Array, field: () => string, used: Set<Preimage>): Preimage {
    const preimage = this.#preimages.get(memoKey(hash));
    if (preimage === undefined) throw invalidProof(WHAT, field(), 'in the proof', 'nothing of its hash');
    used.add(preimage);
    return preimage;
  }
}

const named = (preimage: Preimage): [name: string, preimage: Preimage] => [preimage.name, preimage];

const toDigit = (nibble: number): string => nibble.toString(16);

const tooLarge = (what: string, most: number, observed: number) =>
  invalidProof(WHAT, what, `at most ${most}`, String(observed));

function sameStart(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** Joins nibbles to bytes; storage keys have whole bytes. */
function keyOf(path: Uint8Array): Uint8Array {
  if (path.length % 2 !== 0) throw invalidProof(WHAT, 'key', 'whole bytes', `${path.length} nibbles`);
  return Uint8Array.from({ length: path.length / 2 }, (_, index) => {
    const [high = 0, low = 0] = path.subarray(2 * index, 2 * index + 2);
    return (high << 4) | low;
  });
}
