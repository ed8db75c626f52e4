import type { DevelopmentPki } from '../../mock-tdx/development-pki.ts';
import type { AccountId, PlatformHash } from '../../src/bytes/fixed-bytes.ts';
import { PlatformLists, type PlatformListsContent, platformHash } from '../../src/trust/platform-lists.ts';

/** The name of a development platform in a fleet's lists. */
export const hashOf = (pki: DevelopmentPki, platform: number): PlatformHash =>
  platformHash(pki.platform(platform).facts.ppid);

/** Lists of development platforms by their numbers. */
export function listsOf(
  pki: DevelopmentPki,
  content: {
    readonly endorsed?: readonly number[];
    readonly revoked?: readonly number[];
    readonly moves?: readonly { readonly account: AccountId; readonly from: number; readonly to: number }[];
  },
): PlatformLists {
  const { endorsed = [], revoked = [], moves = [] } = content;
  const lists: PlatformListsContent = {
    endorsed: endorsed.map((platform) => ({
      platform: hashOf(pki, platform),
      owner: 'tests',
      place: 'here',
    })),
    revoked: revoked.map((platform) => hashOf(pki, platform)),
    moves: moves.map(({ account, from, to }) => ({
      account,
      from: hashOf(pki, from),
      to: hashOf(pki, to),
    })),
  };
  return new PlatformLists(lists);
}
