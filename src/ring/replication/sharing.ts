import { compareBytes } from '../../bytes/concat.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import type { HeldRecord } from './holdings.ts';
import type { Listed } from './messages.ts';

/** Digits by which the ids below a prefix are told apart. */
export const HEX_DIGITS = [...'0123456789abcdef'];

/** Bytes of an id in hex. */
export const idBytes = (id: string): Uint8Array => tryFromHex(id) ?? new Uint8Array(0);

export const listed = (records: Iterable<HeldRecord>): Listed[] =>
  [...records].map(({ id, order }) => [id, toHex(order)]);

/** Whether a listed record replaces the one that is held. */
export const isNewer = (order: string, held: HeldRecord | undefined): boolean =>
  held === undefined || compareBytes(idBytes(order), held.order) > 0;
