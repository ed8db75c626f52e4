import { concatBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import type { Head } from './head.ts';
import { BOOT_BYTES, BOOT_ID_BYTES, type Incarnation, type Reservation } from './incarnation.ts';
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
  readonly #reservationKey: SecretBytes;
  #isWiped = false;

  /** @param secret 32 bytes; the lineage owns it and wipes it. */
  constructor(secret: SecretBytes) {
    this.secret = secret;
    this.#headKey = SecretBytes.adopt(deriveKey(secret.reveal(), 'latchkey/v1/mark/head'));
    this.#reservationKey = SecretBytes.adopt(deriveKey(secret.reveal(), 'latchkey/v1/mark/reservation'));
    this.#incarnationKey = SecretBytes.adopt(deriveKey(secret.reveal(), 'latchkey/v1/mark/incarnation'));
  }

  /** The key by which a server knows this lineage; the caller wipes it. */
  keyOf(server: AccountId): SecretBytes {
    return lineageKeyOf(this.secret, server);
  }

  /** The incarnation of a boot: its id is the boot's 8 random bytes ‖ the first 8 bytes of the MAC over number and these. */
  incarnation(number: number, boot: Uint8Array): Incarnation {
    return { number, bootId: concatBytes(boot, markOf(this.#incarnationKey, number, boot)) };
  }

  /** Whether an incarnation carries this lineage's mark. */
  isOwnIncarnation({ number, bootId }: Incarnation): boolean {
    const boot = bootId.subarray(0, BOOT_BYTES);
    return equalConstantTime(bootId.subarray(BOOT_BYTES), markOf(this.#incarnationKey, number, boot));
  }

  /** The reservation of a boot: its 8 random bytes ‖ the first 8 bytes of a MAC that proves no more than this. */
  reservation(number: number, boot: Uint8Array): Reservation {
    return { number, boot: concatBytes(boot, markOf(this.#reservationKey, number, boot)) };
  }

  /** Whether a reservation carries this lineage's mark, its own or that of an incarnation that was shown. */
  isOwnReservation({ number, boot }: Reservation): boolean {
    const mark = boot.subarray(BOOT_BYTES);
    const random = boot.subarray(0, BOOT_BYTES);
    const isReserved = equalConstantTime(mark, markOf(this.#reservationKey, number, random));
    return isReserved || this.isOwnIncarnation({ number, bootId: boot });
  }

  /** A head for deposit: of the log's digest the first 16 bytes ‖ the first 16 bytes of the MAC. */
  head(incarnation: Incarnation, sequence: number, logDigest: Uint8Array): Head {
    const part = logDigest.subarray(0, DIGEST_PART);
    return { incarnation, sequence, digest: concatBytes(part, this.#headMac(incarnation, sequence, part)) };
  }

  /** Whether a head carries this lineage's mark. */
  isOwnHead({ incarnation, sequence, digest }: Head): boolean {
    const part = digest.subarray(0, DIGEST_PART);
    return equalConstantTime(digest.subarray(DIGEST_PART), this.#headMac(incarnation, sequence, part));
  }

  /** Bytes of a head that are the log's own digest. */
  static logDigest = ({ digest }: Pick<Head, 'digest'>): Uint8Array => digest.subarray(0, DIGEST_PART);

  /** Whether the keys are wiped: no mark is made or known any more. */
  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Wipes all keys; no mark is made or known afterwards. */
  wipe(): void {
    this.#isWiped = true;
    this.secret.wipe();
    this.#headKey.wipe();
    this.#incarnationKey.wipe();
    this.#reservationKey.wipe();
  }

  #headMac({ number, bootId }: Incarnation, sequence: number, part: Uint8Array): Uint8Array {
    const key = this.#headKey.reveal();
    const mac = hmacSha256(key, u64BigEndian(number), bootId, u64BigEndian(sequence), part);
    return mac.subarray(0, DIGEST_PART);
  }
}

/** The mark of a number and a boot: the first 8 bytes of the MAC. */
const markOf = (key: SecretBytes, number: number, boot: Uint8Array): Uint8Array =>
  hmacSha256(key.reveal(), u64BigEndian(number), boot).subarray(0, BOOT_ID_BYTES - BOOT_BYTES);
