import { concatBytes, utf8 } from '../bytes/concat.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../crypto/chacha20-poly1305.ts';
import { hkdfExpand, hkdfExtract } from '../crypto/hkdf.ts';
import { generateEphemeralX25519KeyPair, type X25519KeyPair } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

// RFC 9180, single-shot, one suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The names of the
// steps are the RFC's.

const KEM_ID = 0x0020;
const KDF_ID = 0x0001;
const AEAD_ID = 0x0003;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const MODE_BASE = 0x00;
const MODE_AUTH = 0x02;

const EMPTY = new Uint8Array(0);
const VERSION = utf8('HPKE-v1');
const KEM_SUITE = concatBytes(utf8('KEM'), u16BigEndian(KEM_ID));
const HPKE_SUITE = concatBytes(
  utf8('HPKE'),
  u16BigEndian(KEM_ID),
  u16BigEndian(KDF_ID),
  u16BigEndian(AEAD_ID),
);

/** A sealed message: the encapsulated key (32 bytes) and ciphertext ‖ 16-byte tag. */
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

/** Input of {@link sealBase}. */
export interface SealBaseInput extends HpkeContext {
  /** 32 bytes, X25519. */
  readonly recipientPublicKey: Uint8Array;
  readonly plaintext: Uint8Array;
  /** Only for test vectors: a fixed ephemeral pair. Reusing one breaks the encryption. */
  readonly ephemeral?: X25519KeyPair;
}

/** Input of {@link sealAuth}. */
export interface SealAuthInput extends SealBaseInput {
  readonly senderKeyPair: X25519KeyPair;
}

/** Input of {@link openBase}. */
export interface OpenBaseInput extends HpkeContext, HpkeMessage {
  readonly recipientKeyPair: X25519KeyPair;
}

/** Input of {@link openAuth}. */
export interface OpenAuthInput extends OpenBaseInput {
  /** 32 bytes, X25519; the public key of the expected sender. */
  readonly senderPublicKey: Uint8Array;
}

/**
 * Seals in base mode (RFC 9180 section 6.1): the message does not prove its sender.
 * @throws EvidenceError HPKE_PUBLIC_KEY_INVALID when the recipient's key has small order.
 * @throws RangeError when a key does not have 32 bytes.
 */
export function sealBase(input: SealBaseInput): HpkeMessage {
  const { privateKey, publicKey: enc } = input.ephemeral ?? generateEphemeralX25519KeyPair();
  const dh = privateKey.diffieHellman(input.recipientPublicKey) ?? refusePublicKey();
  const sharedSecret = extractAndExpand([dh], [enc, input.recipientPublicKey]);
  return { enc, ciphertext: sealOnce(MODE_BASE, sharedSecret, input) };
}

/**
 * Seals in auth mode (RFC 9180 section 6.1): a message that opens under the sender's public key was made with the
 * sender's private key, or with the recipient's, by which a recipient can forge messages to itself.
 * @throws EvidenceError HPKE_PUBLIC_KEY_INVALID when the recipient's key has small order.
 * @throws RangeError when a key does not have 32 bytes.
 */
export function sealAuth(input: SealAuthInput): HpkeMessage {
  const { recipientPublicKey, senderKeyPair } = input;
  const { privateKey, publicKey: enc } = input.ephemeral ?? generateEphemeralX25519KeyPair();
  const dhEphemeral = privateKey.diffieHellman(recipientPublicKey) ?? refusePublicKey();
  const dhStatic = senderKeyPair.privateKey.diffieHellman(recipientPublicKey) ?? refusePublicKey();
  const sharedSecret = extractAndExpand(
    [dhEphemeral, dhStatic],
    [enc, recipientPublicKey, senderKeyPair.publicKey],
  );
  return { enc, ciphertext: sealOnce(MODE_AUTH, sharedSecret, input) };
}

/**
 * Opens a base-mode message; `undefined` when anything does not match.
 * @throws RangeError when `enc` does not have 32 bytes.
 */
export function openBase(input: OpenBaseInput): Uint8Array | undefined {
  const { recipientKeyPair, enc } = input;
  const dh = recipientKeyPair.privateKey.diffieHellman(enc);
  if (dh === undefined) return undefined;
  return openOnce(MODE_BASE, extractAndExpand([dh], [enc, recipientKeyPair.publicKey]), input);
}

/**
 * Opens an auth-mode message; `undefined` when anything does not match, including the sender.
 * @throws RangeError when `enc` or the sender's key does not have 32 bytes.
 */
export function openAuth(input: OpenAuthInput): Uint8Array | undefined {
  const { recipientKeyPair, senderPublicKey, enc } = input;
  const dhEphemeral = recipientKeyPair.privateKey.diffieHellman(enc);
  const dhStatic = recipientKeyPair.privateKey.diffieHellman(senderPublicKey);
  // A point of small order gives a Diffie-Hellman result that is public (RFC 9180 section 7.1.4).
  if (dhEphemeral === undefined || dhStatic === undefined) return undefined;
  const kemContext = [enc, recipientKeyPair.publicKey, senderPublicKey];
  return openOnce(MODE_AUTH, extractAndExpand([dhEphemeral, dhStatic], kemContext), input);
}

function refusePublicKey(): never {
  throw new EvidenceError('HPKE_PUBLIC_KEY_INVALID', 'the public key to seal to is a point of small order', {
    expected: 'an X25519 public key whose Diffie-Hellman result is not zero (RFC 7748 section 6.1)',
    observed: 'a point of small order',
  });
}

/** LabeledExtract (RFC 9180 section 4). */
function labeledExtract(
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  ...inputKeyMaterial: readonly Uint8Array[]
): Uint8Array {
  return hkdfExtract(salt, VERSION, suite, utf8(label), ...inputKeyMaterial);
}

/** LabeledExpand (RFC 9180 section 4). */
function labeledExpand(
  suite: Uint8Array,
  pseudoRandomKey: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const labeledInfo = concatBytes(u16BigEndian(length), VERSION, suite, utf8(label), info);
  return hkdfExpand(pseudoRandomKey, labeledInfo, length);
}

/** ExtractAndExpand of the KEM (RFC 9180 section 4.1); wipes the Diffie-Hellman results. */
function extractAndExpand(dhs: readonly Uint8Array[], kemContext: readonly Uint8Array[]): Uint8Array {
  const eaePrk = labeledExtract(KEM_SUITE, EMPTY, 'eae_prk', ...dhs);
  const sharedSecret = labeledExpand(
    KEM_SUITE,
    eaePrk,
    'shared_secret',
    concatBytes(...kemContext),
    KEY_BYTES,
  );
  for (const secret of [...dhs, eaePrk]) secret.fill(0);
  return sharedSecret;
}

/** The id of the pre-shared key is empty in both modes, so its hash is a constant (RFC 9180 section 5.1). */
const PSK_ID_HASH = labeledExtract(HPKE_SUITE, EMPTY, 'psk_id_hash', EMPTY);

/** KeySchedule (RFC 9180 section 5.1) without the exporter, which single-shot messages do not need. */
function keySchedule(
  mode: number,
  sharedSecret: Uint8Array,
  info: Uint8Array,
): { key: Uint8Array; nonce: Uint8Array } {
  const infoHash = labeledExtract(HPKE_SUITE, EMPTY, 'info_hash', info);
  const context = concatBytes(Uint8Array.of(mode), PSK_ID_HASH, infoHash);
  const secret = labeledExtract(HPKE_SUITE, sharedSecret, 'secret', EMPTY);
  const key = labeledExpand(HPKE_SUITE, secret, 'key', context, KEY_BYTES);
  // The sequence number of a single-shot message is 0, so the base nonce is the nonce (section 5.2).
  const nonce = labeledExpand(HPKE_SUITE, secret, 'base_nonce', context, NONCE_BYTES);
  secret.fill(0);
  sharedSecret.fill(0);
  return { key, nonce };
}

function sealOnce(mode: number, sharedSecret: Uint8Array, input: SealBaseInput): Uint8Array {
  const { key, nonce } = keySchedule(mode, sharedSecret, input.info);
  const ciphertext = chacha20Poly1305Seal(key, nonce, input.aad, input.plaintext);
  key.fill(0);
  return ciphertext;
}

function openOnce(mode: number, sharedSecret: Uint8Array, input: OpenBaseInput): Uint8Array | undefined {
  const { key, nonce } = keySchedule(mode, sharedSecret, input.info);
  const plaintext = chacha20Poly1305Open(key, nonce, input.aad, input.ciphertext);
  key.fill(0);
  return plaintext;
}
