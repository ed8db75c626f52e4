import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import type { ParticipantMessage } from './epoch-messages.ts';
import { EpochNames, epochText, tryEpochOf } from './epoch-names.ts';
import {
  copyEpochState,
  decodePublicState,
  type EpochState,
  encodePublicState,
  type PublicEpochState,
  type Share,
  wipeEpochState,
} from './epoch-record.ts';
import { type Dealing, MessageLog } from './message-log.ts';
import { PrunedBound } from './pruned-bound.ts';
import { SealedSecretStore } from './sealed-secret-store.ts';
import type { SecretStore } from './secret-store.ts';

/** The epoch that a node is in. */
export interface CurrentEpoch extends PublicEpochState {
  readonly number: number;
}

/** Options of a journal: its bounds and its secret store. */
export interface EpochJournalOptions {
  /** Name within the store, so that several DKGs can share it; `dkg` by default. */
  readonly name?: string;
  /** Keeps the secrets; by default the same store, in erasable namespaces. */
  readonly secrets?: SecretStore;
  /** Most records of one kind in one epoch; 4096 by default. */
  readonly maxParticipants?: number;
  /** Most bytes of one message or output; 1 MiB by default. */
  readonly maxMessageBytes?: number;
}

/** The parts of a journal, which {@link EpochJournal.open} makes. */
interface JournalParts {
  readonly states: Namespace;
  readonly pruned: PrunedBound;
  readonly messages: MessageLog;
  readonly secrets: SecretStore;
  readonly maxOutputBytes: number;
}

/**
 * The durable state of a node in a DKG: the epoch it is in, and per epoch the dealings it received, the acks to its
 * own dealing, and the finished logs. A write resolves when it is durable, and only then do reads see it; the first
 * write of a participant wins. After a failed write and a restart a record may be there, since a disk that reports an
 * error may have written. It was never acknowledged, and it then counts as the first.
 */
export class EpochJournal {
  readonly #parts: JournalParts;
  readonly #turns = new KeyedLock<'turn'>();
  #current: CurrentEpoch | undefined;

  private constructor(parts: JournalParts) {
    this.#parts = parts;
  }

  /**
   * Opens a journal and replays it. A pruning that a crash cut short is finished. Open a journal once per store:
   * two in one process would not see each other's first writes.
   * @throws EvidenceError EPOCH_ENCODING, ProblemError EPOCH_RECORD_INVALID: the namespaces hold something else.
   */
  static async open(store: Store, options: EpochJournalOptions = {}): Promise<EpochJournal> {
    const { name = 'dkg', maxParticipants = 4096, maxMessageBytes = 1024 * 1024 } = options;
    requireInteger(maxParticipants, 'maxParticipants');
    requireInteger(maxMessageBytes, 'maxMessageBytes');
    const names = new EpochNames(name);
    const states = await store.namespace(names.states);
    const pruned = await PrunedBound.open(store, names.states);
    const secrets = options.secrets ?? (await SealedSecretStore.open(store, name));
    const messages = new MessageLog({ store, names, pruned, secrets, maxParticipants, maxMessageBytes });
    const journal = new EpochJournal({ states, pruned, messages, secrets, maxOutputBytes: maxMessageBytes });
    if (pruned.value > 0) await journal.#eraseBelow(pruned.value);
    await journal.#replayState();
    await messages.replay();
    return journal;
  }

  /** The newest committed epoch; `undefined` before the first. */
  current(): CurrentEpoch | undefined {
    if (this.#current === undefined) return undefined;
    const { number, round, output } = this.#current;
    return { number, round, ...(output === undefined ? {} : { output: copyBytes(output) }) };
  }

  /** The secrets of this journal. */
  get secrets(): SecretStore {
    return this.#parts.secrets;
  }

  /** Everything below this epoch was pruned; 0 when nothing was. */
  get prunedBelow(): number {
    return this.#parts.pruned.value;
  }

  /** Epochs with messages, ascending. */
  epochs(): number[] {
    return this.#parts.messages.epochs();
  }

  /** Epochs that were committed and are not pruned, ascending. */
  committed(): number[] {
    const names = [...this.#parts.states.names({ prefix: STATE, from: stateName(this.prunedBelow) })];
    return names.map(epochOfState);
  }

  /** Public halves of the dealings received, by dealer; empty for an unknown epoch. */
  dealings(epoch: number): ParticipantMessage[] {
    return this.#parts.messages.entries(epoch, 'dealing');
  }

  /** Acks of our own dealing, by player; empty for an unknown epoch. */
  acks(epoch: number): ParticipantMessage[] {
    return this.#parts.messages.entries(epoch, 'ack');
  }

  /** Finished logs, by dealer; empty for an unknown epoch. */
  logs(epoch: number): ParticipantMessage[] {
    return this.#parts.messages.entries(epoch, 'log');
  }

  /** Kept proofs of equivocation, by dealer; empty for an unknown epoch. */
  evidence(epoch: number): ParticipantMessage[] {
    return this.#parts.messages.entries(epoch, 'evidence');
  }

  hasLog(epoch: number, dealer: Uint8Array): boolean {
    return this.#parts.messages.get(epoch, 'log', dealer) !== undefined;
  }

  /** The public half of one dealer's dealing. */
  dealing(epoch: number, dealer: Uint8Array): Uint8Array | undefined {
    const message = this.#parts.messages.get(epoch, 'dealing', dealer);
    return message && copyBytes(message);
  }

  /** The private half of a recorded dealing; `undefined` when it is missing or belongs to another public half. */
  async privateDealing(epoch: number, dealer: Uint8Array): Promise<SecretBytes | undefined> {
    const publicMessage = this.#parts.messages.get(epoch, 'dealing', dealer);
    return publicMessage && this.#parts.messages.privateHalf(epoch, dealer, publicMessage);
  }

  /**
   * Records a dealing that we received, and waits until both halves are durable.
   * @returns false, and writes nothing, when the epoch has a dealing of this dealer already.
   * @throws RefusalError EPOCH_PRUNED, EPOCH_LIMIT; the store's errors when it is not durable.
   */
  appendDealing(epoch: number, dealer: Uint8Array, dealing: Dealing): Promise<boolean> {
    return this.#parts.messages.appendDealing(epoch, dealer, dealing);
  }

  /** Records a player's ack of our own dealing. Returns and throws as {@link appendDealing}. */
  appendAck(epoch: number, player: Uint8Array, ack: Uint8Array): Promise<boolean> {
    return this.#parts.messages.append(epoch, 'ack', player, ack);
  }

  /** Records a dealer's finished log. Returns and throws as {@link appendDealing}. */
  appendLog(epoch: number, dealer: Uint8Array, log: Uint8Array): Promise<boolean> {
    return this.#parts.messages.append(epoch, 'log', dealer, log);
  }

  /** Keeps the first proof that a dealer equivocated. Returns and throws as {@link appendDealing}. */
  appendEvidence(epoch: number, dealer: Uint8Array, proof: Uint8Array): Promise<boolean> {
    return this.#parts.messages.append(epoch, 'evidence', dealer, proof);
  }

  /**
   * Enters an epoch: share durable, then seed durable, then the current epoch moves. Numbers may skip, but not
   * decrease. If an earlier call was interrupted after its seed was kept, that seed is used: the journal never reseeds.
   * A node that observes may commit the same state again with a share: then the share is kept.
   * @returns false, and writes nothing, for an epoch before the current one and for the current state again.
   * @throws EvidenceError EPOCH_CONFLICT for another state of the current epoch; EPOCH_SECRET_CONFLICT for another
   *   share than an earlier try kept. RefusalError EPOCH_PRUNED, EPOCH_LIMIT.
   */
  async commitEpoch(number: number, state: EpochState): Promise<boolean> {
    const copy = copyEpochState(state);
    try {
      return await this.#turns.run('turn', () => this.#commitInTurn(number, copy));
    } finally {
      wipeEpochState(copy);
    }
  }

  /**
   * Enters the next epoch, as {@link commitEpoch} does: 0 in a new journal, otherwise the number after the current one.
   * Each call is an epoch of its own; a caller that cannot tell whether an earlier call was durable asks
   * {@link current} first, or names the number with {@link commitEpoch}.
   * @returns the number of the epoch, which is current now.
   * @throws as {@link commitEpoch}.
   */
  async appendEpoch(state: EpochState): Promise<number> {
    const copy = copyEpochState(state);
    try {
      return await this.#turns.run('turn', async () => {
        const number = this.#current === undefined ? 0 : this.#current.number + 1;
        await this.#commitInTurn(number, copy);
        return number;
      });
    } finally {
      wipeEpochState(copy);
    }
  }

  async #commitInTurn(number: number, state: EpochState): Promise<boolean> {
    const encoded = this.#encodeState(state);
    this.#parts.pruned.refuse(number);
    const { secrets, states } = this.#parts;
    if (this.#isOld(number, encoded))
      return (
        number === this.#current?.number && state.share !== undefined && this.#keepShare(number, state.share)
      );
    if (state.share !== undefined) await secrets.putShare(number, state.share);
    const kept = await secrets.getSeed(number);
    kept?.wipe();
    if (kept === undefined) await secrets.putSeed(number, state.rngSeed);
    await states.put(stateName(number), encoded);
    this.#current = { number, ...decodePublicState(encoded, this.#parts.maxOutputBytes) };
    return true;
  }

  /**
   * Removes all epochs below `min`: the keys of their messages and secrets are destroyed. A second call
   * changes nothing.
   * @throws RefusalError EPOCH_IS_CURRENT when `min` lies beyond the current epoch.
   */
  prune(min: number): Promise<void> {
    return this.#turns.run('turn', async () => {
      epochText(min);
      const newest = this.#current?.number ?? 0;
      if (min > newest) {
        throw new RefusalError('EPOCH_IS_CURRENT', `epoch ${newest} is the current one and stays`, {
          field: 'min',
          expected: `at most ${newest}`,
          observed: `${min}`,
        });
      }
      await this.#parts.pruned.raise(min);
      await this.#eraseBelow(this.#parts.pruned.value);
    });
  }

  /** The share of the current epoch may come after the epoch was entered without it. @returns whether it was written. */
  async #keepShare(number: number, share: Share): Promise<boolean> {
    const { secrets } = this.#parts;
    const kept = await secrets.getShare(number);
    kept?.scalar.wipe();
    await secrets.putShare(number, share);
    return kept === undefined;
  }

  /** Whether the epoch, or the same state of it, is committed already. */
  #isOld(number: number, encoded: Uint8Array): boolean {
    if (this.#current === undefined || number > this.#current.number) return false;
    if (number < this.#current.number || equalBytes(encoded, encodePublicState(this.#current))) return true;
    throw new EvidenceError('EPOCH_CONFLICT', `epoch ${number} is committed with another state`, {
      field: 'epoch',
    });
  }

  #encodeState(state: PublicEpochState): Uint8Array {
    const { maxOutputBytes } = this.#parts;
    if ((state.output?.length ?? 0) <= maxOutputBytes) return encodePublicState(state);
    throw new RefusalError('EPOCH_LIMIT', `output of ${state.output?.length} bytes is too large`, {
      field: 'output',
      expected: `at most ${maxOutputBytes} bytes`,
    });
  }

  /** Waits first for appends that passed the check before the bound rose, so that none of them writes afterwards. */
  async #eraseBelow(min: number): Promise<void> {
    const { messages, secrets, states } = this.#parts;
    await messages.eraseBelow(min);
    await secrets.prune(min);
    for (const name of [...states.names({ prefix: STATE, before: stateName(min) })])
      await states.delete(name);
  }

  async #replayState(): Promise<void> {
    const { states, maxOutputBytes } = this.#parts;
    for (const name of states.names({ prefix: STATE, reverse: true, limit: 1 })) {
      const bytes = await states.get(name);
      if (bytes === undefined) continue;
      this.#current = {
        number: epochOfState(name),
        ...decodePublicState(bytes, maxOutputBytes),
      };
    }
  }
}

const STATE = 'state/';
const stateName = (epoch: number): string => STATE + epochText(epoch);

function epochOfState(name: string): number {
  const epoch = tryEpochOf(name.slice(STATE.length));
  if (epoch !== undefined) return epoch;
  throw new ProblemError('EPOCH_RECORD_INVALID', `record ${name} names no epoch`, { field: name });
}
