import { ProofReader } from './proof-reader.ts';

/** A value of the trie: its bytes, or (state version 1, values above 32 bytes) their BLAKE2b-256. */
export type TrieValue =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'hashed'; readonly hash: Uint8Array };

/** How a branch names a child: by hash, or, when the child's encoding is shorter than a hash, by that encoding. */
export type ChildReference =
  | { readonly kind: 'hashed'; readonly hash: Uint8Array }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array };

/** One node of Substrate's base-16 Patricia trie. `partialKey` holds one nibble (0–15) a byte. */
export type TrieNode =
  | { readonly kind: 'empty' }
  | { readonly kind: 'leaf'; readonly partialKey: Uint8Array; readonly value: TrieValue }
  | {
      readonly kind: 'branch';
      readonly partialKey: Uint8Array;
      readonly value: TrieValue | undefined;
      /** 16 places, by nibble. */
      readonly children: readonly (ChildReference | undefined)[];
    };

const HASH_BYTES = 32;
const NIBBLES = 16;
/** Substrate's own bound of a partial key (NIBBLE_SIZE_BOUND). */
const MAX_NIBBLES = 0xffff;

interface NodeHeader {
  readonly kind: 'leaf' | 'branch';
  readonly value: 'none' | 'inline' | 'hashed';
  /** Bits of the first byte that say the kind; the others begin the number of nibbles. */
  readonly prefixBits: number;
}

/** Kinds by the leading bits of the first byte (sp-trie, `trie_constants`), the longer prefixes last. */
function headerOf(first: number): NodeHeader | undefined {
  switch (first >>> 6) {
    case 0b01:
      return { kind: 'leaf', value: 'inline', prefixBits: 2 };
    case 0b10:
      return { kind: 'branch', value: 'none', prefixBits: 2 };
    case 0b11:
      return { kind: 'branch', value: 'inline', prefixBits: 2 };
  }
  if (first >>> 5 === 0b001) return { kind: 'leaf', value: 'hashed', prefixBits: 3 };
  if (first >>> 4 === 0b0001) return { kind: 'branch', value: 'hashed', prefixBits: 4 };
  return undefined;
}

/** A number with all of its bits set continues in further bytes; all of them except the last are 255. */
function readNibbleCount(reader: ProofReader, first: number, prefixBits: number): number {
  const most = 0xff >>> prefixBits;
  let count = first & most;
  if (count < most) return count;
  while (count <= MAX_NIBBLES) {
    const next = reader.u8('number of nibbles');
    count += next;
    if (next < 0xff) return count;
  }
  return reader.fail('number of nibbles', `at most ${MAX_NIBBLES}`, 'more');
}

function readPartialKey(reader: ProofReader, count: number): Uint8Array {
  const packed = reader.take(Math.ceil(count / 2), 'partial key');
  const nibbles = nibblesOf(packed);
  if (count % 2 === 0) return nibbles;
  // Of an odd number the first byte holds one nibble only, the lower.
  if (nibbles[0] !== 0) reader.fail('partial key', 'padded by a zero nibble', 'another nibble');
  return nibbles.subarray(1);
}

function readValue(reader: ProofReader, form: 'inline' | 'hashed'): TrieValue {
  return form === 'inline'
    ? { kind: 'inline', bytes: reader.byteString('value') }
    : { kind: 'hashed', hash: reader.take(HASH_BYTES, 'hash of the value') };
}

function readChild(reader: ProofReader): ChildReference {
  const bytes = reader.byteString('child');
  if (bytes.length === HASH_BYTES) return { kind: 'hashed', hash: bytes };
  if (bytes.length === 0 || bytes.length > HASH_BYTES) {
    reader.fail('child', `a hash, or an inline node below ${HASH_BYTES} bytes`, `${bytes.length} bytes`);
  }
  return { kind: 'inline', bytes };
}

/**
 * Decodes one node, to the last byte.
 * @throws EvidenceError CHAIN_PROOF_INVALID.
 */
export function decodeTrieNode(bytes: Uint8Array): TrieNode {
  const reader = new ProofReader(bytes, 'trie node');
  const first = reader.u8('header');
  if (first === 0) {
    reader.end();
    return { kind: 'empty' };
  }
  const header = headerOf(first) ?? reader.fail('header', 'a known kind of node', `0x${first.toString(16)}`);
  const partialKey = readPartialKey(reader, readNibbleCount(reader, first, header.prefixBits));
  const node = readBody(reader, header, partialKey);
  reader.end();
  return node;
}

function readBody(reader: ProofReader, { kind, value }: NodeHeader, partialKey: Uint8Array): TrieNode {
  if (kind === 'leaf' && value !== 'none') return { kind, partialKey, value: readValue(reader, value) };
  const bitmap = reader.u16('children');
  if (bitmap === 0) reader.fail('children', 'at least one', 'none');
  const own = value === 'none' ? undefined : readValue(reader, value);
  const children = Array.from({ length: NIBBLES }, (_, nibble) =>
    (bitmap & (1 << nibble)) === 0 ? undefined : readChild(reader),
  );
  return { kind: 'branch', partialKey, value: own, children };
}

/** Two nibbles a byte, the higher first, one a byte of the result. */
export function nibblesOf(bytes: Uint8Array): Uint8Array {
  const nibbles = new Uint8Array(2 * bytes.length);
  for (const [index, byte] of bytes.entries()) {
    nibbles[2 * index] = byte >>> 4;
    nibbles[2 * index + 1] = byte & 0xf;
  }
  return nibbles;
}
