import { equalBytes } from '../bytes/concat.ts';
import { type AccountId, PlatformHash } from '../bytes/fixed-bytes.ts';
import { memoKey } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';

/** A platform that a fleet vouches for. */
export interface Endorsement {
  readonly platform: PlatformHash;
  /** The owner of the machine, in the words of the list. */
  readonly owner: string;
  /** The place where it stands. */
  readonly place: string;
  /** Unix time in milliseconds from which it no longer counts; none: no end. */
  readonly untilMs?: number;
}

/** A permission: the keys of an account that are bound to one platform may be recovered on another. */
export interface Move {
  readonly account: AccountId;
  readonly from: PlatformHash;
  readonly to: PlatformHash;
}

/** What a fleet says about platforms. Only what is in force at this moment belongs into it. */
export interface PlatformListsContent {
  readonly endorsed: readonly Endorsement[];
  readonly revoked: readonly PlatformHash[];
  readonly moves: readonly Move[];
}

/** The name of a platform in lists and refusals. @param ppid 16 bytes, from a verified PCK certificate. */
export const platformHash = (ppid: Uint8Array): PlatformHash => PlatformHash.of(sha256(ppid));

/** The platforms that a fleet endorsed and revoked, and the moves that it allowed; a list may have 10,000 entries. */
export class PlatformLists {
  readonly #endorsed: ReadonlyMap<string, Endorsement>;
  readonly #revoked: ReadonlySet<string>;
  /** By account. */
  readonly #moves = new Map<string, Move[]>();

  constructor({ endorsed, revoked, moves }: PlatformListsContent) {
    this.#endorsed = new Map(endorsed.map((entry) => [memoKey(entry.platform), entry]));
    this.#revoked = new Set(revoked.map(memoKey));
    for (const move of moves) {
      const name = memoKey(move.account);
      this.#moves.set(name, [...(this.#moves.get(name) ?? []), move]);
    }
  }

  /** The endorsement of a platform; `undefined` also when it is revoked: revoked beats endorsed. */
  endorsementOf(platform: PlatformHash): Endorsement | undefined {
    return this.isRevoked(platform) ? undefined : this.#endorsed.get(memoKey(platform));
  }

  isRevoked(platform: PlatformHash): boolean {
    return this.#revoked.has(memoKey(platform));
  }

  /** Whether an account may recover on `to` what is bound to `from`. */
  allowsMove({ account, from, to }: Move): boolean {
    const moves = this.#moves.get(memoKey(account)) ?? [];
    return moves.some((move) => equalBytes(move.from, from) && equalBytes(move.to, to));
  }
}

/** The lists of a fleet without a manifest: nothing is endorsed, nothing is revoked, and no account moves. */
export const noPlatformLists = new PlatformLists({ endorsed: [], revoked: [], moves: [] });
