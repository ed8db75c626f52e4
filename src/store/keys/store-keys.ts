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

/** The keys of the records of one epoch: the time between two changes of the store key. */
export class EpochKeys {
  /** Number of the epoch, from 1. */
  readonly epoch: number;
  /** Raw key of the records; kept so that it can be handed on, sealed, while a rotation is under way. */
  readonly recordsKey: SecretBytes;
  /** HMAC key of segment headers and frames. */
  readonly chainKey: SecretBytes;
  /** Cipher of the records. */
  readonly records: XChaCha20Key;

  constructor(epoch: number, recordsKey: SecretBytes, chainKey: SecretBytes) {
    this.epoch = epoch;
    this.recordsKey = recordsKey;
    this.chainKey = chainKey;
    this.records = new XChaCha20Key(recordsKey.reveal());
  }

  static of(epoch: number, storeKey: SecretBytes): EpochKeys {
    return new EpochKeys(epoch, deriveStoreKey(storeKey, 'records'), deriveStoreKey(storeKey, 'chain'));
  }

  wipe(): void {
    this.records.wipe();
    this.recordsKey.wipe();
    this.chainKey.wipe();
  }
}
