import { toHex } from '../../src/bytes/hex.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';

/** A trie node taken apart, straight from the specification of the format. */
interface DecodedNode {
  readonly partial: string;
  readonly value: Uint8Array | undefined;
  readonly valueIsHash: boolean;
  /** By hex digit: a hash of 32 bytes, or the child itself. */
  readonly children: ReadonlyMap<string, Uint8Array>;
}

class Cursor {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw new Error('the node ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  compact(): number {
    const first = this.byte();
    if ((first & 3) === 0) return first >> 2;
    if ((first & 3) === 1) return (first >> 2) + this.byte() * 64;
    const [b1 = 0, b2 = 0, b3 = 0] = this.take(3);
    return (first >> 2) + b1 * 2 ** 6 + b2 * 2 ** 14 + b3 * 2 ** 22;
  }
}

function decode(bytes: Uint8Array): DecodedNode {
  const cursor = new Cursor(bytes);
  const first = cursor.byte();
  const form = [
    { bits: 0b01, width: 2, branch: false, value: true, hash: false },
    { bits: 0b10, width: 2, branch: true, value: false, hash: false },
    { bits: 0b11, width: 2, branch: true, value: true, hash: false },
    { bits: 0b001, width: 3, branch: false, value: true, hash: true },
    { bits: 0b0001, width: 4, branch: true, value: true, hash: true },
  ].find(({ bits, width }) => first >> (8 - width) === bits);
  if (form === undefined) throw new Error(`no header: ${first}`);
  const most = 0xff >> form.width;
  let nibbles = first & most;
  if (nibbles === most) for (let more = 255; more === 255; nibbles += more) more = cursor.byte();
  const partial = toHex(cursor.take(Math.ceil(nibbles / 2))).slice(nibbles % 2);
  const [low = 0, high = 0] = form.branch ? cursor.take(2) : [];
  const value = form.value ? cursor.take(form.hash ? 32 : cursor.compact()) : undefined;
  const children = new Map<string, Uint8Array>();
  for (let digit = 0; digit < 16; digit += 1) {
    if (((low | (high << 8)) >> digit) & 1) children.set(digit.toString(16), cursor.take(cursor.compact()));
  }
  if (cursor.left > 0) throw new Error('the node goes on');
  return { partial, value, valueIsHash: form.hash, children };
}

/** Where a lookup in a proof ended: at a value, at certainty that there is none, or at a node that is not there. */
export type Found =
  | { readonly kind: 'value'; readonly hex: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'missing'; readonly hash: string };

/** Reads keys out of a proof and remembers which of its nodes that took. */
export class TrieReader {
  /** Hex of the nodes that were needed. */
  readonly used = new Set<string>();
  readonly #nodes: ReadonlyMap<string, Uint8Array>;
  readonly #root: string;

  /** @param root `0x` hex */
  constructor(root: string, nodes: readonly Uint8Array[]) {
    this.#root = root.slice(2);
    this.#nodes = new Map(nodes.map((node) => [toHex(blake2b256(node)), node]));
  }

  /** Looks a `0x` key up. @throws Error when a node is malformed. */
  read(key: string): Found {
    let rest = key.slice(2);
    let encoded = this.#load(this.#root);
    let missing = this.#root;
    while (encoded !== undefined) {
      const node = decode(encoded);
      if (!rest.startsWith(node.partial)) return { kind: 'absent' };
      rest = rest.slice(node.partial.length);
      if (rest === '') return this.#valueOf(node);
      const child = node.children.get(rest.charAt(0));
      if (child === undefined) return { kind: 'absent' };
      rest = rest.slice(1);
      missing = toHex(child);
      encoded = child.length < 32 ? child : this.#load(missing);
    }
    return { kind: 'missing', hash: missing };
  }

  #valueOf({ value, valueIsHash }: DecodedNode): Found {
    if (value === undefined) return { kind: 'absent' };
    if (!valueIsHash) return { kind: 'value', hex: `0x${toHex(value)}` };
    const bytes = this.#load(toHex(value));
    if (bytes === undefined) return { kind: 'missing', hash: toHex(value) };
    return { kind: 'value', hex: `0x${toHex(bytes)}` };
  }

  #load(hash: string): Uint8Array | undefined {
    const node = this.#nodes.get(hash);
    if (node !== undefined) this.used.add(toHex(node));
    return node;
  }
}
