import { EvidenceError } from '../../errors/latchkey-error.ts';
import {
  BACKUP_HEADER_BYTES,
  CHUNK_PREFIX_BYTES,
  MAX_CHUNK_BYTES,
  parseBackupHeader,
} from './backup-format.ts';

/**
 * Reads the outline of a backup while it is copied, without the store key: the store id that it claims, and whether it is
 * complete. Only restoring tells whether it is genuine.
 */
export class BackupOutline {
  #storeId: Uint8Array | undefined;
  /** What is there of the header, or of the prefix of the next chunk. */
  #partial = Buffer.alloc(0);
  /** Bytes of the present chunk that are still to come. */
  #toCome = 0;
  #isLast = false;

  /** The next bytes, cut anywhere. @throws EvidenceError STORE_BACKUP_INVALID, STORE_FORMAT_UNSUPPORTED. */
  take(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#toCome === 0 && this.#isLast) throw invalid('there are bytes behind its end');
      rest = rest.subarray(this.#toCome > 0 ? this.#pass(rest) : this.#gather(rest));
    }
  }

  /** No more bytes come. @throws EvidenceError STORE_BACKUP_TRUNCATED. */
  finish(): { readonly storeId: Uint8Array } {
    if (this.#storeId !== undefined && this.#isLast && this.#toCome === 0) return { storeId: this.#storeId };
    throw new EvidenceError('STORE_BACKUP_TRUNCATED', 'the backup ended before it was complete', {
      hint: 'nothing was kept of it; make it again',
    });
  }

  #pass(bytes: Uint8Array): number {
    const passed = Math.min(this.#toCome, bytes.length);
    this.#toCome -= passed;
    return passed;
  }

  #gather(bytes: Uint8Array): number {
    const wanted = this.#storeId === undefined ? BACKUP_HEADER_BYTES : CHUNK_PREFIX_BYTES;
    const taken = Math.min(wanted - this.#partial.length, bytes.length);
    this.#partial = Buffer.concat([this.#partial, bytes.subarray(0, taken)]);
    if (this.#partial.length === wanted) {
      this.#read(this.#partial);
      this.#partial = Buffer.alloc(0);
    }
    return taken;
  }

  #read(complete: Buffer): void {
    if (this.#storeId === undefined) {
      this.#storeId = parseBackupHeader(new Uint8Array(complete)).storeId;
      return;
    }
    const length = complete.readUInt32BE(0);
    const last = complete[4] ?? 2;
    if (length === 0 || length > MAX_CHUNK_BYTES || last > 1)
      throw invalid('a chunk has an impossible length');
    this.#toCome = length;
    this.#isLast = last === 1;
  }
}

const invalid = (what: string): EvidenceError =>
  new EvidenceError('STORE_BACKUP_INVALID', `this is not a backup of a store: ${what}`);
