import type { DevelopmentPki } from '../../mock-tdx/development-pki.ts';
import type { AccountId, PlatformHash } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { PlatformLists, type PlatformListsContent, platformHash } from '../../src/trust/platform-lists.ts';

/** SHA-256 of the PPID of a development platform. */
export const hashOf = (pki: DevelopmentPki, platform: number): PlatformHash =>
  platformHash(pki.platform(platform).facts.ppid);

const nameOf = (pki: DevelopmentPki, platform: number): string => toPrefixedHex(hashOf(pki, platform));

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
      platform: nameOf(pki, platform),
      owner: 'tests',
      place: 'here',
    })),
    revoked: revoked.map((platform) => nameOf(pki, platform)),
    moves: moves.map(({ account, from, to }) => ({
      account: encodeSs58(account),
      from: nameOf(pki, from),
      to: nameOf(pki, to),
    })),
  };
  return new PlatformLists(lists);
}
