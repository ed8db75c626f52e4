import { join } from 'node:path';
import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { equalConstantTime } from '../../crypto/constant-time.ts';
import { hmacSha256 } from '../../crypto/hkdf.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { FileSystem } from '../../disk/file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { STORE_ID_BYTES } from '../api/limits.ts';
import { readFailure } from '../files/disk-failure.ts';
import { readWholeFile } from '../files/files.ts';
import { ByteReader, ByteWriter } from '../log/byte-layout.ts';
import { deriveStoreKey } from './store-keys.ts';

/** Name of the file that starts with the header. */
export const MANIFEST_FILE = 'MANIFEST';
/** There while a backup is restored into the folder; see `place.ts`. */
export const RESTORE_MARKER = 'RESTORING';
/** Version of the format of a manifest without a checkpoint; programs that know no checkpoint read it too. */
export const MANIFEST_VERSION = 1;
/** Version of the format of a manifest that lists a checkpoint: the highest that is read. */
export const CHECKPOINT_MANIFEST_VERSION = 2;
/** Most bytes of the unlock field. */
export const MAX_UNLOCK_BYTES = 1024;
const MAGIC = Buffer.from('LATCHKEY');
const FIXED_BYTES = 32;
const CHECK_BYTES = 32;
const CHECKSUM_BYTES = 8;
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/**
 * The part of the manifest that can be read without the key: `LATCHKEY` ‖ version (u16) ‖ length of the unlock field
 * (u16) ‖ zero (4) ‖ store id (16) ‖ unlock field ‖ key check (32) ‖ checksum (8). The key check is HMAC-SHA-256
 * under HKDF(store key, "latchkey/v1/store/check") of all before it; the checksum is the first 8 bytes of SHA-256 of
 * all before it, which tells damage from a wrong key.
 */
export interface StoreHeader {
  readonly version: number;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** Whatever helps to get the store key, such as the salt of a password; not secret, up to 1024 bytes. */
  readonly unlock: Uint8Array;
  readonly keyCheck: Uint8Array;
  /** The header's bytes as they are in the file. */
  readonly bytes: Uint8Array;
}

/** Lays out a header for a store key. @throws RangeError when the unlock field or the key has an impossible length. */
export function encodeStoreHeader(
  storeId: Uint8Array,
  unlock: Uint8Array,
  storeKey: SecretBytes,
  version: number = MANIFEST_VERSION,
): StoreHeader {
  if (unlock.length > MAX_UNLOCK_BYTES)
    throw new RangeError(`the unlock field takes ${MAX_UNLOCK_BYTES} bytes, got ${unlock.length}`);
  const fields = new ByteWriter()
    .bytes(MAGIC)
    .u16(version)
    .u16(unlock.length)
    .u32(0)
    .bytes(storeId)
    .bytes(unlock)
    .done();
  const keyCheck = keyCheckOf(fields, storeKey);
  const checked = new ByteWriter().bytes(fields).bytes(keyCheck).done();
  const bytes = new ByteWriter().bytes(checked).bytes(sha256(checked).subarray(0, CHECKSUM_BYTES)).done();
  return { version, storeId, unlock, keyCheck, bytes };
}

function keyCheckOf(fields: Uint8Array, storeKey: SecretBytes): Uint8Array {
  const key = deriveStoreKey(storeKey, 'check');
  try {
    return hmacSha256(key.reveal(), fields);
  } finally {
    key.wipe();
  }
}

/** True when this is the key of the store with this header. */
export function storeKeyMatches(header: StoreHeader, storeKey: SecretBytes): boolean {
  const fields = header.bytes.subarray(0, FIXED_BYTES + header.unlock.length);
  return equalConstantTime(keyCheckOf(fields, storeKey), header.keyCheck);
}

/**
 * Reads the header of the store in a folder; needs no key.
 * @throws EvidenceError STORE_NOT_FOUND, STORE_MANIFEST_MISSING, STORE_FORMAT_UNSUPPORTED,
 *   STORE_KEY_CHECK_MISSING or STORE_MANIFEST_DAMAGED.
 */
export async function readStoreHeader(fileSystem: FileSystem, path: string): Promise<StoreHeader> {
  return parseStoreHeader(await readManifestFile(fileSystem, path));
}

/** Reads the whole manifest file, or says why there is none. */
export async function readManifestFile(fileSystem: FileSystem, path: string): Promise<Uint8Array> {
  const file = join(path, MANIFEST_FILE);
  try {
    const place = await fileSystem.stat(path);
    if (place?.kind !== 'directory') throw placeError(place === undefined, path);
    const found = await fileSystem.stat(file);
    if (found !== undefined && found.size > MAX_MANIFEST_BYTES) throw damaged('is larger than any manifest');
    if (found !== undefined) return await readWholeFile(fileSystem, file, MAX_MANIFEST_BYTES);
    const names = await fileSystem.list(path);
    if (names.includes(RESTORE_MARKER)) throw unfinished(path);
    if (!names.some((name) => name.startsWith('segment-'))) throw placeError(true, path);
  } catch (error) {
    throw readFailure(error, file);
  }
  throw new EvidenceError('STORE_MANIFEST_MISSING', `${file} is gone, but segments of a store are there`, {
    field: MANIFEST_FILE,
    hint: 'the store was left as it is; restore a backup',
  });
}

const unfinished = (path: string): EvidenceError =>
  new EvidenceError('STORE_MANIFEST_MISSING', `a restore into ${path} did not finish`, {
    field: MANIFEST_FILE,
    hint: 'restore again to the same place; what is there is cleared away',
  });

const placeError = (missing: boolean, path: string): EvidenceError =>
  missing
    ? new EvidenceError('STORE_NOT_FOUND', `there is no store in ${path}`, { field: 'path' })
    : new EvidenceError('STORE_PLACE_NOT_A_FOLDER', `${path} is not a folder`, { field: 'path' });

/** Reads a header from the beginning of a manifest's bytes. */
export function parseStoreHeader(manifest: Uint8Array): StoreHeader {
  if (manifest.length < FIXED_BYTES || !equalBytes(manifest.subarray(0, MAGIC.length), MAGIC))
    throw damaged('does not start with a header of a store');
  const reader = new ByteReader(manifest.subarray(MAGIC.length));
  const version = reader.u16();
  if (version > CHECKPOINT_MANIFEST_VERSION)
    throw new EvidenceError('STORE_FORMAT_UNSUPPORTED', `the store has format version ${version}`, {
      field: `${MANIFEST_FILE}, bytes 8 to 9`,
      expected: `at most version ${CHECKPOINT_MANIFEST_VERSION}`,
      observed: `version ${version}`,
      hint: 'use the newer program that wrote it',
    });
  const unlockLength = reader.u16();
  reader.u32();
  const storeId = reader.bytes(STORE_ID_BYTES);
  const checkAt = FIXED_BYTES + unlockLength;
  const end = checkAt + CHECK_BYTES + CHECKSUM_BYTES;
  const keyCheck = copyBytes(manifest.subarray(checkAt, checkAt + CHECK_BYTES));
  if (keyCheck.length < CHECK_BYTES || keyCheck.every((byte) => byte === 0))
    throw new EvidenceError('STORE_KEY_CHECK_MISSING', 'the key check of the store is gone', {
      field: `${MANIFEST_FILE}, from byte ${checkAt}`,
      hint: 'no key is tried without it; the store was left as it is',
    });
  const checked = manifest.subarray(0, end - CHECKSUM_BYTES);
  if (
    version < MANIFEST_VERSION ||
    !equalBytes(sha256(checked).subarray(0, CHECKSUM_BYTES), manifest.subarray(checked.length, end))
  )
    throw damaged('has a damaged header');
  return {
    version,
    storeId,
    unlock: copyBytes(manifest.subarray(FIXED_BYTES, checkAt)),
    keyCheck,
    bytes: copyBytes(manifest.subarray(0, end)),
  };
}

const damaged = (what: string): EvidenceError =>
  new EvidenceError('STORE_MANIFEST_DAMAGED', `the manifest ${what}`, {
    field: MANIFEST_FILE,
    hint: 'the store was left as it is; restore a backup',
  });
