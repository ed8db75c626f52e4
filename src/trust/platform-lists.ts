import { type AccountId, PlatformHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sha256 } from '../crypto/sha2.ts';

/** A platform that a fleet vouches for. */
export interface Endorsement {
  /** `0x` and lower-case hex of SHA-256(PPID). */
  readonly platform: string;
  /** The owner of the machine, in the words of the list. */
  readonly owner: string;
  /** The place where it stands. */
  readonly place: string;
}

/** A permission: the keys of an account that are bound to one platform may be recovered on another. */
export interface Move {
  /** SS58. */
  readonly account: string;
  /** Both as `0x` and lower-case hex of SHA-256(PPID). */
  readonly from: string;
  readonly to: string;
}

/** What a fleet says about platforms. Only what is in force at this moment belongs into it. */
export interface PlatformListsContent {
  readonly endorsed: readonly Endorsement[];
  /** `0x` and lower-case hex of SHA-256(PPID). */
  readonly revoked: readonly string[];
  readonly moves: readonly Move[];
}

/** The name of a platform in lists and refusals. @param ppid 16 bytes, from a verified PCK certificate. */
export const platformHash = (ppid: Uint8Array): PlatformHash => PlatformHash.of(sha256(ppid));

const moveName = ({ account, from, to }: Move): string => `${account} ${from} ${to}`;

/** The platforms that a fleet endorsed and revoked, and the moves that it allowed; a list may have 10,000 entries. */
export class PlatformLists {
  readonly #endorsed: ReadonlyMap<string, Endorsement>;
  readonly #revoked: ReadonlySet<string>;
  readonly #moves: ReadonlySet<string>;

  constructor({ endorsed, revoked, moves }: PlatformListsContent) {
    this.#endorsed = new Map(endorsed.map((entry) => [entry.platform, entry]));
    this.#revoked = new Set(revoked);
    this.#moves = new Set(moves.map(moveName));
  }

  /** The endorsement of a platform; `undefined` also when it is revoked: revoked beats endorsed. */
  endorsementOf(platform: PlatformHash): Endorsement | undefined {
    return this.isRevoked(platform) ? undefined : this.#endorsed.get(toPrefixedHex(platform));
  }

  isRevoked(platform: PlatformHash): boolean {
    return this.#revoked.has(toPrefixedHex(platform));
  }

  /** Whether an account may recover on `to` what is bound to `from`. */
  allowsMove(account: AccountId, from: PlatformHash, to: PlatformHash): boolean {
    const move = { account: encodeSs58(account), from: toPrefixedHex(from), to: toPrefixedHex(to) };
    return this.#moves.has(moveName(move));
  }
}

/** The lists of a fleet without a manifest: nothing is endorsed, nothing is revoked, and no account moves. */
export const noPlatformLists = new PlatformLists({ endorsed: [], revoked: [], moves: [] });
