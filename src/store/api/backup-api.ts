import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { LogHead } from './log-head.ts';

/** What a backup holds. */
export interface BackupCounts {
  readonly namespaces: number;
  readonly records: number;
  readonly valueBytes: number;
}

/** What was backed up, or restored. */
export interface BackupReport extends BackupCounts {
  /** The log's head that the backup shows. */
  readonly head: LogHead;
}

/** Takes the bytes of a backup, in order; resolves when they are written. */
export type BackupSink = (bytes: Uint8Array) => Promise<void>;

/** A part of a store, for a reader who must not have the rest: it restores as a store of its own. */
export interface BackupPart {
  /** 32 bytes that open this backup, in place of the store key. */
  readonly key: SecretBytes;
  /** Whether a namespace is part of it. */
  readonly includes: (namespace: string) => boolean;
}
