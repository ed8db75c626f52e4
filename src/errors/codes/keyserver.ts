import type { CodeEntry } from './code-entry.ts';

/** Codes of the handshake, the judge, the vault and the seal. */
export const keyserverCodes = {
  CHALLENGE_MISSING: {
    status: 400,
    summary: 'The request names no server and no challenge, so anybody could send its quote again later.',
  },
  CHALLENGE_INVALID: {
    status: 401,
    summary: 'The challenge was not made by this server process for this account and ephemeral key.',
  },
  CHALLENGE_EXPIRED: { status: 401, summary: 'The challenge is older than its 60 seconds.' },
  SERVER_NOT_ADDRESSED: {
    status: 401,
    summary: 'The answering server is not among the servers that the request names.',
  },
  REPORT_DATA_MISMATCH: { status: 401, summary: 'The quote does not bind the parameters of this request.' },
  RECOVERY_PROOF_REQUIRED: { status: 401, summary: 'Recovering this key needs the recovery proof.' },
  RECOVERY_PROOF_WRONG: { status: 401, summary: 'The recovery proof does not match the token of this key.' },
  TIMESTAMP_STALE: { status: 401, summary: 'The timestamp of the request is more than 60 seconds off.' },
  TRUST_SECTION_REFUSED: {
    status: 403,
    summary: 'MRCONFIGID is not the hash of a trust section that this server accepts.',
  },
  SERVER_UNREGISTERED: {
    status: 403,
    summary: 'The server has had no record on the chain, so this node signs no statement for it.',
  },
  ACCOUNT_DEREGISTERED: { status: 403, summary: 'The account was registered on the chain and no longer is.' },
  PLATFORM_REFUSED: {
    status: 403,
    summary: 'The key is bound to another platform, and no move of the fleet manifest allows this one.',
  },
  PLATFORM_NOT_ENDORSED: {
    status: 403,
    summary: 'trust.platforms asks for endorsed platforms, and the fleet manifest does not endorse this one.',
  },
  PLATFORM_REVOKED: { status: 403, summary: 'The fleet manifest revokes this platform.' },
  PLATFORM_LIMIT: {
    status: 429,
    summary:
      'This platform has sent too many requests or holds too many keys; Retry-After says when to try again.',
  },
  SLOT_UNLINKED: {
    status: 409,
    summary: 'The slot is not linked to a lineage, so its key cannot be confirmed or recovered.',
  },
  LINEAGE_OTHER: { status: 409, summary: 'The slot is linked to another lineage already.' },
  LINEAGE_CLOSED: {
    status: 409,
    summary: 'Another instance of this node has changed the store key; this disk is from before that.',
  },
  LINEAGE_UNKNOWN: {
    status: 404,
    summary:
      'This server knows no such lineage, or the proof of knowing it is wrong; the two are not told apart.',
  },
  KEY_UNKNOWN: {
    status: 404,
    summary:
      'This server holds no such key, or the proof of holding it is wrong; the two are not told apart.',
  },
  KEY_EXISTS: {
    status: 409,
    summary: 'There is a key under this slot id already, and the request does not prove to own it.',
  },
  SERVER_BUSY: {
    status: 503,
    summary:
      'More keys are asked for than this server can verify in time; Retry-After says when to try again.',
  },
  SERVER_DRAINING: {
    status: 503,
    summary:
      'This server is about to be stopped for good: it makes no new keys, and answers for those that it has.',
  },
  VAULT_FULL: { status: 507, summary: 'The key table is full.' },
  HPKE_PUBLIC_KEY_INVALID: {
    status: 400,
    summary: 'The X25519 public key to seal to has small order, so the shared secret would be known to all.',
  },
  REGISTRATION_MISMATCH: {
    status: 403,
    summary: 'The quote registered on the chain does not bind the account to the X25519 key.',
  },
  TRUST_SECTION_INVALID: {
    status: 500,
    summary: 'The trust section of the configuration is wrong; the message names the place.',
  },
} as const satisfies Record<string, CodeEntry>;
