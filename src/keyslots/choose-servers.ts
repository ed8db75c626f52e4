import { compareBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { ChainSnapshot, ServerRecord } from '../chain/chain-view.ts';
import { sha256 } from '../crypto/sha2.ts';
import { mostSlotsTogether, type Quorum } from './threshold.ts';

const SELECT_LABEL = utf8('latchkey/v1/select');

/** Rank of a server for an account: SHA-256(label ‖ account ‖ server), ascending; 32 bytes. */
export const rankOf = (account: AccountId, server: AccountId): Uint8Array =>
  sha256(SELECT_LABEL, account, server);

/** The node for which servers are chosen. */
export interface Chooser {
  readonly account: AccountId;
  /** The own stash, when it is known from elsewhere; a record of the own account on the chain names it too. */
  readonly stash?: AccountId;
}

/**
 * The servers that may hold a slot of this account, best first: active, neither itself nor of its own stash, no
 * account twice, non-signers before signers (a signer would hold a key share and keys to other shares), within each
 * by rank. A pure function of chain state: every node computes the same.
 */
export function eligibleServers(
  snapshot: Pick<ChainSnapshot, 'servers'>,
  chooser: Chooser,
): readonly ServerRecord[] {
  const ownStashes = snapshot.servers
    .filter((server) => equalBytes(server.account, chooser.account))
    .map((server) => server.stash);
  if (chooser.stash !== undefined) ownStashes.push(chooser.stash);
  // The own records too: their stashes are in the list.
  const isForeign = (server: ServerRecord): boolean =>
    !ownStashes.some((stash) => equalBytes(stash, server.stash));
  const ranked = snapshot.servers
    .filter((server) => server.active && isForeign(server))
    .map((server) => ({ server, rank: rankOf(chooser.account, server.account) }))
    .sort(
      (a, b) =>
        Number(a.server.signer) - Number(b.server.signer) ||
        compareBytes(a.rank, b.rank) ||
        compareBytes(a.server.stash, b.server.stash),
    );
  const seen = new Set<string>();
  return ranked.map(({ server }) => server).filter((server) => firstOf(seen, toHex(server.account)));
}

function firstOf(seen: Set<string>, name: string): boolean {
  if (seen.has(name)) return false;
  seen.add(name);
  return true;
}

/** Why a server that ranks high enough got no slot. */
export type SkipReason = 'unusable' | 'platform-unknown' | 'platform-limit' | 'stash-limit';

/** The input of {@link chooseServers}. */
export interface ChooseInput {
  /** From {@link eligibleServers}. */
  readonly eligible: readonly ServerRecord[];
  readonly quorum: Quorum;
  /** Servers that hold a slot now: they come first, so that a better-ranked newcomer displaces none of them. */
  readonly enrolled: readonly AccountId[];
  /** False for servers that are unreachable, that refused this node, or that did not pass their vetting. */
  readonly isUsable: (server: ServerRecord) => boolean;
  /** PPID of the platform in the registered quote as text; `undefined` when no valid quote names one. */
  readonly platformOf: (server: ServerRecord) => string | undefined;
}

/** The chosen servers of a generation, and the reasons why other servers were skipped. */
export interface Choice {
  readonly chosen: readonly ServerRecord[];
  /** How many more are needed for n. */
  readonly missing: number;
  readonly skipped: readonly { readonly server: ServerRecord; readonly reason: SkipReason }[];
}

/**
 * Walks down the ranking until n servers are chosen, the enrolled ones first, at most `max(1, n − t)` on one platform
 * or stash. With fewer than n it returns those that there are: call again with what failed made unusable.
 */
export function chooseServers(input: ChooseInput): Choice {
  const { eligible, quorum, enrolled } = input;
  const holdsSlot = new Set(enrolled.map(toHex));
  const isEnrolled = (server: ServerRecord): boolean => holdsSlot.has(toHex(server.account));
  const walk = [...eligible.filter(isEnrolled), ...eligible.filter((server) => !isEnrolled(server))];
  const room = new RoomForSlots(mostSlotsTogether(quorum));
  const chosen: ServerRecord[] = [];
  const skipped: { server: ServerRecord; reason: SkipReason }[] = [];
  for (const server of walk) {
    if (chosen.length === quorum.n) break;
    const reason = input.isUsable(server) ? room.take(server, input.platformOf(server)) : 'unusable';
    if (reason === undefined) chosen.push(server);
    else skipped.push({ server, reason });
  }
  return { chosen, missing: quorum.n - chosen.length, skipped };
}

/** Counts slots by platform and by stash. */
class RoomForSlots {
  readonly #most: number;
  readonly #platforms = new Map<string, number>();
  readonly #stashes = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place for the server, or says why there is none. */
  take(server: ServerRecord, platform: string | undefined): SkipReason | undefined {
    // Machines that name no platform could all be one.
    if (platform === undefined) return 'platform-unknown';
    const stash = toHex(server.stash);
    const onPlatform = this.#platforms.get(platform) ?? 0;
    const onStash = this.#stashes.get(stash) ?? 0;
    if (onPlatform >= this.#most) return 'platform-limit';
    if (onStash >= this.#most) return 'stash-limit';
    this.#platforms.set(platform, onPlatform + 1);
    this.#stashes.set(stash, onStash + 1);
    return undefined;
  }
}
