import type { ManifestContent } from './manifest.ts';
import type { ListedPlatform } from './platform-list.ts';

/** By which rules a fleet vouches for the platforms of its servers. */
export interface VouchingRules {
  /** Of the trust section: whether a server needs an endorsement. */
  readonly servers: 'registered' | 'endorsed';
  /** How long an endorsement waits after it first stood in a manifest. */
  readonly delayMs: number;
  /** When this is asked. */
  readonly atMs: number;
}

/** For which platforms a fleet vouches before a manifest and after it. Platforms are `0x` hex of SHA-256(PPID). */
export interface Vouching {
  readonly before: (platform: string) => boolean;
  readonly after: (platform: string) => boolean;
  /** Whether there may be a platform that it vouches for before and not after. */
  readonly takesAway: boolean;
}

/**
 * What a manifest changes for servers. An endorsement that ends earlier than before counts as taken away now, and one
 * that is new counts only after its delay.
 */
export function vouchingOf(
  former: ManifestContent | undefined,
  next: ManifestContent,
  rules: VouchingRules,
): Vouching {
  // A handover says nothing about platforms: what its authority endorsed before is in force, and not known here.
  const isHandedOver = former?.body.kind === 'handover';
  const vouchesNext = vouchesBy(next, isHandedOver ? { ...rules, delayMs: 0 } : rules);
  const before = isHandedOver ? () => true : vouchesBy(former, rules);
  const ends = endsOf(next);
  const formerEnds = endsOf(former);
  const endsEarlier = (platform: string): boolean =>
    rules.servers === 'endorsed' &&
    (ends.get(platform) ?? Number.POSITIVE_INFINITY) < (formerEnds.get(platform) ?? Number.POSITIVE_INFINITY);
  const after = (platform: string): boolean => vouchesNext(platform) && !endsEarlier(platform);
  const named = [...(former?.endorsed.platforms ?? []), ...next.revoked.platforms];
  return {
    before,
    after,
    takesAway:
      (isHandedOver && rules.servers === 'endorsed') ||
      named.some(({ platform }) => before(platform) && !after(platform)),
  };
}

function vouchesBy(
  content: ManifestContent | undefined,
  { servers, delayMs, atMs }: VouchingRules,
): (platform: string) => boolean {
  const lasts = ({ until }: ListedPlatform): boolean => until === undefined || until > atMs;
  const listed = content ?? { endorsed: { platforms: [] }, revoked: { platforms: [] } };
  const revoked = new Set(listed.revoked.platforms.filter(lasts).map(({ platform }) => platform));
  const endorsed = new Set(
    listed.endorsed.platforms
      .filter((entry) => lasts(entry) && entry.since + delayMs <= atMs)
      .map(({ platform }) => platform),
  );
  return (platform) => !revoked.has(platform) && (servers === 'registered' || endorsed.has(platform));
}

const endsOf = (content: ManifestContent | undefined): ReadonlyMap<string, number | undefined> =>
  new Map(content?.endorsed.platforms.map(({ platform, until }) => [platform, until]));
