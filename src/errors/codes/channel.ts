import type { CodeEntry } from './code-entry.ts';

/** Codes of the attested channel between two nodes. */
export const channelCodes = {
  CHANNEL_PEER_UNPROVEN: {
    status: 401,
    summary: 'The quote of a node does not bind its account, its registered key and its instance id.',
  },
  CHANNEL_HANDSHAKE_INVALID: {
    status: 401,
    summary: 'A message of the handshake was not made by this peer for this node, or was changed.',
  },
  CHANNEL_MESSAGE_INVALID: {
    status: 401,
    summary: 'A message of the channel is of another session, direction or request, or was changed.',
  },
  CHANNEL_MESSAGE_REPLAYED: {
    status: 409,
    summary: 'A message with this counter was received before, or is too old to tell.',
  },
  CHANNEL_EXHAUSTED: { status: 503, summary: 'The session has sent all its messages; open another one.' },
} as const satisfies Record<string, CodeEntry>;
