import { equalConstantTime } from '../crypto/constant-time.ts';
import { combineShares, shareCoordinate } from '../crypto/shamir.ts';
import type { Slot } from './keyslot-file.ts';
import { mostSlotsOpening, mostSlotsTogether, type Quorum } from './threshold.ts';

/** A slot that a server key opened, with its content. */
export interface OpenedSlot {
  readonly slot: Slot;
  /** Name of the platform on which the slot's server runs. */
  readonly platform: string;
  /** Whether it counts only up to a limit: the fleet has revoked that platform, or does not endorse it. */
  readonly countsInPart: boolean;
  /** A share, or with t = 1 the store key. */
  readonly content: Uint8Array;
}

/** The subset of opened slots that gave the store key. */
export interface Opening {
  /** 32 bytes. */
  readonly storeKey: Uint8Array;
  /** t slots. */
  readonly by: readonly OpenedSlot[];
}

/** Number of subsets that are tried before other work gets a turn; 16 slots have up to 12,870, 5 slots have 10. */
const SUBSETS_PER_TURN = 64;

/** Input of the search for an opening. */
export interface Search extends Quorum {
  /** Whether a candidate is the store key that made the generation. */
  readonly isStoreKey: (candidate: Uint8Array) => boolean;
  /** How many subsets were tried so far; counted up. */
  tried: number;
}

/**
 * Looks for a t-subset of the opened slots that gives the store key. Each subset contains the last of `opened`: those
 * without it were tried when the slot before it was opened, so none is tried twice.
 */
export async function findOpening(
  search: Search,
  opened: readonly OpenedSlot[],
): Promise<Opening | undefined> {
  const newest = opened.at(-1);
  if (newest === undefined) return undefined;
  for (const others of subsets(opened.slice(0, -1), search.t - 1)) {
    search.tried += 1;
    if (search.tried % SUBSETS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    const by = [...others, newest];
    if (countedSlots(by, search) < search.t) continue;
    const storeKey = await keyOf(by);
    if (storeKey === undefined) continue;
    if (search.isStoreKey(storeKey)) return { storeKey, by };
    storeKey.fill(0);
  }
  return undefined;
}

/**
 * How many opened slots count towards t: of those on one platform at most {@link mostSlotsOpening}, and of those on all
 * platforms that the fleet has revoked or does not endorse together at most {@link mostSlotsTogether}. None at all would
 * turn a revocation, or an endorsement that ends, into the loss of stores; fewer than t never open one alone.
 */
export function countedSlots(
  opened: readonly Pick<OpenedSlot, 'platform' | 'countsInPart'>[],
  quorum: Quorum,
): number {
  const most = mostSlotsOpening(quorum.t);
  const inPart = countByPlatform(
    opened.filter(({ countsInPart }) => countsInPart),
    most,
  );
  const others = countByPlatform(
    opened.filter(({ countsInPart }) => !countsInPart),
    most,
  );
  return others + Math.min(inPart, mostSlotsTogether(quorum));
}

/** The number of slots, with at most `most` of each platform. */
function countByPlatform(opened: readonly Pick<OpenedSlot, 'platform'>[], most: number): number {
  const onPlatform = new Map<string, number>();
  for (const { platform } of opened) onPlatform.set(platform, (onPlatform.get(platform) ?? 0) + 1);
  return [...onPlatform.values()].reduce((sum, count) => sum + Math.min(count, most), 0);
}

/**
 * Whether an opened slot holds what the opening's polynomial has there. Exchanged for one of the t slots that gave the
 * key it must give the same key, because a wrong value at any x changes the result.
 */
export async function agreesWith({ storeKey, by }: Opening, candidate: OpenedSlot): Promise<boolean> {
  if (by.some(({ slot }) => slot === candidate.slot)) return true;
  if (by.length > 1 && by.some(({ content }) => sameCoordinate(content, candidate.content))) return false;
  const key = await keyOf([...by.slice(1), candidate]);
  const agrees = key !== undefined && equalConstantTime(key, storeKey);
  key?.fill(0);
  return agrees;
}

const sameCoordinate = (a: Uint8Array, b: Uint8Array): boolean => shareCoordinate(a) === shareCoordinate(b);

/** The key that t opened slots give; `undefined` when two shares have the same x. */
async function keyOf(opened: readonly OpenedSlot[]): Promise<Uint8Array | undefined> {
  const contents = opened.map(({ content }) => content);
  const [only] = contents;
  if (only === undefined) return undefined;
  if (contents.length === 1) return new Uint8Array(only);
  if (new Set(contents.map(shareCoordinate)).size !== contents.length) return undefined;
  return combineShares(contents, contents.length);
}

/** All subsets of one size, in the order of the list. */
function* subsets<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let first = 0; first <= items.length - size; first++) {
    const item = items.slice(first, first + 1);
    for (const rest of subsets(items.slice(first + 1), size - 1)) yield [...item, ...rest];
  }
}
