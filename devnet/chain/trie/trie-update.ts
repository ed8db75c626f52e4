import { type StateVersion, TrieNode, type TrieValue } from './trie-node.ts';

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}

/** The trie below `node` with one value added or replaced; `key` is in hex digits, without `0x`. */
export function withEntry(
  version: StateVersion,
  node: TrieNode | undefined,
  key: string,
  value: TrieValue,
): TrieNode {
  if (node === undefined) return new TrieNode(version, { partial: key, value });
  const shared = sharedLength(node.partial, key);
  const digit = key.charAt(shared);
  const below = key.slice(shared + 1);
  if (shared === node.partial.length) {
    if (digit === '') return node.withValue(value);
    return node.withChild(digit, withEntry(version, node.child(digit), below, value));
  }
  const fork = new TrieNode(version, {
    partial: key.slice(0, shared),
    value: digit === '' ? value : undefined,
  }).withChild(node.partial.charAt(shared), node.withPartial(node.partial.slice(shared + 1)));
  return digit === '' ? fork : fork.withChild(digit, new TrieNode(version, { partial: below, value }));
}

/** A branch with one child and no value is one node with that child. */
function merged(node: TrieNode): TrieNode | undefined {
  if (node.value !== undefined) return node;
  const places = [...node.children.entries()].filter(([, child]) => child !== undefined);
  const [index, child] = places[0] ?? [];
  if (index === undefined || child === undefined) return undefined;
  return places.length > 1 ? node : child.withPartial(node.partial + index.toString(16) + child.partial);
}

/** The trie below `node` without that key; the same node when it was not there. */
export function withoutEntry(node: TrieNode | undefined, key: string): TrieNode | undefined {
  if (node === undefined || !key.startsWith(node.partial)) return node;
  const digit = key.charAt(node.partial.length);
  if (digit === '') return node.value === undefined ? node : merged(node.withValue(undefined));
  const child = node.child(digit);
  const changed = withoutEntry(child, key.slice(node.partial.length + 1));
  return changed === child ? node : merged(node.withChild(digit, changed));
}
