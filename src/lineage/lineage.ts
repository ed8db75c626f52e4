import { concatBytes, equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import type { Head } from './head.ts';
import { BOOT_BYTES, BOOT_ID_BYTES, type Incarnation } from './incarnation.ts';
import { lineageKeyOf } from './lineage-key.ts';

const DIGEST_PART = 16;

/**
 * The lineage of a store, from its birth to its death or to a change of its key: one secret. Marks that the node leaves
 * with its servers carry a MAC under keys derived from it. So a server that lies can withhold a mark or show an older
 * one, but it cannot invent a head (the node would refuse its own disk) nor an incarnation (the node would stop
 * writing).
 */
export class Lineage {
  /** 32 bytes. */
  readonly secret: SecretBytes;
  readonly #headKey: SecretBytes;
  readonly #incarnationKey: SecretBytes;

  /** @param secret 32 bytes; the lineage owns it and wipes it. */
  constructor(secret: SecretBytes) {
    this.secret = secret;
    this.#headKey = SecretBytes.adopt(deriveKey(secret.reveal(), 'latchkey/v1/mark/head'));
    this.#incarnationKey = SecretBytes.adopt(deriveKey(secret.reveal(), 'latchkey/v1/mark/incarnation'));
  }

  /** The key by which a server knows this lineage; the caller wipes it. */
  keyOf(server: AccountId): SecretBytes {
    return lineageKeyOf(this.secret, server);
  }

  /** The incarnation of a boot: its id is the boot's 8 random bytes ‖ the first 8 bytes of the MAC over number and these. */
  incarnation(number: number, boot: Uint8Array): Incarnation {
    return { number, bootId: concatBytes(boot, this.#incarnationMac(number, boot)) };
  }

  /** Whether an incarnation carries this lineage's mark. */
  isOwnIncarnation({ number, bootId }: Incarnation): boolean {
    const boot = bootId.subarray(0, BOOT_BYTES);
    return equalBytes(bootId.subarray(BOOT_BYTES), this.#incarnationMac(number, boot));
  }

  /** A head for deposit: of the log's digest the first 16 bytes ‖ the first 16 bytes of the MAC. */
  head(incarnation: Incarnation, sequence: number, logDigest: Uint8Array): Head {
    const part = logDigest.subarray(0, DIGEST_PART);
    return { incarnation, sequence, digest: concatBytes(part, this.#headMac(incarnation, sequence, part)) };
  }

  /** Whether a head carries this lineage's mark. */
  isOwnHead({ incarnation, sequence, digest }: Head): boolean {
    const part = digest.subarray(0, DIGEST_PART);
    return equalBytes(digest.subarray(DIGEST_PART), this.#headMac(incarnation, sequence, part));
  }

  /** Bytes of a head that are the log's own digest. */
  static logDigest = ({ digest }: Pick<Head, 'digest'>): Uint8Array => digest.subarray(0, DIGEST_PART);

  /** Wipes all keys; no mark is made or known afterwards. */
  wipe(): void {
    this.secret.wipe();
    this.#headKey.wipe();
    this.#incarnationKey.wipe();
  }

  #headMac({ number, bootId }: Incarnation, sequence: number, part: Uint8Array): Uint8Array {
    const key = this.#headKey.reveal();
    const mac = hmacSha256(key, u64BigEndian(number), bootId, u64BigEndian(sequence), part);
    return mac.subarray(0, DIGEST_PART);
  }

  #incarnationMac(number: number, boot: Uint8Array): Uint8Array {
    const mac = hmacSha256(this.#incarnationKey.reveal(), u64BigEndian(number), boot);
    return mac.subarray(0, BOOT_ID_BYTES - BOOT_BYTES);
  }
}
