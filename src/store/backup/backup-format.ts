import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { equalConstantTime } from '../../crypto/constant-time.ts';
import { hmacSha256 } from '../../crypto/hkdf.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES } from '../../crypto/xchacha20-poly1305.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { deriveStoreKey } from '../keys/store-keys.ts';
import { ByteReader, ByteWriter, writeU64 } from '../log/byte-layout.ts';
import { SEAL_BYTES } from '../log/record-sealer.ts';

/**
 * A backup file: header, 80 bytes: `LATCHBAK` ‖ version (u16) ‖ zero (6) ‖ store id (16) ‖ backup id (16) ‖ key check
 * (32), then chunks: length (u32) ‖ last (1) ‖ nonce (24) ‖ ciphertext ‖ tag (16). The file's key is HMAC-SHA-256
 * under HKDF(store key, "latchkey/v1/store/backup") over the label `file` and the 48 bytes before the key check; the
 * key check is the same over `check`. A chunk's associated data = backup id ‖ number of the chunk (u64) ‖ last (1).
 */
export const BACKUP_HEADER_BYTES = 80;
/** Length and last-mark before a chunk. */
export const CHUNK_PREFIX_BYTES = 5;
/** Version of the format of backups. */
export const BACKUP_VERSION = 1;
const MAGIC = Buffer.from('LATCHBAK');
const CHECK_AT = 48;
/** Limit on the length of a chunk: larger than the largest record with its names. */
export const MAX_CHUNK_BYTES = 32 * 1024 * 1024;

/** The fields of the header of a backup. */
export interface BackupHeader {
  readonly storeId: Uint8Array;
  readonly backupId: Uint8Array;
  readonly bytes: Uint8Array;
}

function backupKeys(fields: Uint8Array, storeKey: SecretBytes): { file: Uint8Array; check: Uint8Array } {
  const key = deriveStoreKey(storeKey, 'backup');
  try {
    const file = hmacSha256(key.reveal(), Buffer.from('file'), fields);
    return { file, check: hmacSha256(key.reveal(), Buffer.from('check'), fields) };
  } finally {
    key.wipe();
  }
}

/**
 * Reads the 80 bytes that a backup begins with; whether they are genuine, only the key tells.
 * @throws EvidenceError STORE_BACKUP_INVALID, STORE_BACKUP_TRUNCATED, STORE_FORMAT_UNSUPPORTED.
 */
export function parseBackupHeader(bytes: Uint8Array): BackupHeader {
  if (bytes.length >= MAGIC.length && !Buffer.from(bytes.subarray(0, MAGIC.length)).equals(MAGIC))
    throw new EvidenceError('STORE_BACKUP_INVALID', 'this is not a backup of a store');
  if (bytes.length < BACKUP_HEADER_BYTES) throw backupTruncated();
  const reader = new ByteReader(bytes.subarray(MAGIC.length));
  const version = reader.u16();
  if (version !== BACKUP_VERSION)
    throw new EvidenceError('STORE_FORMAT_UNSUPPORTED', `the backup has format version ${version}`, {
      expected: `version ${BACKUP_VERSION}`,
      observed: `version ${version}`,
    });
  reader.bytes(6);
  return { storeId: reader.bytes(16), backupId: reader.bytes(16), bytes };
}

/** Seals and opens the chunks of one backup. */
export class BackupCipher {
  readonly header: BackupHeader;
  readonly #cipher: XChaCha20Key;
  #chunks = 0;

  private constructor(header: BackupHeader, fileKey: Uint8Array) {
    this.header = header;
    this.#cipher = new XChaCha20Key(fileKey);
    fileKey.fill(0);
  }

  /** For a new backup. */
  static create(storeId: Uint8Array, storeKey: SecretBytes, random: RandomSource): BackupCipher {
    const backupId = random(16);
    const fields = new ByteWriter()
      .bytes(MAGIC)
      .u16(BACKUP_VERSION)
      .bytes(new Uint8Array(6))
      .bytes(storeId)
      .bytes(backupId)
      .done();
    const { file, check } = backupKeys(fields, storeKey);
    const bytes = new ByteWriter().bytes(fields).bytes(check).done();
    return new BackupCipher({ storeId, backupId, bytes }, file);
  }

  /**
   * For a backup that begins with these 80 bytes.
   * @throws EvidenceError STORE_BACKUP_INVALID, STORE_BACKUP_TRUNCATED, STORE_FORMAT_UNSUPPORTED or STORE_WRONG_KEY.
   */
  static open(bytes: Uint8Array, storeKey: SecretBytes): BackupCipher {
    const header = parseBackupHeader(bytes);
    const { file, check } = backupKeys(bytes.subarray(0, CHECK_AT), storeKey);
    if (equalConstantTime(check, bytes.subarray(CHECK_AT))) return new BackupCipher(header, file);
    throw new EvidenceError('STORE_WRONG_KEY', 'this key does not open this backup', {
      hint: 'a backup opens with the store key of its time; or its header was altered',
    });
  }

  /** Seals the next chunk with its prefix. */
  seal(plaintext: Uint8Array, isLast: boolean, random: RandomSource): Uint8Array {
    const bytes = Buffer.alloc(CHUNK_PREFIX_BYTES + plaintext.length + SEAL_BYTES);
    bytes.writeUInt32BE(plaintext.length + SEAL_BYTES, 0);
    bytes[4] = isLast ? 1 : 0;
    const nonce = random(XCHACHA_NONCE_BYTES);
    this.#cipher.sealInto(bytes, CHUNK_PREFIX_BYTES, nonce, this.#associatedData(isLast), plaintext);
    this.#chunks += 1;
    return bytes;
  }

  /** Opens the next chunk. @throws EvidenceError STORE_BACKUP_DAMAGED. */
  open(sealed: Uint8Array, isLast: boolean): Uint8Array {
    const plaintext = this.#cipher.open(sealed, this.#associatedData(isLast));
    if (plaintext === undefined) throw backupDamaged(`chunk ${this.#chunks} does not authenticate`);
    this.#chunks += 1;
    return plaintext;
  }

  wipe(): void {
    this.#cipher.wipe();
  }

  #associatedData(isLast: boolean): Uint8Array {
    const bytes = Buffer.alloc(25);
    bytes.set(this.header.backupId);
    writeU64(bytes, this.#chunks, 16);
    bytes[24] = isLast ? 1 : 0;
    return bytes;
  }
}

/** The backup was altered. */
export const backupDamaged = (what: string): EvidenceError =>
  new EvidenceError('STORE_BACKUP_DAMAGED', `the backup was altered or damaged: ${what}`, {
    hint: 'nothing was restored; use another copy',
  });

/** The backup ends before its last chunk. */
export const backupTruncated = (): EvidenceError =>
  new EvidenceError('STORE_BACKUP_TRUNCATED', 'the backup ends too early', {
    hint: 'nothing was restored; use another copy',
  });
