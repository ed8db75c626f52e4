import { compareBytes } from '../../bytes/concat.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { RingViews } from '../placement/views.ts';
import type { HeldRecord, Holdings } from './holdings.ts';
import type { Listed } from './messages.ts';

/** Digits by which the ids below a prefix are told apart. */
export const HEX_DIGITS = [...'0123456789abcdef'];

/** Bytes of an id in hex. */
export const idBytes = (id: string): Uint8Array => tryFromHex(id) ?? new Uint8Array(0);

/**
 * Members that keep copies of an id: its holders in every view that is under way, and those that take the places of
 * members which are silent or drain. The latter hold copies only and count for no quorum.
 */
export function keepersOf(
  views: RingViews,
  id: Uint8Array,
  without: ReadonlySet<string>,
): ReadonlySet<string> {
  const keepers = new Set(views.configurationOf(id).flat());
  if (without.size === 0) return keepers;
  const { placement } = views.next ?? views.current;
  for (const { account } of placement.replicasOf(id, (member) => !without.has(toHex(member.account))))
    keepers.add(toHex(account));
  return keepers;
}

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
  return [...holdings.records()]
    .filter(({ id }) => {
      if (!id.startsWith(shared.prefix)) return false;
      const keepers = keepersOf(views, idBytes(id), without);
      return shared.accounts.every((account) => keepers.has(account));
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** SHA-256 over id ‖ order of records in the order of their ids, lower-case hex. */
export const digestOf = (records: readonly HeldRecord[]): string =>
  toHex(sha256(...records.flatMap(({ id, order }) => [idBytes(id), order])));

export const listed = (records: readonly HeldRecord[]): Listed[] =>
  records.map(({ id, order }) => [id, toHex(order)]);

/** Whether a listed record replaces the one that is held. */
export const isNewer = (order: string, held: HeldRecord | undefined): boolean =>
  held === undefined || compareBytes(idBytes(order), held.order) > 0;
