import { compareBytes } from '../../bytes/concat.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { RingViews } from '../placement/views.ts';
import type { HeldRecord, Holdings } from './holdings.ts';
import type { Listed } from './messages.ts';

/** Digits by which the ids below a prefix are told apart. */
export const HEX_DIGITS = [...'0123456789abcdef'];

const ID_BYTES = 32;

/** Bytes of an id in hex. */
export const idBytes = (id: string): Uint8Array => tryFromHex(id) ?? new Uint8Array(0);

/** Records that two members both keep, below a prefix, by id. */
export function sharedRecords(
  holdings: Holdings,
  views: RingViews,
  shared: {
    readonly accounts: readonly [string, string];
    readonly prefix: string;
    readonly without: Iterable<string>;
  },
): HeldRecord[] {
  const without = new Set(shared.without);
  const [one, other] = shared.accounts;
  const found: HeldRecord[] = [];
  for (const record of holdings.records()) {
    if (!record.id.startsWith(shared.prefix)) continue;
    const keepers = views.keepersOf(record.id, without);
    if (keepers.has(one) && keepers.has(other)) found.push(record);
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** SHA-256 over id ‖ order of records in the order of their ids, lower-case hex. */
export function digestOf(records: readonly HeldRecord[]): string {
  // Into one array: a function takes some 100,000 arguments at most, and there may be more records.
  const content = new Uint8Array(records.reduce((sum, { order }) => sum + ID_BYTES + order.length, 0));
  let at = 0;
  for (const { id, order } of records) {
    content.set(idBytes(id), at);
    content.set(order, at + ID_BYTES);
    at += ID_BYTES + order.length;
  }
  return toHex(sha256(content));
}

export const listed = (records: readonly HeldRecord[]): Listed[] =>
  records.map(({ id, order }) => [id, toHex(order)]);

/** Whether a listed record replaces the one that is held. */
export const isNewer = (order: string, held: HeldRecord | undefined): boolean =>
  held === undefined || compareBytes(idBytes(order), held.order) > 0;
