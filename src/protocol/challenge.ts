import { concatBytes } from '../bytes/concat.ts';
import { type AccountId, Nonce, type X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { hmacSha256 } from '../crypto/hkdf.ts';
import type { RandomSource } from '../crypto/random.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** How long a challenge can be used. */
export const CHALLENGE_TTL_MS = 60_000;
const TIME_BYTES = 8;
const MAC_BYTES = Nonce.byteLength - TIME_BYTES;

/**
 * Makes and checks challenges without remembering any: 8 bytes of issue time (big-endian milliseconds) ‖ the first
 * 24 bytes of HMAC-SHA-256 under a secret of this process over (time, account, ephemeral key).
 */
export class ChallengeIssuer {
  readonly #secret: SecretBytes;
  readonly #ttlMs: number;

  constructor(options: { readonly random: RandomSource; readonly ttlMs?: number }) {
    this.#secret = SecretBytes.adopt(options.random(32));
    this.#ttlMs = options.ttlMs ?? CHALLENGE_TTL_MS;
  }

  /** A new challenge for one account and ephemeral key. */
  issue(
    account: AccountId,
    ephemeralPublicKey: X25519PublicKey,
    nowMs: number,
  ): { nonce: Nonce; expiresAtMs: number } {
    const time = u64BigEndian(Math.floor(nowMs));
    const nonce = Nonce.of(concatBytes(time, this.#mac(time, account, ephemeralPublicKey)));
    return { nonce, expiresAtMs: Math.floor(nowMs) + this.#ttlMs };
  }

  /**
   * Checks that a challenge is ours, for this account and ephemeral key, and young.
   * @throws EvidenceError CHALLENGE_INVALID or CHALLENGE_EXPIRED. The MAC is checked first, so that the age of
   *   somebody's guess says nothing.
   */
  check(nonce: Nonce, account: AccountId, ephemeralPublicKey: X25519PublicKey, nowMs: number): void {
    const time = nonce.subarray(0, TIME_BYTES);
    if (!equalConstantTime(nonce.subarray(TIME_BYTES), this.#mac(time, account, ephemeralPublicKey))) {
      throw new EvidenceError(
        'CHALLENGE_INVALID',
        'the challenge was not issued by this server process for this account and ephemeral key',
        {
          field: 'servers.nonce',
          hint: 'ask POST /challenge again; a restart of the server ends its challenges',
        },
      );
    }
    const ageMs = nowMs - Number(readU64BigEndian(time));
    if (ageMs > this.#ttlMs || ageMs < -this.#ttlMs) {
      throw new EvidenceError('CHALLENGE_EXPIRED', `the challenge is ${Math.round(ageMs / 1000)} s old`, {
        field: 'servers.nonce',
        expected: `at most ${this.#ttlMs / 1000} s`,
        observed: `${Math.round(ageMs / 1000)} s`,
        hint: 'ask POST /challenge again',
      });
    }
  }

  /** Forgets the secret: no challenge of this process is valid any more. */
  wipe(): void {
    this.#secret.wipe();
  }

  #mac(time: Uint8Array, account: AccountId, ephemeralPublicKey: X25519PublicKey): Uint8Array {
    return hmacSha256(this.#secret.reveal(), time, account, ephemeralPublicKey).subarray(0, MAC_BYTES);
  }
}
