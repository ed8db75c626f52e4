import type { ErrorCode } from '../../errors/codes.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';

/** Why a store is closed. Each cause has its own advice ({@link adviceOn}). */
export type LockedCause =
  | 'keys-missing'
  | 'keys-lost'
  | 'other-process'
  | 'disk-full'
  | 'disk-read-only'
  | 'disk-failed'
  | 'resources-short'
  | 'lock-unavailable'
  | 'clock'
  | 'chain-stale'
  | 'chain-unreachable'
  | 'chain-refused'
  | 'rolled-back'
  | 'store-damaged'
  | 'keyslots'
  | 'wrong-disk'
  | 'never-backed'
  | 'unexpected';

const causes: Readonly<Partial<Record<ErrorCode, LockedCause>>> = {
  NODE_RUNNING: 'other-process',
  STORE_LOCKED: 'other-process',
  STORE_DISK_FULL: 'disk-full',
  STORE_DISK_READ_ONLY: 'disk-read-only',
  STORE_RESOURCES_SHORT: 'resources-short',
  STORE_LOCK_UNAVAILABLE: 'lock-unavailable',
  STORE_WRITE_FAILED: 'disk-failed',
  STORE_READ_FAILED: 'disk-failed',
  KEYSLOT_READ_FAILED: 'disk-failed',
  KEYSLOT_WRITE_FAILED: 'disk-failed',
  CHAIN_STALE: 'chain-stale',
  CHAIN_UNAVAILABLE: 'chain-unreachable',
  CHAIN_GENESIS_MISMATCH: 'chain-refused',
  CHAIN_SHAPE_UNKNOWN: 'chain-refused',
  CHAIN_DISAGREEMENT: 'chain-refused',
  CHAIN_PROOF_INVALID: 'chain-refused',
  CHAIN_FINALITY_UNPROVEN: 'chain-refused',
  CHAIN_AUTHORITIES_UNKNOWN: 'chain-refused',
  STORE_ROLLED_BACK: 'rolled-back',
  LINEAGE_CLOSED: 'rolled-back',
  KEYSLOT_FILE_MISSING: 'keyslots',
  KEYSLOT_FILE_MALFORMED: 'keyslots',
  KEYSLOT_FILE_FOREIGN: 'keyslots',
  STORE_WRONG_KEY: 'keyslots',
  NODE_ACCOUNT_MISMATCH: 'wrong-disk',
  NODE_MISSING: 'wrong-disk',
  IDENTITY_MISSING: 'wrong-disk',
  NODE_NEVER_BACKED: 'never-backed',
};

/** The cause behind an error that kept a store closed. */
export function lockedCauseOf(error: unknown): LockedCause {
  if (!(error instanceof LatchkeyError)) return 'unexpected';
  const known = causes[error.code];
  if (known !== undefined) return known;
  return error.code.startsWith('STORE_') ? 'store-damaged' : 'unexpected';
}

const advice: Readonly<Record<LockedCause, string>> = {
  'keys-missing': 'The store is untouched and opens by itself when enough of these servers answer.',
  'keys-lost':
    'Too many servers say that they lost their memory. If that is true, the store key is gone. Keep the disk: a server may be lying or misconfigured.',
  'other-process':
    'Another process holds the data folder or the store. Stop that process; this one then opens the store by itself. Key servers are not involved.',
  'disk-full': 'The disk is full. Free some room on it; the node tries again by itself.',
  'disk-read-only':
    'The disk cannot be written: it is mounted read-only, or this user may not write there. Mount it for writing or correct the permissions; the node tries again by itself.',
  'disk-failed': 'The disk failed. Look at the kernel log and check the disk before anything else.',
  'resources-short':
    'The process has too few file descriptors or too little memory. Raise the limit (`ulimit -n`, LimitNOFILE) or free memory; the node tries again by itself.',
  'lock-unavailable':
    'The data folder cannot be locked, so that a second process could write to the same store. Free some room and inodes on its disk, or correct its permissions; the node tries again by itself.',
  clock:
    'The clock of this machine is ahead: the chain makes blocks at its usual pace, and each of them looks too old here. Set the clock (compare `date -u` with another machine); the node tries again by itself.',
  'chain-stale':
    'The chain stands still, or its endpoints withhold the newer blocks. Check the chain and the endpoints of `chain.endpoints`, or add others; the node tries again by itself. If the clock of this machine is ahead, correct it.',
  'chain-unreachable':
    'No endpoint of `chain.endpoints` gives a finalized block. Check that they run and can be reached; the node tries again by itself.',
  'chain-refused':
    'The endpoints of `chain.endpoints` serve another chain, disagree, or do not prove what they say. Compare the section `chain` of the configuration and trust.chain with the chain; look at docs/errors.md for the code.',
  'rolled-back':
    'The store on this disk is older than what the key servers remember: a restored backup, or a host that put back an old disk. Put the newest disk back. Only after a restore of your own: `latchkey accept-rollback`, or start once with --accept-rolled-back-store; it counts for this refusal only.',
  'store-damaged':
    'Files of the store are damaged or missing. Nothing was changed. `docs/operations.md`, section Backups, says how to restore.',
  keyslots:
    'The keyslot file is missing, damaged, or of another store. Put the newest copy of it back (`node/keyslots`, or FILE.keyslots of a backup).',
  'wrong-disk':
    'The store on this disk is not that of the expected account. Mount the right disk, or correct node.expectedAccount.',
  'never-backed':
    'There is a store without a keyslot file. Put the keyslot file back; if the node was never backed, `latchkey abandon` sets the store aside.',
  unexpected:
    'Look at the log event `store.locked`, and at docs/errors.md for the code; the node tries again by itself.',
};

/** What an operator does about a cause. */
export const adviceOn = (cause: LockedCause): string => advice[cause];
