import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import { copyMembership, type Membership } from './dealer.ts';
import { memberName } from './dkg-scheme.ts';
import { participantName } from './epoch-names.ts';
import { encodeEquivocation, provesEquivocation } from './equivocation.ts';
import { recordedLogs } from './round-logs.ts';

/** A player's answer to a dealing. */
export type DealingAnswer =
  | { readonly verdict: 'valid'; readonly ack: Uint8Array }
  | { readonly verdict: 'skip' }
  /** `equivocation`: proof is kept in the journal; `invalid`: the part or the signature does not hold. */
  | { readonly verdict: 'fault'; readonly reason: 'equivocation' | 'invalid' };

/**
 * This node as a player of one epoch. An ack is sent only when the dealing is durable: it promises the dealer that
 * the part will not be lost, and the log records that promise.
 */
export class Player {
  readonly #parts: Membership;
  readonly #acks = new Map<string, Uint8Array>();
  readonly #order = new KeyedLock<string>();

  private constructor(parts: Membership) {
    this.#parts = parts;
  }

  /**
   * Starts, or after a crash continues, as a player; acks of recorded dealings come out the same.
   * @returns `undefined` when this node can only observe the round: it is no player, or a recorded log carries its
   *   ack of a dealing, but the private half is missing (a backup older than the ack was restored).
   */
  static async create(membership: Membership): Promise<Player | undefined> {
    const mine = copyMembership(membership);
    const { journal, scheme, round } = mine;
    const self = memberName(round.players, scheme.self.publicKey);
    if (self === undefined) return undefined;
    for (const log of recordedLogs(mine)) {
      const acknowledged = log.results.get(self)?.kind === 'ack';
      if (acknowledged && journal.dealing(round.epoch, log.dealer) === undefined) return undefined;
    }
    const player = new Player(mine);
    for (const { participant, message } of journal.dealings(round.epoch)) player.#ack(participant, message);
    return player;
  }

  /**
   * Takes a dealer's dealing. The same dealing again gets the same ack. A second, different dealing of the dealer gets
   * none; if the dealer signed it, both are kept durably as evidence.
   * @throws the store's errors, without an ack, when the dealing is not durable.
   */
  async handle(dealer: Uint8Array, publicMessage: Uint8Array, sealed: Uint8Array): Promise<DealingAnswer> {
    const message = [
      copyBytes(dealer, 'dealer'),
      copyBytes(publicMessage, 'publicMessage'),
      copyBytes(sealed, 'sealed'),
    ] as const;
    const name = memberName(this.#parts.round.dealers, message[0]);
    if (name === undefined) return { verdict: 'skip' };
    return this.#order.run(name, () => this.#handleInTurn(...message));
  }

  async #handleInTurn(
    dealer: Uint8Array,
    publicMessage: Uint8Array,
    sealed: Uint8Array,
  ): Promise<DealingAnswer> {
    const { journal, scheme, round } = this.#parts;
    const first = journal.dealing(round.epoch, dealer);
    if (first !== undefined) return this.#handleAgain(dealer, first, publicMessage);
    const part = scheme.open(round, dealer, publicMessage, sealed);
    if (part === undefined) return { verdict: 'fault', reason: 'invalid' };
    await journal.appendDealing(round.epoch, dealer, { publicMessage, privateMessage: part });
    part.wipe();
    // The dealing in the journal counts: another caller may have recorded a different one of this dealer first.
    const recorded = journal.dealing(round.epoch, dealer) ?? publicMessage;
    return this.#handleAgain(dealer, recorded, publicMessage);
  }

  async #handleAgain(dealer: Uint8Array, first: Uint8Array, second: Uint8Array): Promise<DealingAnswer> {
    if (equalBytes(first, second)) return { verdict: 'valid', ack: this.#ack(dealer, first) };
    const { journal, scheme, round } = this.#parts;
    const proof = { first, second };
    if (!provesEquivocation(scheme, round, dealer, proof)) return { verdict: 'fault', reason: 'invalid' };
    await journal.appendEvidence(round.epoch, dealer, encodeEquivocation(proof));
    return { verdict: 'fault', reason: 'equivocation' };
  }

  #ack(dealer: Uint8Array, publicMessage: Uint8Array): Uint8Array {
    const { scheme, round } = this.#parts;
    const name = participantName(dealer);
    const ack = this.#acks.get(name) ?? scheme.signAck(round, dealer, publicMessage);
    this.#acks.set(name, ack);
    return copyBytes(ack);
  }
}
