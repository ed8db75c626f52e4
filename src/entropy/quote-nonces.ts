import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { type AccountId, Nonce, type X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { Memo, memoKey } from '../bytes/memo.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** A client sends one request again for 15 minutes, with the same nonce. */
export const QUOTE_NONCE_TTL_MS = 16 * 60_000;

const LABEL = 'latchkey/v1/entropy/quote-nonce';
const TIME_BYTES = 8;
const MAC_BYTES = Nonce.byteLength - TIME_BYTES;
/** Nonces that accepted machines have used: a later one makes room for the one used first. */
const MAX_USED = 10_000;
const HINT = 'ask POST /v1/backup_provider_quote_nonce for another nonce, with a new response key';

/**
 * Makes and checks the nonces of recovery quotes, and stores none: 8 bytes of issue time (big-endian milliseconds) ‖ the
 * first 24 bytes of an HMAC-SHA-256 over time and response key. So strangers can ask for any number of them, and a nonce
 * outlives a restart of the server: its client does not ask for another one, and gives up its store instead.
 */
export class QuoteNonces {
  readonly #secret: SecretBytes;
  /** The account of each nonce that was used. */
  readonly #accounts = new Memo<AccountId>(MAX_USED, { ttlMs: QUOTE_NONCE_TTL_MS });

  /** @param identitySeed the secret of the node's account, from which the key of the nonces is derived; not kept. */
  constructor(identitySeed: SecretBytes) {
    this.#secret = SecretBytes.adopt(deriveKey(identitySeed.reveal(), LABEL));
  }

  issue(responseKey: X25519PublicKey, nowMs: number): Nonce {
    const time = u64BigEndian(Math.floor(nowMs));
    return Nonce.of(concatBytes(time, this.#mac(time, responseKey)));
  }

  /**
   * Checks that a nonce is one of this server for this response key, and young.
   * @throws EvidenceError QUOTE_NONCE_INVALID, QUOTE_NONCE_EXPIRED.
   */
  check(nonce: Nonce, responseKey: X25519PublicKey, nowMs: number): void {
    const time = nonce.subarray(0, TIME_BYTES);
    if (!equalConstantTime(nonce.subarray(TIME_BYTES), this.#mac(time, responseKey))) {
      throw new EvidenceError('QUOTE_NONCE_INVALID', 'this server gave no such nonce for this response key', {
        field: 'quote report data, bytes 32 to 63',
        hint: HINT,
      });
    }
    const ageMs = nowMs - Number(readU64BigEndian(time));
    if (ageMs <= QUOTE_NONCE_TTL_MS && ageMs >= -QUOTE_NONCE_TTL_MS) return;
    throw new EvidenceError('QUOTE_NONCE_EXPIRED', `the nonce is ${Math.round(ageMs / 1000)} s old`, {
      field: 'quote report data, bytes 32 to 63',
      expected: `at most ${QUOTE_NONCE_TTL_MS / 1000} s`,
      observed: `${Math.round(ageMs / 1000)} s`,
      hint: HINT,
    });
  }

  /**
   * Binds a nonce to the account that an accepted machine used it for first. The same request may come again.
   * @throws EvidenceError QUOTE_NONCE_INVALID when it is bound to another account.
   */
  bind(nonce: Nonce, account: AccountId, nowMs: number): void {
    const first = this.#accounts.get(memoKey(nonce), () => account, nowMs);
    if (equalBytes(first, account)) return;
    throw new EvidenceError('QUOTE_NONCE_INVALID', 'this nonce was used for another account', {
      field: 'tss_account',
      hint: HINT,
    });
  }

  wipe(): void {
    this.#secret.wipe();
  }

  #mac(time: Uint8Array, responseKey: X25519PublicKey): Uint8Array {
    return hmacSha256(this.#secret.reveal(), time, responseKey).subarray(0, MAC_BYTES);
  }
}
