import { concatBytes, utf8 } from '../bytes/concat.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../crypto/chacha20-poly1305.ts';
import { hkdfExpand, hkdfExtract } from '../crypto/hkdf.ts';

// The part of RFC 9180 that is the same for every KEM: HKDF-SHA256 and ChaCha20-Poly1305, single-shot messages.

const KDF_ID = 0x0001;
const AEAD_ID = 0x0003;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;

const EMPTY = new Uint8Array(0);
const VERSION = utf8('HPKE-v1');

/** Modes of RFC 9180 section 5 that are used here. */
export const MODE_BASE = 0x00;
export const MODE_AUTH = 0x02;

/** A sealed message: the encapsulated key and ciphertext ‖ 16-byte tag. */
export interface HpkeMessage {
  readonly enc: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Inputs besides the keys that must be the same at both ends; both may be empty. */
export interface HpkeContext {
  /** Purpose of the key; input of the key schedule. */
  readonly info: Uint8Array;
  /** Authenticated with the ciphertext, not sent. */
  readonly aad: Uint8Array;
}

/** The suite id of a KEM with HKDF-SHA256 and ChaCha20-Poly1305 (RFC 9180 section 5.1). */
export const suiteOf = (kemId: number): Uint8Array =>
  concatBytes(utf8('HPKE'), u16BigEndian(kemId), u16BigEndian(KDF_ID), u16BigEndian(AEAD_ID));

/** LabeledExtract (RFC 9180 section 4). */
export function labeledExtract(
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  ...inputKeyMaterial: readonly Uint8Array[]
): Uint8Array {
  return hkdfExtract(salt, VERSION, suite, utf8(label), ...inputKeyMaterial);
}

/** LabeledExpand (RFC 9180 section 4). */
export function labeledExpand(
  suite: Uint8Array,
  pseudoRandomKey: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const labeledInfo = concatBytes(u16BigEndian(length), VERSION, suite, utf8(label), info);
  return hkdfExpand(pseudoRandomKey, labeledInfo, length);
}

/** One suite in one mode, for single-shot messages. */
export class KeySchedule {
  readonly #suite: Uint8Array;
  readonly #mode: number;
  readonly #pskIdHash: Uint8Array;

  constructor(suite: Uint8Array, mode: number) {
    this.#suite = suite;
    this.#mode = mode;
    // The id of the pre-shared key is empty in both modes, so its hash is a constant (RFC 9180 section 5.1).
    this.#pskIdHash = labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY);
  }

  /** Seals one message; wipes the shared secret. */
  seal(sharedSecret: Uint8Array, { info, aad }: HpkeContext, plaintext: Uint8Array): Uint8Array {
    const { key, nonce } = this.#derive(sharedSecret, info);
    const ciphertext = chacha20Poly1305Seal(key, nonce, aad, plaintext);
    key.fill(0);
    return ciphertext;
  }

  /** Opens one message; wipes the shared secret. `undefined` when anything does not match. */
  open(sharedSecret: Uint8Array, { info, aad }: HpkeContext, ciphertext: Uint8Array): Uint8Array | undefined {
    const { key, nonce } = this.#derive(sharedSecret, info);
    const plaintext = chacha20Poly1305Open(key, nonce, aad, ciphertext);
    key.fill(0);
    return plaintext;
  }

  /** KeySchedule (RFC 9180 section 5.1) without the exporter, which single-shot messages do not need. */
  #derive(sharedSecret: Uint8Array, info: Uint8Array): { key: Uint8Array; nonce: Uint8Array } {
    const infoHash = labeledExtract(this.#suite, EMPTY, 'info_hash', info);
    const context = concatBytes(Uint8Array.of(this.#mode), this.#pskIdHash, infoHash);
    const secret = labeledExtract(this.#suite, sharedSecret, 'secret', EMPTY);
    const key = labeledExpand(this.#suite, secret, 'key', context, KEY_BYTES);
    // The sequence number of a single-shot message is 0, so the base nonce is the nonce (section 5.2).
    const nonce = labeledExpand(this.#suite, secret, 'base_nonce', context, NONCE_BYTES);
    secret.fill(0);
    sharedSecret.fill(0);
    return { key, nonce };
  }
}
