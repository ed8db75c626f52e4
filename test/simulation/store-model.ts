import { toHex } from '../../src/bytes/hex.ts';
import type { BatchOperation, Store } from '../../src/store/api/store-api.ts';

/** What a store holds: value (as hex) by `namespace/name`. */
export type Contents = ReadonlyMap<string, string>;

/** A change that a test asks for: one atomic batch, or the erasing of a namespace. */
export type Change =
  | { readonly kind: 'batch'; readonly operations: readonly BatchOperation[] }
  | { readonly kind: 'erase'; readonly namespace: string };

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

/** The contents after a change; the conditions of the change were met. */
export function after(contents: Contents, change: Change): Contents {
  const next = new Map(contents);
  if (change.kind === 'erase') {
    for (const key of contents.keys()) if (key.startsWith(`${change.namespace}/`)) next.delete(key);
    return next;
  }
  for (const operation of change.operations) {
    const key = keyOf(operation.namespace, operation.name);
    if (operation.kind === 'put') next.set(key, toHex(operation.value));
    else if (operation.kind === 'delete') next.delete(key);
  }
  return next;
}

/** Everything in a store, read through iteration; `get` and `has` of each name must agree with it. */
export async function contentsOf(store: Store): Promise<Contents> {
  const contents = new Map<string, string>();
  for (const name of store.namespaces()) {
    const namespace = await store.namespace(name).catch(() => store.namespace(name, { erasable: true }));
    const names = [...namespace.names()];
    for await (const [key, value] of namespace.entries()) {
      contents.set(keyOf(name, key), toHex(value));
      const got = await namespace.get(key);
      if (got === undefined || toHex(got) !== toHex(value) || !namespace.has(key))
        throw new Error(`get and iteration differ for ${name}/${key}`);
    }
    if (names.length !== namespace.size) throw new Error(`size of ${name} is wrong`);
  }
  return contents;
}

/** One text per contents, for comparing. */
export const fingerprint = (contents: Contents): string =>
  [...contents]
    .map(([key, value]) => `${key}=${value.length > 40 ? `${value.slice(0, 40)}…${value.length}` : value}`)
    .sort()
    .join('\n');

/**
 * Knows what must and what may be in the store: everything acknowledged, and of what was under way when the power
 * went, any first part in the order in which it was asked for, each change whole.
 */
export class StoreModel {
  #settled: Contents;
  #underWay: Change[] = [];

  constructor(contents: Contents = new Map()) {
    this.#settled = contents;
  }

  /** Everything acknowledged. */
  get settled(): Contents {
    return this.#settled;
  }

  /** Asks for a change and follows what becomes of it; the promise is that of `run`. */
  async follow<T>(change: Change, run: () => Promise<T>): Promise<T> {
    this.#underWay.push(change);
    const result = await run();
    this.#acknowledge(change);
    return result;
  }

  /** An acknowledged change is settled only when those asked for before it are: the log has one order. */
  #acknowledge(change: Change): void {
    const at = this.#underWay.indexOf(change);
    if (at < 0) return;
    for (const settled of this.#underWay.splice(0, at + 1)) this.#settled = after(this.#settled, settled);
  }

  /** Removes a change that was refused, and so must never be visible. */
  refuse(change: Change): void {
    this.#underWay = this.#underWay.filter((other) => other !== change);
  }

  /** All contents that a store may have now. */
  possible(): readonly Contents[] {
    const possible = [this.#settled];
    let contents = this.#settled;
    for (const change of this.#underWay) {
      contents = after(contents, change);
      possible.push(contents);
    }
    return possible;
  }

  /** @throws Error naming what is missing or too much, when the store holds what it may not. */
  check(found: Contents): void {
    const text = fingerprint(found);
    if (this.possible().some((contents) => fingerprint(contents) === text)) return;
    throw new Error(
      `the store holds what it may not.\nfound:\n${text}\nacknowledged:\n${fingerprint(this.#settled)}\n` +
        `under way: ${this.#underWay.length} changes, at most:\n${fingerprint(this.possible().at(-1) ?? new Map())}`,
    );
  }
}
