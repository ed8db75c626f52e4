import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../../crypto/xchacha20-poly1305.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import {
  CHECKPOINT_MANIFEST_VERSION,
  encodeStoreHeader,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  parseStoreHeader,
  type StoreHeader,
  storeKeyMatches,
} from '../keys/store-header.ts';
import { deriveStoreKey } from '../keys/store-keys.ts';
import { ByteReader, ByteWriter } from './byte-layout.ts';
import { type CheckpointReference, readReference, writeReference } from './checkpoint-format.ts';

/** A segment as the manifest lists it, oldest first; the last one is the one being written. */
export interface ListedSegment {
  readonly id: number;
  readonly keyVersion: number;
  readonly headerMac: Uint8Array;
  /** Bytes that were durable when the manifest was written; of a finished segment, all. */
  readonly length: number;
  /** Ordinal behind the last record within those bytes. */
  readonly nextOrdinal: number;
  /** Digest at that place. */
  readonly digest: Uint8Array;
  readonly cleanAsOf: number;
}

/** Record keys before the present ones, needed until the last segment under them is rewritten. */
export interface OldKeys {
  readonly version: number;
  readonly recordsKey: Uint8Array;
  readonly chainKey: Uint8Array;
}

/** The content of the sealed part of the manifest. */
export interface Manifest {
  /** See `LogHead`. */
  readonly generation: number;
  readonly nextSegmentId: number;
  readonly nextNamespaceId: number;
  /** Number in the name of the file with the wrapped keys of erasable namespaces. */
  readonly keysFile: number;
  /** Version of the record keys, which grows when the store key changes. */
  readonly keyVersion: number;
  readonly oldKeys: readonly OldKeys[];
  readonly segments: readonly ListedSegment[];
  /** The checkpoint of the index, where there is one. */
  readonly checkpoint: CheckpointReference | undefined;
}

const KEY_BYTES = 32;

/** Lays out the sealed part; `docs/store-format.md` lists the fields. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const writer = new ByteWriter()
    .u64(manifest.generation)
    .u64(manifest.nextSegmentId)
    .u32(manifest.nextNamespaceId)
    .u32(manifest.keysFile)
    .u32(manifest.keyVersion)
    .u32(manifest.oldKeys.length);
  for (const { version, recordsKey, chainKey } of manifest.oldKeys)
    writer.u32(version).bytes(recordsKey).bytes(chainKey);
  writer.u32(manifest.segments.length);
  for (const segment of manifest.segments)
    writer
      .u64(segment.id)
      .u32(segment.keyVersion)
      .bytes(segment.headerMac)
      .u64(segment.length)
      .u64(segment.nextOrdinal)
      .bytes(segment.digest)
      .u64(segment.cleanAsOf);
  if (manifest.checkpoint !== undefined) writeReference(writer, manifest.checkpoint);
  return writer.done();
}

/** Reads what {@link encodeManifest} wrote. @throws RangeError when it ends too early. */
export function decodeManifest(bytes: Uint8Array, version: number): Manifest {
  const reader = new ByteReader(bytes);
  const fixed = {
    generation: reader.u64(),
    nextSegmentId: reader.u64(),
    nextNamespaceId: reader.u32(),
    keysFile: reader.u32(),
    keyVersion: reader.u32(),
  };
  const oldKeys = Array.from({ length: reader.u32() }, () => ({
    version: reader.u32(),
    recordsKey: reader.bytes(KEY_BYTES),
    chainKey: reader.bytes(KEY_BYTES),
  }));
  const segments = Array.from({ length: reader.u32() }, () => ({
    id: reader.u64(),
    keyVersion: reader.u32(),
    headerMac: reader.bytes(KEY_BYTES),
    length: reader.u64(),
    nextOrdinal: reader.u64(),
    digest: reader.bytes(KEY_BYTES),
    cleanAsOf: reader.u64(),
  }));
  const checkpoint = version === CHECKPOINT_MANIFEST_VERSION ? readReference(reader) : undefined;
  if (!reader.atEnd) throw new RangeError('the manifest has bytes left over');
  return { ...fixed, oldKeys, segments, checkpoint };
}

function manifestCipher(storeKey: SecretBytes): XChaCha20Key {
  const key = deriveStoreKey(storeKey, 'manifest');
  try {
    return new XChaCha20Key(key.reveal());
  } finally {
    key.wipe();
  }
}

/** Seals the manifest after its header, which is the associated data. */
export function sealManifest(
  { storeId, unlock }: StoreHeader,
  manifest: Manifest,
  storeKey: SecretBytes,
  random: RandomSource,
): Uint8Array {
  const version = manifest.checkpoint === undefined ? MANIFEST_VERSION : CHECKPOINT_MANIFEST_VERSION;
  const header = encodeStoreHeader(storeId, unlock, storeKey, version);
  const plaintext = encodeManifest(manifest);
  const cipher = manifestCipher(storeKey);
  const at = header.bytes.length;
  const bytes = new Uint8Array(at + XCHACHA_NONCE_BYTES + plaintext.length + XCHACHA_TAG_BYTES);
  bytes.set(header.bytes);
  try {
    cipher.sealInto(bytes, at, random(XCHACHA_NONCE_BYTES), header.bytes, plaintext);
    return bytes;
  } finally {
    // It may hold old record keys.
    plaintext.fill(0);
    cipher.wipe();
  }
}

/**
 * Opens a manifest file.
 * @throws EvidenceError STORE_WRONG_KEY when the key is not this store's, STORE_MANIFEST_DAMAGED when the key is
 *   right and the manifest does not open, and what {@link parseStoreHeader} throws.
 */
export function openManifest(
  bytes: Uint8Array,
  storeKey: SecretBytes,
): { readonly header: StoreHeader; readonly manifest: Manifest } {
  const header = parseStoreHeader(bytes);
  if (!storeKeyMatches(header, storeKey))
    throw new EvidenceError('STORE_WRONG_KEY', 'this key does not belong to this store', {
      hint: 'nothing was changed; try again with the right key',
    });
  const cipher = manifestCipher(storeKey);
  const plaintext = cipher.open(bytes.subarray(header.bytes.length), header.bytes);
  cipher.wipe();
  if (plaintext === undefined)
    throw new EvidenceError(
      'STORE_MANIFEST_DAMAGED',
      'the sealed part of the manifest was altered or damaged',
      {
        field: `${MANIFEST_FILE}, from byte ${header.bytes.length}`,
        hint: 'the store was left as it is; restore a backup',
      },
    );
  try {
    return { header, manifest: decodeManifest(plaintext, header.version) };
  } finally {
    plaintext.fill(0);
  }
}
