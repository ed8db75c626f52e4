import { concatBytes } from '../../../src/bytes/concat.ts';
import { tryFromHex } from '../../../src/bytes/hex.ts';
import { blake2b256 } from '../../../src/crypto/blake2.ts';
import { byteVec, u16 } from '../scale.ts';

/** Version 0 keeps every value in its node. In version 1 a node has only the hash of a value above 32 bytes. */
export type StateVersion = 0 | 1;

const HASH_BYTES = 32;
const FAN_OUT = 16;

/** One stored value; its hash is computed once, however often the nodes above it change. */
export class TrieValue {
  readonly hex: string;
  readonly bytes: Uint8Array;
  #hash: Uint8Array | undefined;

  /** @param hex `0x` hex. @throws RangeError when it is not. */
  constructor(hex: string) {
    const bytes = tryFromHex(hex);
    if (bytes === undefined) throw new RangeError(`not a hex value: ${hex.slice(0, 20)}`);
    this.hex = hex;
    this.bytes = bytes;
  }

  get hash(): Uint8Array {
    this.#hash ??= blake2b256(this.bytes);
    return this.#hash;
  }
}

/** Kinds of nodes: the bits that open their header, and how many bits these are (sp-trie, `trie_constants`). */
const kinds = {
  leaf: [0b0100_0000, 2],
  branch: [0b1000_0000, 2],
  branchWithValue: [0b1100_0000, 2],
  leafWithHash: [0b0010_0000, 3],
  branchWithHash: [0b0001_0000, 4],
} as const;

/** Kind and number of nibbles: what does not fit into the first byte follows in bytes of at most 255. */
function header([bits, width]: (typeof kinds)[keyof typeof kinds], nibbles: number): Uint8Array {
  const most = 0xff >> width;
  if (nibbles < most) return Uint8Array.of(bits | nibbles);
  const rest = nibbles - most;
  const full = Math.floor(rest / 255);
  return Uint8Array.of(bits | most, ...new Array<number>(full).fill(255), rest % 255);
}

/** Nibbles as bytes; an odd number of them begins with half a byte. */
function packed(nibbles: string): Uint8Array {
  const bytes = tryFromHex(nibbles.length % 2 === 0 ? nibbles : `0${nibbles}`);
  if (bytes === undefined) throw new RangeError(`not hex: ${nibbles.slice(0, 20)}`);
  return bytes;
}

const noChildren: readonly (TrieNode | undefined)[] = [];

/** What a node consists of. */
interface NodeParts {
  /** Hex digits of the key between the parent's digit and this node. */
  readonly partial: string;
  readonly value?: TrieValue | undefined;
  /** Sixteen places, or none in a leaf. */
  readonly children?: readonly (TrieNode | undefined)[];
}

/** A node of Substrate's base-16 trie; immutable, so that blocks share what did not change, encodings included. */
export class TrieNode {
  readonly version: StateVersion;
  readonly partial: string;
  readonly value: TrieValue | undefined;
  readonly children: readonly (TrieNode | undefined)[];
  #encoded: Uint8Array | undefined;
  #reference: Uint8Array | undefined;

  constructor(version: StateVersion, { partial, value, children = noChildren }: NodeParts) {
    this.version = version;
    this.partial = partial;
    this.value = value;
    this.children = children;
  }

  /** Whether the value is a node of its own. */
  get hashesValue(): boolean {
    return this.version === 1 && this.value !== undefined && this.value.bytes.length > HASH_BYTES;
  }

  /** The node as it is stored and proved. */
  get encoded(): Uint8Array {
    this.#encoded ??= this.#encode();
    return this.#encoded;
  }

  /** How the parent refers to it: its hash, or itself where that is shorter. */
  get reference(): Uint8Array {
    this.#reference ??= this.encoded.length < HASH_BYTES ? this.encoded : blake2b256(this.encoded);
    return this.#reference;
  }

  /** Whether it is stored, and proved, apart from its parent. */
  get standsAlone(): boolean {
    return this.encoded.length >= HASH_BYTES;
  }

  withPartial(partial: string): TrieNode {
    return new TrieNode(this.version, { partial, value: this.value, children: this.children });
  }

  withValue(value: TrieValue | undefined): TrieNode {
    return new TrieNode(this.version, { partial: this.partial, value, children: this.children });
  }

  withChild(digit: string, child: TrieNode | undefined): TrieNode {
    const children = Array.from({ length: FAN_OUT }, (_, index) => this.children[index]);
    children[Number.parseInt(digit, FAN_OUT)] = child;
    return new TrieNode(this.version, {
      partial: this.partial,
      value: this.value,
      children: children.some((place) => place !== undefined) ? children : noChildren,
    });
  }

  child(digit: string): TrieNode | undefined {
    return this.children[Number.parseInt(digit, FAN_OUT)];
  }

  #encode(): Uint8Array {
    const { partial, children } = this;
    const value =
      this.value === undefined
        ? new Uint8Array(0)
        : this.hashesValue
          ? this.value.hash
          : byteVec(this.value.bytes);
    const start = concatBytes(header(this.#kind(), partial.length), packed(partial));
    if (children.length === 0) return concatBytes(start, value);
    let bitmap = 0;
    for (const [index, child] of children.entries()) if (child !== undefined) bitmap |= 1 << index;
    const references = children.flatMap((child) => (child === undefined ? [] : [byteVec(child.reference)]));
    return concatBytes(start, u16(bitmap), value, ...references);
  }

  #kind(): (typeof kinds)[keyof typeof kinds] {
    if (this.children.length === 0) return this.hashesValue ? kinds.leafWithHash : kinds.leaf;
    if (this.value === undefined) return kinds.branch;
    return this.hashesValue ? kinds.branchWithHash : kinds.branchWithValue;
  }
}
