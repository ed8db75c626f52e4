import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { blake2b256 } from '../../../src/crypto/blake2.ts';
import { type StateVersion, type TrieNode, TrieValue } from './trie-node.ts';
import { withEntry, withoutEntry } from './trie-update.ts';

/** Encoding of the trie without any key. */
const EMPTY_NODE = Uint8Array.of(0);

const digitsOf = (key: string): string => key.slice(2);

/** State of a block: `0x` key to `0x` value. */
type State = ReadonlyMap<string, string>;

/** Adds what a lookup of the key reads, as a Substrate node records it: the way down, and the value if it stands alone. */
function record(proof: Map<string, Uint8Array>, top: TrieNode, key: string): void {
  let rest = key;
  for (let node: TrieNode | undefined = top; node !== undefined; ) {
    if (node.standsAlone || node === top) proof.set(toHex(node.encoded), node.encoded);
    if (!rest.startsWith(node.partial)) return;
    const digit: string = rest.charAt(node.partial.length);
    if (digit === '') {
      if (node.hashesValue && node.value !== undefined) proof.set(toHex(node.value.bytes), node.value.bytes);
      return;
    }
    rest = rest.slice(node.partial.length + 1);
    node = node.child(digit);
  }
}

/** The whole state as Substrate's Patricia-Merkle trie over BLAKE2b-256; immutable. */
export class StateTrie {
  readonly version: StateVersion;
  readonly #top: TrieNode | undefined;
  /** `0x` hex. */
  readonly root: string;

  private constructor(version: StateVersion, top: TrieNode | undefined) {
    this.version = version;
    this.#top = top;
    this.root = toPrefixedHex(blake2b256(top?.encoded ?? EMPTY_NODE));
  }

  static empty(version: StateVersion): StateTrie {
    return new StateTrie(version, undefined);
  }

  static of(version: StateVersion, state: State): StateTrie {
    return StateTrie.empty(version).advanced(new Map(), state);
  }

  /** @returns the trie of `after`, made from this trie of `before`: only the changed parts are built and hashed again. */
  advanced(before: State, after: State): StateTrie {
    let top = this.#top;
    for (const key of before.keys()) if (!after.has(key)) top = withoutEntry(top, digitsOf(key));
    for (const [key, value] of after) {
      if (before.get(key) !== value) top = withEntry(this.version, top, digitsOf(key), new TrieValue(value));
    }
    return top === this.#top ? this : new StateTrie(this.version, top);
  }

  /**
   * The nodes that are read when these keys, present or absent, or prefixes of keys are looked up; each once, in the
   * order of their bytes.
   * @param keys `0x` hex
   */
  readProof(keys: readonly string[]): Uint8Array[] {
    if (this.#top === undefined) return [EMPTY_NODE];
    const proof = new Map<string, Uint8Array>();
    for (const key of keys) record(proof, this.#top, digitsOf(key));
    return [...proof].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, node]) => node);
  }
}
