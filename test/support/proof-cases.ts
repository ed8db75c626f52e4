import { concatBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import { Dice } from './dice.ts';
import { TrieBuilder, type TrieContent } from './trie-builder.ts';

/** One storage proof, and what is read from it. */
export interface ProofCase {
  readonly kind:
    | 'honest'
    | 'node missing'
    | 'byte flipped'
    | 'node added'
    | 'other root'
    | 'malformed root node';
  readonly stateVersion: 0 | 1;
  readonly root: Uint8Array;
  readonly prefix: Uint8Array;
  readonly keys: readonly Uint8Array[];
  readonly nodes: readonly Uint8Array[];
}

const kinds = [
  'honest',
  'node missing',
  'byte flipped',
  'node added',
  'other root',
  'malformed root node',
] as const;
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

function someKey(dice: Dice): Uint8Array {
  switch (dice.below(4)) {
    case 0:
      return dice.bytes(1 + dice.below(40));
    case 1:
      return Uint8Array.from({ length: 140 + dice.below(20) }, () => dice.below(2));
    default:
      return Uint8Array.from({ length: dice.below(6) }, () => dice.of([0x00, 0x01, 0x10, 0x1f, 0xff]));
  }
}

function someContent(dice: Dice): TrieContent {
  return new Map(
    Array.from({ length: dice.below(20) }, () => {
      const length = dice.of([0, 1, 8, 28, 31, 32, 33, 34, 40, 200]);
      return [toHex(someKey(dice)), dice.bytes(length)];
    }),
  );
}

function flipped(bytes: Uint8Array, dice: Dice): Uint8Array {
  const changed = new Uint8Array(bytes);
  const at = dice.below(changed.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8));
  return changed;
}

function altered(nodes: readonly Uint8Array[], kind: ProofCase['kind'], dice: Dice): readonly Uint8Array[] {
  const at = dice.below(nodes.length);
  switch (kind) {
    case 'node missing':
      return nodes.filter((_node, index) => index !== at);
    case 'byte flipped':
      return nodes.map((node, index) => (index === at ? flipped(node, dice) : node));
    case 'node added':
      return [...nodes, dice.bytes(1 + dice.below(80))];
    default:
      return nodes;
  }
}

/** A root node with another byte, one more or one less, under the hash that it has then. */
function malformedRoot(root: Uint8Array, dice: Dice): Uint8Array {
  switch (dice.below(4)) {
    case 0:
      return root.subarray(0, -1);
    case 1:
      return concatBytes(root, dice.bytes(1));
    default:
      return flipped(root, dice);
  }
}

function caseOf(index: number, seed: number): ProofCase {
  const dice = new Dice(seed * 1_000_003 + index);
  const kind = kinds[index % kinds.length] ?? 'honest';
  const stateVersion = dice.of([0, 1] as const);
  const content = someContent(dice);
  const builder = new TrieBuilder(content, stateVersion);
  const present = dice.shuffled([...content.keys()]).slice(0, 4);
  const absent = [toHex(someKey(dice)), toHex(dice.bytes(3))];
  const prefixOf = dice.of(['', ...content.keys()]);
  const prefix = prefixOf.slice(0, 2 * dice.below(1 + prefixOf.length / 2));
  const below = [...content.keys()].filter((key) => key.startsWith(prefix));
  const asked = [...present, ...absent, prefix, ...below];
  const nodes = altered(builder.readProof(asked), kind, dice);
  const common = { kind, stateVersion, prefix: bytesOf(prefix), keys: [...present, ...absent].map(bytesOf) };
  if (kind === 'other root') return { ...common, root: dice.bytes(32), nodes };
  if (kind !== 'malformed root node') return { ...common, root: builder.root, nodes };
  const [rootNode = Uint8Array.of(0), ...others] = nodes;
  const malformed = malformedRoot(rootNode, dice);
  return { ...common, root: blake2b256(malformed), nodes: [malformed, ...others] };
}

/** The given number of cases, derived from the seed alone. */
export const proofCases = (seed: number, count: number): readonly ProofCase[] =>
  Array.from({ length: count }, (_, index) => caseOf(index, seed));

const textOf = (bytes: Uint8Array): string => (bytes.length === 0 ? '.' : toHex(bytes));
const listOf = (items: readonly Uint8Array[]): string =>
  items.length === 0 ? '_' : items.map(textOf).join(',');

/** A case as the Rust program reads it. */
export const proofLine = ({ keys, nodes, prefix, root, stateVersion }: ProofCase): string =>
  `P ${stateVersion} ${toHex(root)} ${textOf(prefix)} ${listOf(keys)} ${listOf(nodes)}`;
