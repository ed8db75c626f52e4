import { copyBytes } from '../bytes/copy-bytes.ts';
import { toHex, tryFromHex } from '../bytes/hex.ts';
import { PARTICIPANT_BYTES } from './epoch-record.ts';

/** Decimal digits of an epoch in a namespace's name, so that the order of names is the order of epochs. */
const EPOCH_DIGITS = 16;

/** Fixed-width decimal of an epoch number. @throws RangeError unless it is an integer from 0 to 2^53 − 1. */
export function epochText(epoch: number): string {
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError(`${epoch} is not an epoch number`);
  return String(epoch).padStart(EPOCH_DIGITS, '0');
}

/** Reads {@link epochText}; `undefined` for anything else. */
export function tryEpochOf(text: string): number | undefined {
  const epoch = Number(text);
  return /^\d{16}$/.test(text) && Number.isSafeInteger(epoch) ? epoch : undefined;
}

/** Names of a journal's namespaces, below `epochs/<journal>/`: one for each epoch, so that pruning can erase its key. */
export class EpochNames {
  readonly states: string;
  readonly secretsMeta: string;
  readonly #messages: string;
  readonly #secrets: string;

  /** @throws RangeError unless the journal's name is 1 to 64 of `a-z 0-9 - _`. */
  constructor(journal: string) {
    if (!/^[a-z0-9_-]{1,64}$/.test(journal))
      throw new RangeError(`journal name must be 1 to 64 of a-z, 0-9, - and _, got ${journal.length} others`);
    this.states = `epochs/${journal}/states`;
    this.secretsMeta = `epochs/${journal}/secrets`;
    this.#messages = `epochs/${journal}/messages/`;
    this.#secrets = `epochs/${journal}/secrets/`;
  }

  messages(epoch: number): string {
    return this.#messages + epochText(epoch);
  }

  secrets(epoch: number): string {
    return this.#secrets + epochText(epoch);
  }

  /** Epochs that have a messages namespace among these, ascending. */
  messageEpochs(namespaces: readonly string[]): number[] {
    return epochsUnder(this.#messages, namespaces);
  }

  /** Epochs that have a secrets namespace among these, ascending. */
  secretEpochs(namespaces: readonly string[]): number[] {
    return epochsUnder(this.#secrets, namespaces);
  }
}

function epochsUnder(prefix: string, namespaces: readonly string[]): number[] {
  return namespaces
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => tryEpochOf(name.slice(prefix.length)) ?? [])
    .sort((a, b) => a - b);
}

/** Hex of a participant's key, its name in maps and records. @throws RangeError unless it is 32 bytes. */
export function participantName(key: Uint8Array): string {
  const copy = copyBytes(key, "a participant's key");
  if (copy.length !== PARTICIPANT_BYTES)
    throw new RangeError(`a participant's key must be ${PARTICIPANT_BYTES} bytes, got ${copy.length}`);
  return toHex(copy);
}

/** The key that {@link participantName} named; empty when the text is not hex. */
export const participantKey = (name: string): Uint8Array => tryFromHex(name) ?? new Uint8Array(0);
