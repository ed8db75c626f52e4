import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { deriveKey, hmacSha256 } from '../../crypto/hkdf.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { Head, Incarnation } from '../../protocol/mac-routes.ts';
import type { LogHead } from '../../store/api/log-head.ts';

const DIGEST_PART = 16;
const RANDOM_PART = 8;

/**
 * Marks that a node leaves with its servers carry a MAC of its own, under keys derived from its store key. So a lying
 * server can withhold a mark or give an older one, which t servers make up for, but cannot invent a log head (which
 * would make the node refuse its own disk) nor an incarnation (which would stop it from writing).
 */
export class OwnMarks {
  readonly #headKey: SecretBytes;
  readonly #incarnationKey: SecretBytes;

  constructor(storeKey: SecretBytes) {
    this.#headKey = SecretBytes.adopt(deriveKey(storeKey.reveal(), 'latchkey/v1/mark/head'));
    this.#incarnationKey = SecretBytes.adopt(deriveKey(storeKey.reveal(), 'latchkey/v1/mark/incarnation'));
  }

  /** A log head for deposit: the first 16 bytes of its digest ‖ the first 16 bytes of the MAC. */
  markHead({ generation, sequence, digest }: LogHead): Head {
    const part = digest.subarray(0, DIGEST_PART);
    return { generation, sequence, digest: concatBytes(part, this.#headMac(generation, sequence, part)) };
  }

  isOwnHead({ generation, sequence, digest }: Head): boolean {
    const part = digest.subarray(0, DIGEST_PART);
    return equalBytes(digest.subarray(DIGEST_PART), this.#headMac(generation, sequence, part));
  }

  /** Bytes of a marked head that are the log's own digest. */
  static digestPart = ({ digest }: Head): Uint8Array => digest.subarray(0, DIGEST_PART);

  /** An incarnation of this boot: its id is 8 random bytes ‖ the first 8 bytes of the MAC over number and random. */
  markIncarnation(number: number, random: Uint8Array): Incarnation {
    return { number, bootId: concatBytes(random, this.#incarnationMac(number, random)) };
  }

  isOwnIncarnation({ number, bootId }: Incarnation): boolean {
    const random = bootId.subarray(0, RANDOM_PART);
    return equalBytes(bootId.subarray(RANDOM_PART), this.#incarnationMac(number, random));
  }

  /** Wipes both keys; no mark is made or known afterwards. */
  wipe(): void {
    this.#headKey.wipe();
    this.#incarnationKey.wipe();
  }

  #headMac(generation: number, sequence: number, part: Uint8Array): Uint8Array {
    const mac = hmacSha256(this.#headKey.reveal(), u64BigEndian(generation), u64BigEndian(sequence), part);
    return mac.subarray(0, DIGEST_PART);
  }

  #incarnationMac(number: number, random: Uint8Array): Uint8Array {
    return hmacSha256(this.#incarnationKey.reveal(), u64BigEndian(number), random).subarray(0, RANDOM_PART);
  }
}

/** The random part of a boot id; drawn once per start. */
export const bootRandom = (random: RandomSource): Uint8Array => random(RANDOM_PART);
