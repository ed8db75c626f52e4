import { concatBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { HeldRecord } from './holdings.ts';
import { HEX_DIGITS, idBytes } from './sharing.ts';

/** Records that one digest covers itself; more are covered by the digests of the sixteen longer prefixes. */
export const MAX_LISTED = 64;

const LEAF = Uint8Array.of(0);
const BRANCH = Uint8Array.of(1);

/**
 * Records below a prefix of their ids, with a digest that is computed again only where a record changed. The shape
 * follows from the records alone, so that two nodes with the same ones have the same digest, however they came to them.
 *
 * Digest of at most {@link MAX_LISTED} records: SHA-256(0 ‖ for each in the order of ids: id ‖ u8 length ‖ order). Of
 * more: SHA-256(1 ‖ the digests of the sixteen prefixes that are one hex digit longer).
 */
export class DigestTree {
  readonly #depth: number;
  #count = 0;
  /** In the order of their ids; empty when there are {@link #children}. */
  #records: HeldRecord[] = [];
  #children: readonly DigestTree[] | undefined;
  #digest: Uint8Array | undefined;

  /** @param depth hex digits of the prefix. */
  constructor(depth = 0) {
    this.#depth = depth;
  }

  get count(): number {
    return this.#count;
  }

  /** Puts a record in, in place of the one with its id. */
  set(record: HeldRecord): void {
    this.#digest = undefined;
    if (this.#children === undefined) {
      const { at, isThere } = this.#placeOf(record.id);
      this.#records.splice(at, isThere ? 1 : 0, record);
      this.#count = this.#records.length;
      if (this.#count > MAX_LISTED) this.#split();
      return;
    }
    const child = this.#childOf(record.id);
    const before = child?.count ?? 0;
    child?.set(record);
    this.#count += (child?.count ?? 0) - before;
  }

  /** Takes the record of an id out. */
  delete(id: string): void {
    this.#digest = undefined;
    if (this.#children === undefined) {
      const { at, isThere } = this.#placeOf(id);
      if (isThere) this.#records.splice(at, 1);
      this.#count = this.#records.length;
      return;
    }
    const child = this.#childOf(id);
    const before = child?.count ?? 0;
    child?.delete(id);
    this.#count += (child?.count ?? 0) - before;
    if (this.#count > MAX_LISTED) return;
    this.#records = [...this.records()];
    this.#children = undefined;
  }

  /** The part with a longer prefix. @param prefix lower-case hex, without the digits of this tree's own prefix. */
  below(prefix: string): DigestTree {
    if (prefix === '') return this;
    const [child] =
      this.#children === undefined ? [] : [this.#children[HEX_DIGITS.indexOf(prefix.charAt(0))]];
    if (child !== undefined) return child.below(prefix.slice(1));
    const part = new DigestTree(this.#depth + prefix.length);
    for (const record of this.#records) if (record.id.startsWith(prefix, this.#depth)) part.set(record);
    return part;
  }

  /** Lower-case hex. */
  get digest(): string {
    return toHex(this.#digestBytes());
  }

  /** All records, in the order of their ids. */
  *records(): Iterable<HeldRecord> {
    if (this.#children === undefined) yield* this.#records;
    else for (const child of this.#children) yield* child.records();
  }

  #digestBytes(): Uint8Array {
    this.#digest ??=
      this.#children === undefined
        ? sha256(
            concatBytes(
              LEAF,
              ...this.#records.flatMap(({ id, order }) => [idBytes(id), Uint8Array.of(order.length), order]),
            ),
          )
        : sha256(concatBytes(BRANCH, ...this.#children.map((child) => child.#digestBytes())));
    return this.#digest;
  }

  #split(): void {
    this.#children = HEX_DIGITS.map(() => new DigestTree(this.#depth + 1));
    for (const record of this.#records) this.#childOf(record.id)?.set(record);
    this.#records = [];
  }

  #childOf(id: string): DigestTree | undefined {
    return this.#children?.[HEX_DIGITS.indexOf(id.charAt(this.#depth))];
  }

  #placeOf(id: string): { readonly at: number; readonly isThere: boolean } {
    let [at, before] = [0, this.#records.length];
    while (at < before) {
      const middle = (at + before) >>> 1;
      if ((this.#records[middle]?.id ?? '') < id) at = middle + 1;
      else before = middle;
    }
    return { at, isThere: this.#records[at]?.id === id };
  }
}
