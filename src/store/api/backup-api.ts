import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { LogHead } from './log-head.ts';

/** Numbers of namespaces and records in a backup. */
export interface BackupCounts {
  readonly namespaces: number;
  readonly records: number;
  readonly valueBytes: number;
}

/** The result of a backup or of a restore. */
export interface BackupReport extends BackupCounts {
  /** The log's head that the backup shows. */
  readonly head: LogHead;
}

/** Takes the bytes of a backup, in order; resolves when they are written. */
export type BackupSink = (bytes: Uint8Array) => Promise<void>;

/** A part of a store for a reader that must not get the rest; it restores as a separate store. */
export interface BackupPart {
  /** 32 bytes that open this backup, in place of the store key. */
  readonly key: SecretBytes;
  /** Whether a namespace is part of it. */
  readonly includes: (namespace: string) => boolean;
}
