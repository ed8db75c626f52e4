import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { deriveStoreKey } from '../keys/store-keys.ts';
import type { ByteReader, ByteWriter } from './byte-layout.ts';
import { writeU64 } from './byte-layout.ts';
import { SEAL_BYTES } from './record-sealer.ts';

/** A place between two frames of the log. */
export interface LogPosition {
  readonly segmentId: number;
  /** Bytes of the segment before it. */
  readonly length: number;
  /** Ordinal of the record behind it. */
  readonly nextOrdinal: number;
  /** Digest of the frame before it. */
  readonly digest: Uint8Array;
}

/** What the manifest says about the checkpoint: without the right one of each, it is not used. */
export interface CheckpointReference {
  /** Number in the name of the file. */
  readonly number: number;
  /** 16 random bytes, so that no two checkpoints are sealed alike. */
  readonly id: Uint8Array;
  /** Length of the file. */
  readonly bytes: number;
  /** The names are as the log stood there. */
  readonly position: LogPosition;
}

/** Name of the file of a checkpoint. */
export const checkpointFileName = (number: number): string =>
  `checkpoint-${String(number).padStart(10, '0')}`;

/** Length of the random id of a checkpoint. */
export const CHECKPOINT_ID_BYTES = 16;
/** A chunk is sealed when it has this many bytes. */
export const CHUNK_BYTES = 256 * 1024;
/** Bytes of the length before each chunk. */
export const CHUNK_PREFIX_BYTES = 4;
/** Most bytes of a sealed chunk: one that is nearly full gets one more entry, which may list all segments. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024;
/** The first byte of an entry; `docs/store-format.md` lists what follows. */
export const entryKinds = { segments: 1, namespace: 2, record: 3, sealed: 4, held: 5 } as const;

/** Lays out a reference, for the manifest. */
export function writeReference(
  writer: ByteWriter,
  { number, id, bytes, position }: CheckpointReference,
): void {
  writer.u32(number).bytes(id).u64(bytes);
  writer.u64(position.segmentId).u64(position.length).u64(position.nextOrdinal).bytes(position.digest);
}

/** Reads what {@link writeReference} wrote. @throws RangeError when it ends too early. */
export const readReference = (reader: ByteReader): CheckpointReference => ({
  number: reader.u32(),
  id: reader.bytes(CHECKPOINT_ID_BYTES),
  bytes: reader.u64(),
  position: {
    segmentId: reader.u64(),
    length: reader.u64(),
    nextOrdinal: reader.u64(),
    digest: reader.bytes(32),
  },
});

const LABEL = Buffer.from('LATCHCKP');
const STORE_AT = LABEL.length;
const ID_AT = STORE_AT + 16;
const GENERATION_AT = ID_AT + CHECKPOINT_ID_BYTES;
const ORDINAL_AT = GENERATION_AT + 8;
const DIGEST_AT = ORDINAL_AT + 8;
const CHUNK_AT = DIGEST_AT + 32;
const LAST_AT = CHUNK_AT + 8;
const NAMESPACE_AT = LAST_AT + 1;

/** The checkpoint that a cipher is for. */
export interface CheckpointBinding extends Pick<CheckpointReference, 'id' | 'position'> {
  readonly storeId: Uint8Array;
  readonly generation: number;
}

/**
 * Seals and opens chunks of one checkpoint. Their associated data name the store, the checkpoint, the generation and the
 * position in the log, so a chunk opens nowhere else; and the number of the chunk, and whether it is the last.
 */
export class CheckpointCipher {
  readonly #key: XChaCha20Key;
  readonly #associatedData = Buffer.alloc(NAMESPACE_AT + 4);

  constructor(storeKey: SecretBytes, { storeId, id, generation, position }: CheckpointBinding) {
    const key = deriveStoreKey(storeKey, 'checkpoint');
    this.#key = new XChaCha20Key(key.reveal());
    key.wipe();
    this.#associatedData.set(LABEL);
    this.#associatedData.set(storeId, STORE_AT);
    this.#associatedData.set(id, ID_AT);
    writeU64(this.#associatedData, generation, GENERATION_AT);
    writeU64(this.#associatedData, position.nextOrdinal, ORDINAL_AT);
    this.#associatedData.set(position.digest, DIGEST_AT);
  }

  /** @returns nonce ‖ ciphertext ‖ tag. */
  seal(chunk: number, isLast: boolean, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(plaintext.length + SEAL_BYTES);
    this.#key.sealInto(sealed, 0, nonce, this.#ofChunk(chunk, isLast), plaintext);
    return sealed;
  }

  /** @returns `undefined` when anything does not match. */
  open(chunk: number, isLast: boolean, sealed: Uint8Array): Uint8Array | undefined {
    return this.#key.open(sealed, this.#ofChunk(chunk, isLast));
  }

  /** Associated data of what is sealed under the own key of a namespace, valid until the next call. */
  ofNamespace(namespace: number): Uint8Array {
    this.#associatedData.fill(0, CHUNK_AT);
    this.#associatedData.writeUInt32BE(namespace, NAMESPACE_AT);
    return this.#associatedData;
  }

  wipe(): void {
    this.#key.wipe();
  }

  #ofChunk(chunk: number, isLast: boolean): Uint8Array {
    writeU64(this.#associatedData, chunk, CHUNK_AT);
    this.#associatedData.writeUInt8(isLast ? 1 : 0, LAST_AT);
    return this.#associatedData.subarray(0, NAMESPACE_AT);
  }
}
