import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { deriveKey } from '../../crypto/hkdf.ts';
import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { STORE_KEY_BYTES } from '../api/limits.ts';

/** Labels of HKDF-SHA-256 under the store key; each key has one purpose. */
const labels = {
  records: 'latchkey/v1/store/records',
  chain: 'latchkey/v1/store/chain',
  manifest: 'latchkey/v1/store/manifest',
  check: 'latchkey/v1/store/check',
  backup: 'latchkey/v1/store/backup',
  checkpoint: 'latchkey/v1/store/checkpoint',
} as const;

/**
 * One of the keys that a store key stands for.
 * @throws RangeError unless the store key is 32 bytes; TypeError when it was wiped.
 */
export function deriveStoreKey(storeKey: SecretBytes, purpose: keyof typeof labels): SecretBytes {
  if (storeKey.length !== STORE_KEY_BYTES)
    throw new RangeError(`a store key must be ${STORE_KEY_BYTES} bytes, got ${storeKey.length}`);
  return SecretBytes.adopt(deriveKey(storeKey.reveal(), labels[purpose]));
}

/** Runs something with a copy of a store key that is taken at once and wiped afterwards: the caller may wipe its own. */
export async function withOwnKey<T>(
  storeKey: SecretBytes,
  use: (own: SecretBytes) => Promise<T>,
): Promise<T> {
  const own = new SecretBytes(storeKey.reveal());
  try {
    return await use(own);
  } finally {
    own.wipe();
  }
}

/** The keys of the records between two changes of the store key. */
export class RecordKeys {
  /** Number of these keys, from 1; the next store key has the next one. */
  readonly version: number;
  /** Raw key of the records; kept so that it can be handed on, sealed, while a rotation is under way. */
  readonly recordsKey: SecretBytes;
  /** HMAC key of segment headers and frames. */
  readonly chainKey: SecretBytes;
  /** Cipher of the records. */
  readonly records: XChaCha20Key;

  constructor(version: number, recordsKey: SecretBytes, chainKey: SecretBytes) {
    this.version = version;
    this.recordsKey = recordsKey;
    this.chainKey = chainKey;
    this.records = new XChaCha20Key(recordsKey.reveal());
  }

  static of(version: number, storeKey: SecretBytes): RecordKeys {
    return new RecordKeys(version, deriveStoreKey(storeKey, 'records'), deriveStoreKey(storeKey, 'chain'));
  }

  wipe(): void {
    this.records.wipe();
    this.recordsKey.wipe();
    this.chainKey.wipe();
  }
}
