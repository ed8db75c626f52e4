import type { CodeEntry } from './code-entry.ts';

/** Codes of boot and healing. */
export const bootCodes = {
  NODE_LOCKED: { status: 503, summary: 'The store of this node is not open yet.' },
  NODE_FENCED: {
    status: 503,
    summary:
      'This instance no longer writes: a newer one claimed the account, or the disk failed while the store key changed.',
  },
  NODE_UNCLAIMED: {
    status: 503,
    summary: 'This instance does not hold its account yet: too few key servers have shown its mark.',
  },
  WRITE_UNCERTAIN: {
    status: 503,
    summary:
      'The node stopped to take writes while this one was on its way to the disk: it may count or not.',
  },
  NODE_NEVER_BACKED: {
    status: 503,
    summary:
      'There is a store but no keyslot file: it was deleted, or the node stopped before it was ever backed.',
  },
  NODE_MISSING: {
    status: 503,
    summary: 'The configuration names an account, and there is no store of it on this disk.',
  },
  NODE_RUNNING: {
    status: 409,
    summary: 'Another process works with this node; the command needs the node stopped.',
  },
  ROLLBACK_NOT_REFUSED: {
    status: 409,
    summary: 'No head of a key server refuses the store of this node now, so there is nothing to accept.',
  },
  ROTATION_NOT_BACKED: {
    status: 409,
    summary: 'The store key can be changed only while the node is backed.',
  },
  ROTATION_INCOMPLETE: {
    status: 503,
    summary: 'Too few key servers took a slot of the new store key; the former key stays in force.',
  },
  DRAIN_ENDED: {
    status: 409,
    summary: 'The drain that a command waited for was cancelled, or ended with its process.',
  },
  NODE_ACCOUNT_MISMATCH: {
    status: 503,
    summary: 'The store opened, and it is the store of another account.',
  },
  IDENTITY_MISSING: { status: 500, summary: 'The store opened, but holds no node identity.' },
  TRUST_HASH_MISMATCH: {
    status: 500,
    summary: 'MRCONFIGID of this machine is not the hash of its trust section, so peers would refuse it.',
  },
  OWN_QUOTE_REFUSED: {
    status: 500,
    summary: 'The quote of this machine would not satisfy its own trust section.',
  },
  KEYSLOT_FILE_MISSING: {
    status: 503,
    summary: 'The keyslot file beside the store is missing; without it no server can open the store.',
  },
  KEYSLOT_FILE_MALFORMED: {
    status: 503,
    summary: 'The keyslot file is damaged or was tampered with; the message names the place.',
  },
  KEYSLOT_FILE_FOREIGN: { status: 503, summary: 'The keyslot file belongs to another account or store.' },
  KEYSLOT_READ_FAILED: { status: 503, summary: 'The disk failed while reading the keyslot file.' },
  KEYSLOT_WRITE_FAILED: {
    status: 503,
    summary: 'The disk failed while replacing the keyslot file; the former one is still in force.',
  },
} as const satisfies Record<string, CodeEntry>;
