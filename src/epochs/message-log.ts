import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { sha256 } from '../crypto/sha2.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import {
  type EpochMessages,
  eventName,
  noMessages,
  orderedEntries,
  type ParticipantMessage,
  replayMessages,
} from './epoch-messages.ts';
import { type EpochNames, participantKey, participantName } from './epoch-names.ts';
import { type EventKind, encodeEvent, type JournalEvent } from './epoch-record.ts';
import { InFlight } from './in-flight.ts';
import type { PrunedBound } from './pruned-bound.ts';
import { SealedSecretStore } from './sealed-secret-store.ts';
import type { SecretStore } from './secret-store.ts';

/** Bytes of the digest that ties a private dealing to its public half. */
const TIE_BYTES = 32;

/** Both halves of a dealing that we received. */
export interface Dealing {
  readonly publicMessage: Uint8Array;
  readonly privateMessage: SecretBytes;
}

/** The parts of a {@link MessageLog}. */
interface MessageLogParts {
  readonly store: Store;
  readonly names: EpochNames;
  readonly pruned: PrunedBound;
  readonly secrets: SecretStore;
  readonly maxParticipants: number;
  readonly maxMessageBytes: number;
}

/**
 * The messages of all epochs: on disk one erasable namespace per epoch, in memory maps that show only what is
 * durable. The first write of a participant wins.
 */
export class MessageLog {
  readonly #parts: MessageLogParts;
  readonly #epochs = new Map<number, EpochMessages>();
  readonly #namespaces = new Map<number, Promise<Namespace>>();
  readonly #order = new KeyedLock<string>();
  readonly #inFlight = new InFlight();

  constructor(parts: MessageLogParts) {
    this.#parts = parts;
  }

  /** Epochs with messages, ascending. */
  epochs(): number[] {
    const known = [...this.#epochs.keys()].filter((epoch) => epoch >= this.#parts.pruned.value);
    return known.sort((a, b) => a - b);
  }

  /** Copies of one kind, by participant; empty for an unknown epoch. */
  entries(epoch: number, kind: EventKind): ParticipantMessage[] {
    const messages = this.#visible(epoch);
    return messages === undefined ? [] : orderedEntries(messages[kind]);
  }

  get(epoch: number, kind: EventKind, participant: Uint8Array): Uint8Array | undefined {
    return this.#visible(epoch)?.[kind].get(participantName(participant));
  }

  /** A pruned epoch is not shown as soon as the bound has risen, even when erasing it fails and is tried again. */
  #visible(epoch: number): EpochMessages | undefined {
    return epoch < this.#parts.pruned.value ? undefined : this.#epochs.get(epoch);
  }

  /**
   * Reads everything back. A dealing counts only if both its halves are there and belong together. When one is
   * missing, the dealing was never acknowledged, or a backup was made without it.
   */
  async replay(): Promise<void> {
    const { store, names, maxMessageBytes } = this.#parts;
    for (const epoch of names.messageEpochs(store.namespaces())) {
      const messages = await replayMessages(await this.#namespace(epoch), maxMessageBytes);
      for (const [dealer, publicMessage] of messages.dealing) {
        const half = await this.privateHalf(epoch, participantKey(dealer), publicMessage);
        if (half === undefined) messages.dealing.delete(dealer);
        half?.wipe();
      }
      this.#epochs.set(epoch, messages);
    }
  }

  /** The private half that belongs to this public half, or `undefined`. */
  async privateHalf(
    epoch: number,
    dealer: Uint8Array,
    publicMessage: Uint8Array,
  ): Promise<SecretBytes | undefined> {
    const tied = await this.#parts.secrets.getDealing(epoch, dealer);
    if (tied === undefined || tied.length < TIE_BYTES) return undefined;
    const belongs = equalConstantTime(tied.reveal().subarray(0, TIE_BYTES), sha256(publicMessage));
    const secret = belongs ? new SecretBytes(tied.reveal().subarray(TIE_BYTES)) : undefined;
    tied.wipe();
    return secret;
  }

  /** Records both halves of a dealing; durable when it resolves. */
  async appendDealing(epoch: number, dealer: Uint8Array, dealing: Dealing): Promise<boolean> {
    const publicMessage = copyBytes(dealing.publicMessage, 'publicMessage');
    const tie = concatBytes(sha256(publicMessage), dealing.privateMessage.reveal());
    const secret = SecretBytes.adopt(tie);
    try {
      return await this.append(epoch, 'dealing', dealer, publicMessage, secret);
    } finally {
      secret.wipe();
    }
  }

  /** Records one message. Writes of the same participant and kind run one after another, so that the first wins. */
  async append(
    epoch: number,
    kind: EventKind,
    participant: Uint8Array,
    message: Uint8Array,
    secret?: SecretBytes,
  ): Promise<boolean> {
    const event = {
      kind,
      participant: copyBytes(participant, 'participant'),
      message: copyBytes(message, 'message'),
    };
    const write = () => this.#appendInTurn(epoch, event, secret);
    return this.#inFlight.run(() => this.#order.run(`${epoch}/${eventName(kind, event.participant)}`, write));
  }

  async #appendInTurn(epoch: number, event: JournalEvent, secret?: SecretBytes): Promise<boolean> {
    const { kind, participant, message } = event;
    this.#parts.pruned.refuse(epoch);
    if (this.get(epoch, kind, participant) !== undefined) return false;
    this.#refuseExcess(epoch, kind, Math.max(message.length, secret?.length ?? 0));
    await this.#write(epoch, event, secret);
    const messages = this.#epochs.get(epoch) ?? noMessages();
    this.#epochs.set(epoch, messages);
    messages[kind].set(participantName(participant), message);
    return true;
  }

  async #write(epoch: number, event: JournalEvent, secret?: SecretBytes): Promise<void> {
    const { store, secrets } = this.#parts;
    const name = eventName(event.kind, event.participant);
    const namespace = await this.#namespace(epoch);
    if (secret === undefined) return namespace.put(name, encodeEvent(event));
    if (secrets instanceof SealedSecretStore && secrets.isOn(store)) {
      const put = { kind: 'put', namespace: namespace.name, name, value: encodeEvent(event) } as const;
      return store.batch([await secrets.dealingPut(epoch, event.participant, secret), put]);
    }
    // Waits for both even if one fails, so that no write is running when this function ends.
    const halves = [
      secrets.putDealing(epoch, event.participant, secret),
      namespace.put(name, encodeEvent(event)),
    ];
    for (const half of await Promise.allSettled(halves)) if (half.status === 'rejected') throw half.reason;
  }

  #refuseExcess(epoch: number, kind: EventKind, bytes: number): void {
    const { maxMessageBytes, maxParticipants } = this.#parts;
    const count = this.#epochs.get(epoch)?.[kind].size ?? 0;
    if (bytes > maxMessageBytes) {
      throw new RefusalError('EPOCH_LIMIT', `${kind} of ${bytes} bytes is larger than ${maxMessageBytes}`);
    }
    if (count >= maxParticipants) {
      throw new RefusalError('EPOCH_LIMIT', `epoch ${epoch} has ${count} of ${kind}, and may have no more`);
    }
  }

  /** Erases the messages below `min`. The bound has risen before, so no new write passes it. */
  async eraseBelow(min: number): Promise<void> {
    await this.#inFlight.settled();
    const { store, names } = this.#parts;
    for (const epoch of names.messageEpochs(store.namespaces())) {
      if (epoch >= min) break;
      this.#namespaces.delete(epoch);
      await store.eraseNamespace(names.messages(epoch));
    }
    for (const epoch of [...this.#epochs.keys()].filter((known) => known < min)) this.#epochs.delete(epoch);
  }

  #namespace(epoch: number): Promise<Namespace> {
    const known = this.#namespaces.get(epoch);
    if (known !== undefined) return known;
    const opening = this.#parts.store.namespace(this.#parts.names.messages(epoch), { erasable: true });
    this.#namespaces.set(epoch, opening);
    opening.catch(() => this.#namespaces.delete(epoch));
    return opening;
  }
}
