import type { Vouching } from '../../fleet/vouched.ts';
import { countedSlots } from '../../keyslots/open-generation.ts';
import type { NodeStatus } from './node-status-file.ts';

/** What a manifest does to a store when its node restarts. */
export type StoreVerdict =
  /** It opens, or this manifest takes nothing from it. */
  | { readonly kind: 'safe' }
  /** The manifest may take something from it: platforms of its slots are not known. */
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'at-risk';
      /** How many slots would count in a recovery, fewer than t. */
      readonly counted: number;
      /** The slots on platforms that the fleet would not vouch for any more. */
      readonly takenAway: readonly { readonly server: string; readonly platform: string }[];
    };

/**
 * Judges a store by the slots that are live: whether those that count after the manifest still open it. A server
 * without a known platform counts for nothing.
 */
export function judgeStore(
  { t, n, slots }: NodeStatus['keyslots'],
  { before, after }: Vouching,
): StoreVerdict {
  const proven = slots.flatMap(({ platform, ...slot }) =>
    platform === undefined ? [] : [{ ...slot, platform }],
  );
  const opening = proven
    .filter(({ isLive }) => isLive)
    .map(({ platform }) => ({ platform, countsInPart: !after(platform) }));
  const counted = countedSlots(opening, { t, n });
  if (counted >= t) return { kind: 'safe' };
  const takenAway = proven.filter(({ platform }) => before(platform) && !after(platform));
  if (takenAway.length > 0) return { kind: 'at-risk', counted, takenAway };
  return { kind: proven.length < slots.length ? 'unknown' : 'safe' };
}

/** One line for a person, on a store that is at risk. */
export const riskText = (
  { account, keyslots: { t } }: NodeStatus,
  { counted, takenAway }: Extract<StoreVerdict, { kind: 'at-risk' }>,
): string =>
  `would lock ${account}: t is ${t}, and ${counted} of its slots would count; not vouched for any more: ${takenAway
    .map(({ server, platform }) => `platform ${platform} (server ${server})`)
    .join(', ')}`;
