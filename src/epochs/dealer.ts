import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { copyRound, type Deal, type DkgScheme, memberName, type Round } from './dkg-scheme.ts';
import type { EpochJournal } from './epoch-journal.ts';
import { participantKey, participantName } from './epoch-names.ts';
import type { Share } from './epoch-record.ts';
import type { MessageVerdict } from './message-verdict.ts';

/** Journal, scheme and round: everything that a dealer or a player needs. */
export interface Membership {
  readonly journal: EpochJournal;
  readonly scheme: DkgScheme;
  readonly round: Round;
}

/** The same journal and scheme, with a copy of the round that the caller cannot change. */
export const copyMembership = ({ journal, scheme, round }: Membership): Membership => ({
  journal,
  scheme,
  round: copyRound(round),
});

/** A part that has not been acknowledged by its player yet. */
export interface Shipment {
  /** 32 bytes. */
  readonly player: Uint8Array;
  readonly publicMessage: Uint8Array;
  readonly sealed: Uint8Array;
}

interface DealerParts extends Membership {
  readonly seed: SecretBytes;
  readonly share: Share | undefined;
  readonly deal: Deal;
}

/**
 * This node as a dealer of one epoch. Its polynomial follows from the seed in the journal, so that after a crash it
 * deals the same parts again instead of others, which would be equivocation.
 */
export class Dealer {
  readonly #parts: DealerParts;
  readonly #acks = new Map<string, Uint8Array>();
  readonly #unsent: Set<string>;
  #finalized = false;
  #log: Uint8Array | undefined;

  private constructor(parts: DealerParts) {
    this.#parts = parts;
    this.#unsent = new Set(parts.round.players.map(({ publicKey }) => participantName(publicKey)));
  }

  /**
   * Starts, or after a crash continues, our dealing, with the acks that the journal has.
   * @returns `undefined` when there is nothing to deal: we are no dealer of this round, our log is already recorded,
   *   or the journal has no seed (or, when a secret is reshared, no share of it) for this epoch.
   */
  static async create(membership: Membership): Promise<Dealer | undefined> {
    const { journal, scheme, round } = copyMembership(membership);
    const isDealer = memberName(round.dealers, scheme.self.publicKey) !== undefined;
    if (!isDealer || journal.hasLog(round.epoch, scheme.self.publicKey)) return undefined;
    const seed = await journal.secrets.getSeed(round.epoch);
    const share = round.previous === undefined ? undefined : await journal.secrets.getShare(round.epoch);
    if (seed === undefined || (round.previous !== undefined && share === undefined)) return undefined;
    const dealer = new Dealer({ journal, scheme, round, seed, share, deal: scheme.deal(round, seed, share) });
    for (const { participant, message } of journal.acks(round.epoch)) dealer.#replay(participant, message);
    return dealer;
  }

  /** A copy of the public half of our dealing. */
  get publicMessage(): Uint8Array {
    return copyBytes(this.#parts.deal.publicMessage);
  }

  /** Parts that their players have not acknowledged yet. */
  sharesToDistribute(): Shipment[] {
    const { publicMessage, sealed } = this.#parts.deal;
    return [...this.#unsent].flatMap((name) => {
      const part = sealed.get(name);
      if (part === undefined) return [];
      const player = participantKey(name);
      return [{ player, publicMessage: copyBytes(publicMessage), sealed: copyBytes(part) }];
    });
  }

  /**
   * Takes a player's ack: recorded durably before it counts.
   * @returns `skip` when the dealing is finalized, or this player is unknown or has acknowledged before; `fault` for an
   *   ack that does not verify.
   */
  async handle(player: Uint8Array, ack: Uint8Array): Promise<MessageVerdict> {
    const [from, signature] = [copyBytes(player, 'player'), copyBytes(ack, 'ack')];
    const name = memberName(this.#parts.round.players, from);
    if (this.#finalized || name === undefined || !this.#unsent.has(name)) return 'skip';
    const { journal, round } = this.#parts;
    if (!this.#verifies(from, signature)) return 'fault';
    // Before the write, so that the same ack during the write is a duplicate.
    this.#unsent.delete(name);
    try {
      await journal.appendAck(round.epoch, from, signature);
    } catch (error) {
      this.#unsent.add(name);
      throw error;
    }
    this.#acks.set(name, signature);
    return 'valid';
  }

  /**
   * Ends the dealing with the acks so far; later ones are skipped. A second call changes nothing.
   * @param threshold There is a log only with at least this many acks. The scheme's own minimum
   *   applies as well.
   * @throws RangeError unless the threshold is an integer from 0 to the number of players; the dealing goes on then.
   */
  finalize(threshold = 0): void {
    requireInteger(threshold, 'threshold', this.#parts.round.players.length);
    if (this.#finalized) return;
    this.#finalized = true;
    if (this.#acks.size < threshold) return;
    const { scheme, round, seed, share } = this.#parts;
    this.#log = scheme.makeLog(round, seed, share, this.#acks);
  }

  /** The finished log until it is taken; `undefined` before {@link finalize}, or when too many acks are missing. */
  finalized(): Uint8Array | undefined {
    return this.#log && copyBytes(this.#log);
  }

  /** As {@link finalized}, once. */
  takeFinalized(): Uint8Array | undefined {
    const log = this.#log;
    this.#log = undefined;
    return log;
  }

  #verifies(player: Uint8Array, ack: Uint8Array): boolean {
    const { scheme, round, deal } = this.#parts;
    return scheme.checkAck(round, scheme.self.publicKey, deal.publicMessage, player, ack);
  }

  #replay(player: Uint8Array, ack: Uint8Array): void {
    const name = participantName(player);
    if (!this.#unsent.has(name) || !this.#verifies(player, ack)) return;
    this.#unsent.delete(name);
    this.#acks.set(name, ack);
  }
}
