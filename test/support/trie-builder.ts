import { blake2b } from '@noble/hashes/blake2.js';
import { byteVec, u16 } from '../../devnet/chain/scale.ts';
import { concatBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';

/** What a trie is built of: `0x`-less hex of keys, and values. */
export type TrieContent = ReadonlyMap<string, Uint8Array>;

/** A built node: what its parent holds of it, and what it is made of. */
interface Built {
  readonly encoded: Uint8Array;
  /** Hex digits from the node's parent down to its value. */
  readonly partial: string;
  readonly value: Uint8Array | undefined;
  readonly valueIsHashed: boolean;
  readonly children: ReadonlyMap<string, Built>;
}

const hashOf = (bytes: Uint8Array): Uint8Array => blake2b(bytes, { dkLen: 32 });

/** Kind and number of nibbles, by the kinds' table: leading bits and how many bits are left for the number. */
function headerBytes(kind: keyof typeof kinds, count: number): Uint8Array {
  const [prefix, bits] = kinds[kind];
  const most = 2 ** bits - 1;
  if (count < most) return Uint8Array.of(prefix | count);
  const rest = count - most;
  return Uint8Array.of(prefix | most, ...Array<number>(Math.floor(rest / 255)).fill(255), rest % 255);
}

const kinds = {
  leaf: [0b0100_0000, 6],
  branch: [0b1000_0000, 6],
  branchWithValue: [0b1100_0000, 6],
  leafHashed: [0b0010_0000, 5],
  branchHashed: [0b0001_0000, 4],
} as const;

const packed = (digits: string): Uint8Array =>
  new Uint8Array(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'));

/** The reference to a node in its parent. */
const reference = ({ encoded }: Built): Uint8Array =>
  byteVec(encoded.length < 32 ? encoded : hashOf(encoded));

function kindOf(isLeaf: boolean, value: Uint8Array | undefined, hashed: boolean): keyof typeof kinds {
  if (isLeaf) return hashed ? 'leafHashed' : 'leaf';
  if (value === undefined) return 'branch';
  return hashed ? 'branchHashed' : 'branchWithValue';
}

function build(entries: readonly (readonly [string, Uint8Array])[], version: 0 | 1): Built {
  const [[first, firstValue] = ['', new Uint8Array(0)]] = entries;
  const last = entries.at(-1)?.[0] ?? '';
  let shared = 0;
  while (shared < first.length && first[shared] === last[shared]) shared += 1;
  const partial = first.slice(0, shared);
  const value = first.length === shared ? firstValue : undefined;
  const groups = new Map<string, [string, Uint8Array][]>();
  for (const [digits, bytes] of entries) {
    if (digits.length === shared) continue;
    const digit = digits.charAt(shared);
    groups.set(digit, [...(groups.get(digit) ?? []), [digits.slice(shared + 1), bytes]]);
  }
  const children = new Map([...groups].map(([digit, group]) => [digit, build(group, version)]));
  const valueIsHashed = version === 1 && value !== undefined && value.length > 32;
  const isLeaf = children.size === 0;
  const bitmap = [...children.keys()].reduce((bits, digit) => bits | (1 << Number.parseInt(digit, 16)), 0);
  const ownValue = value === undefined ? new Uint8Array(0) : valueIsHashed ? hashOf(value) : byteVec(value);
  const encoded = concatBytes(
    headerBytes(kindOf(isLeaf, value, valueIsHashed), partial.length),
    packed(partial),
    ...(isLeaf ? [] : [u16(bitmap)]),
    ownValue,
    ...[...children.values()].map(reference),
  );
  return { encoded, partial, value, valueIsHashed, children };
}

/**
 * Substrate's trie, built the slow way and apart from `src`: sorted keys are split recursively by their hex digits.
 * Only for tests and benches.
 */
export class TrieBuilder {
  readonly #root: Built | undefined;
  readonly root: Uint8Array;

  constructor(content: TrieContent, version: 0 | 1) {
    const sorted = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#root = sorted.length === 0 ? undefined : build(sorted, version);
    this.root = hashOf(this.#root?.encoded ?? Uint8Array.of(0));
  }

  /** Nodes and hashed values that looking these keys (hex) up needs, as `state_getReadProof` answers. */
  readProof(keys: readonly string[]): readonly Uint8Array[] {
    const proof = new Map<string, Uint8Array>();
    const add = (bytes: Uint8Array): unknown => proof.set(toHex(hashOf(bytes)), bytes);
    add(this.#root?.encoded ?? Uint8Array.of(0));
    for (const key of keys) {
      let [node, rest] = [this.#root, key];
      while (node?.partial !== undefined && rest.startsWith(node.partial)) {
        rest = rest.slice(node.partial.length);
        if (rest === '' && node.value !== undefined && node.valueIsHashed) add(node.value);
        if (rest === '') break;
        node = node.children.get(rest.charAt(0));
        rest = rest.slice(1);
        if (node !== undefined && node.encoded.length >= 32) add(node.encoded);
      }
    }
    return [...proof.values()];
  }
}
