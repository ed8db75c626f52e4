import { compareBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { ReadableNamespace } from '../store/api/store-api.ts';
import { participantKey, participantName } from './epoch-names.ts';
import { decodeEvent, type EventKind, eventKinds } from './epoch-record.ts';

/** One participant's message in an epoch. */
export interface ParticipantMessage {
  /** 32 bytes. */
  readonly participant: Uint8Array;
  readonly message: Uint8Array;
}

/** The messages of one epoch by kind, then by the participant's name. */
export type EpochMessages = { readonly [Kind in EventKind]: Map<string, Uint8Array> };

/** An epoch without messages. */
export const noMessages = (): EpochMessages => ({
  dealing: new Map(),
  ack: new Map(),
  log: new Map(),
  evidence: new Map(),
});

/** Name of an event's record: the kind, a slash and the participant. */
export const eventName = (kind: EventKind, participant: Uint8Array): string =>
  `${kind}/${participantName(participant)}`;

/** Copies of all entries, in the order of the participants' keys. */
export function orderedEntries(messages: ReadonlyMap<string, Uint8Array>): ParticipantMessage[] {
  return [...messages]
    .map(([name, message]) => ({ participant: participantKey(name), message: copyBytes(message) }))
    .sort((a, b) => compareBytes(a.participant, b.participant));
}

/**
 * Reads an epoch's records back.
 * @throws EvidenceError EPOCH_ENCODING for a malformed record.
 * @throws ProblemError EPOCH_RECORD_INVALID for a record under the name of another.
 */
export async function replayMessages(
  namespace: ReadableNamespace,
  maxMessageBytes: number,
): Promise<EpochMessages> {
  const messages = noMessages();
  for await (const [name, value] of namespace.entries()) {
    const event = decodeEvent(value, maxMessageBytes);
    if (name !== eventName(event.kind, event.participant)) {
      const kinds = eventKinds.join(', ');
      throw new ProblemError(
        'EPOCH_RECORD_INVALID',
        `record ${name} holds ${eventName(event.kind, event.participant)}`,
        { field: name, expected: `one of ${kinds} under its own name` },
      );
    }
    messages[event.kind].set(participantName(event.participant), event.message);
  }
  return messages;
}
