import { concatBytes, utf8 } from '../bytes/concat.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { generateEphemeralX25519KeyPair, type X25519KeyPair, X25519PeerKey } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import {
  type HpkeContext,
  type HpkeMessage,
  KeySchedule,
  labeledExpand,
  labeledExtract,
  MODE_AUTH,
  MODE_BASE,
  suiteOf,
} from './key-schedule.ts';

// RFC 9180, single-shot, one suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The names of the
// steps are the RFC's.

const KEM_ID = 0x0020;
const KEY_BYTES = 32;

const EMPTY = new Uint8Array(0);
const KEM_SUITE = concatBytes(utf8('KEM'), u16BigEndian(KEM_ID));
const HPKE_SUITE = suiteOf(KEM_ID);
const baseMode = new KeySchedule(HPKE_SUITE, MODE_BASE);
const authMode = new KeySchedule(HPKE_SUITE, MODE_AUTH);

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
  return { enc, ciphertext: baseMode.seal(sharedSecret, input, input.plaintext) };
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
  const recipient = new X25519PeerKey(recipientPublicKey);
  const dhEphemeral = privateKey.diffieHellman(recipient) ?? refusePublicKey();
  const dhStatic = senderKeyPair.privateKey.diffieHellman(recipient) ?? refusePublicKey();
  const sharedSecret = extractAndExpand(
    [dhEphemeral, dhStatic],
    [enc, recipientPublicKey, senderKeyPair.publicKey],
  );
  return { enc, ciphertext: authMode.seal(sharedSecret, input, input.plaintext) };
}

/**
 * Opens a base-mode message; `undefined` when anything does not match.
 * @throws RangeError when `enc` does not have 32 bytes.
 */
export function openBase(input: OpenBaseInput): Uint8Array | undefined {
  const { recipientKeyPair, enc } = input;
  const dh = recipientKeyPair.privateKey.diffieHellman(enc);
  if (dh === undefined) return undefined;
  return baseMode.open(extractAndExpand([dh], [enc, recipientKeyPair.publicKey]), input, input.ciphertext);
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
  return authMode.open(extractAndExpand([dhEphemeral, dhStatic], kemContext), input, input.ciphertext);
}

function refusePublicKey(): never {
  throw new EvidenceError('HPKE_PUBLIC_KEY_INVALID', 'the public key to seal to is a point of small order', {
    expected: 'an X25519 public key whose Diffie-Hellman result is not zero (RFC 7748 section 6.1)',
    observed: 'a point of small order',
  });
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
