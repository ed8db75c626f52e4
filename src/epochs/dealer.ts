import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type Deal, type DkgScheme, memberName, type Round } from './dkg-scheme.ts';
import type { EpochJournal } from './epoch-journal.ts';
import { participantKey, participantName } from './epoch-names.ts';
import type { Share } from './epoch-record.ts';
import type { Verdict } from './verdict.ts';

/** What a member's role in a round needs. */
export interface Membership {
  readonly journal: EpochJournal;
  readonly scheme: DkgScheme;
  readonly round: Round;
}

/** A part that still has to reach its player. */
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
   *   or the journal has no seed (or no share of the secret that is to be shared anew) for this epoch.
   */
  static async create(membership: Membership): Promise<Dealer | undefined> {
    const { journal, scheme, round } = membership;
    const isDealer = memberName(round.dealers, scheme.self.publicKey) !== undefined;
    if (!isDealer || journal.hasLog(round.epoch, scheme.self.publicKey)) return undefined;
    const seed = await journal.secrets.getSeed(round.epoch);
    const share = round.previous === undefined ? undefined : await journal.secrets.getShare(round.epoch);
    if (seed === undefined || (round.previous !== undefined && share === undefined)) return undefined;
    const dealer = new Dealer({ ...membership, seed, share, deal: scheme.deal(round, seed, share) });
    for (const { participant, message } of journal.acks(round.epoch)) dealer.#replay(participant, message);
    return dealer;
  }

  /** The public half of our dealing. */
  get publicMessage(): Uint8Array {
    return this.#parts.deal.publicMessage;
  }

  /** Parts whose players have not acknowledged yet. */
  sharesToDistribute(): Shipment[] {
    const { publicMessage, sealed } = this.#parts.deal;
    return [...this.#unsent].flatMap((name) => {
      const part = sealed.get(name);
      return part === undefined ? [] : [{ player: participantKey(name), publicMessage, sealed: part }];
    });
  }

  /**
   * Takes a player's ack: recorded durably before it counts.
   * @returns `skip` when the dealing is finalized or this player is not (or no longer) awaited, `fault` for an ack
   *   that does not verify.
   */
  async handle(player: Uint8Array, ack: Uint8Array): Promise<Verdict> {
    const name = memberName(this.#parts.round.players, player);
    if (this.#finalized || name === undefined || !this.#unsent.has(name)) return 'skip';
    const { journal, round } = this.#parts;
    if (!this.#verifies(player, ack)) return 'fault';
    // Before the write, so that the same ack meanwhile is a duplicate.
    this.#unsent.delete(name);
    try {
      await journal.appendAck(round.epoch, player, ack);
    } catch (error) {
      this.#unsent.add(name);
      throw error;
    }
    this.#acks.set(name, copyBytes(ack));
    return 'valid';
  }

  /** Ends the dealing with the acks so far; later ones are skipped. Again: nothing to do. */
  finalize(): void {
    if (this.#finalized) return;
    this.#finalized = true;
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
    const { scheme, round } = this.#parts;
    return scheme.checkAck(round, scheme.self.publicKey, this.publicMessage, player, ack);
  }

  #replay(player: Uint8Array, ack: Uint8Array): void {
    const name = participantName(player);
    if (!this.#unsent.has(name) || !this.#verifies(player, ack)) return;
    this.#unsent.delete(name);
    this.#acks.set(name, ack);
  }
}
