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
  CHANNEL_PEER_REFUSED: {
    status: 403,
    summary:
      'The machine of the other node is not accepted: its platform, its software or its trust section.',
  },
  CHANNEL_SESSION_UNKNOWN: {
    status: 404,
    summary:
      'There is no such session here: this node restarted, or the session was too old; open another one.',
  },
  CHANNEL_EXHAUSTED: { status: 503, summary: 'The session has sent all its messages; open another one.' },
} as const satisfies Record<string, CodeEntry>;
