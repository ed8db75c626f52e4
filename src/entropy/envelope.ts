import { z } from 'zod';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toHex, toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { hexAscii, takeSecret } from '../bytes/secret-hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { RandomSource } from '../crypto/random.ts';
import { sr25519PublicKey, sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import type { X25519KeyPair } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { openBase, sealBase } from '../hpke/hpke.ts';
import { accountText, hexText, parseWire } from '../protocol/decode.ts';

// Entropy's EncryptedSignedMessage: JSON {message, sender, signature, receiver_x25519}, sealed by HPKE base mode with
// empty info and associated data. The sr25519 signature covers the message bytes and nothing else.

const NOTHING = new Uint8Array(0);
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** A signed key takes some 300 bytes. */
const MAX_CIPHERTEXT_BYTES = 4096;

const byte = z.int().min(0).max(255);

/** An EncryptedSignedMessage, as it travels. */
export const envelopeWire = z.strictObject({
  hpke_message: z.strictObject({
    ciphertext: z
      .string()
      .max(2 + 2 * MAX_CIPHERTEXT_BYTES)
      .meta({ description: 'HPKE ciphertext and tag, 0x and hex digits' }),
    encapsulation: hexText(KEY_BYTES),
  }),
});

const signedMessageWire = z.strictObject({
  message: z.string(),
  sender: accountText,
  signature: z.string(),
  receiver_x25519: z.array(byte).length(KEY_BYTES).nullish(),
});

/** A message of 32 bytes and who claims to have signed it; {@link requireSignature} tells whether that is so. */
export interface SignedSecret {
  readonly secret: SecretBytes;
  readonly sender: AccountId;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Opens an envelope that holds a secret of 32 bytes.
 * @throws EvidenceError FIELD_INVALID, ENVELOPE_INVALID, BACKUP_KEY_LENGTH.
 */
export function openEnvelope(body: unknown, recipientKeyPair: X25519KeyPair): SignedSecret {
  const { ciphertext, encapsulation } = parseWire(envelopeWire, body).hpke_message;
  const sealed = tryFromHex(ciphertext);
  if (sealed === undefined) throw notHex('hpke_message.ciphertext');
  const plaintext = openBase({
    recipientKeyPair,
    enc: parsePrefixedHex(encapsulation, KEY_BYTES, 'hpke_message.encapsulation'),
    ciphertext: sealed,
    info: NOTHING,
    aad: NOTHING,
  });
  if (plaintext === undefined) {
    throw new EvidenceError(
      'ENVELOPE_INVALID',
      'the HPKE message does not open with the key of this server',
      {
        field: 'hpke_message',
        hint: 'seal to the X25519 key that the chain registers for this server, with empty info and associated data',
      },
    );
  }
  try {
    return readSignedSecret(plaintext);
  } finally {
    plaintext.fill(0);
  }
}

function readSignedSecret(plaintext: Uint8Array): SignedSecret {
  const secret = takeSecret(plaintext, 'message');
  try {
    const { message, sender, signature } = parseSignedMessage(plaintext);
    const account = AccountId.parse(sender, 'sender');
    const signed = tryFromHex(signature);
    if (signed?.length !== SIGNATURE_BYTES) throw notHex('signature');
    return { secret: secret ?? secretOf(message), sender: account, signature: signed };
  } catch (error) {
    secret?.wipe();
    throw error;
  }
}

/** The JSON inside an envelope. Whatever is wrong with it is one error: the predecessor ended its process here. */
function parseSignedMessage(plaintext: Uint8Array): z.output<typeof signedMessageWire> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(plaintext);
    return parseWire(signedMessageWire, JSON.parse(text), 'signed message');
  } catch (cause) {
    throw new EvidenceError('ENVELOPE_INVALID', 'the HPKE message holds no signed message', {
      field: 'signed message',
      expected: 'JSON {message, sender, signature, receiver_x25519}',
      cause,
    });
  }
}

/** A message in another spelling than Entropy's own code writes it. */
function secretOf(message: string): SecretBytes {
  const bytes = tryFromHex(message);
  if (bytes?.length === KEY_BYTES) return SecretBytes.adopt(bytes);
  throw new EvidenceError('BACKUP_KEY_LENGTH', 'the message is no key of 32 bytes', {
    field: 'message',
    expected: '32 bytes as hex',
    observed: 'another length, or no hex',
  });
}

/**
 * Checks that the sender signed the secret.
 * @throws EvidenceError ENVELOPE_SIGNATURE_WRONG.
 */
export function requireSignature({ secret, sender, signature }: SignedSecret): void {
  if (sr25519Verify(secret.reveal(), signature, sender)) return;
  throw new EvidenceError('ENVELOPE_SIGNATURE_WRONG', 'the signature is not of the sender that it names', {
    field: 'signature',
    expected: `an sr25519 signature of ${encodeSs58(sender)} over the message`,
    observed: 'another signature',
  });
}

const notHex = (field: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', `${field} is not hex of the expected length`, { field });

/**
 * Seals answers, each signed by a key that is drawn at every start and means nothing. A signature by the account of the
 * server over 32 bytes would be a valid backup request in its name at every other server, and clients do not look at
 * the signer.
 */
export class EnvelopeSealer {
  readonly #seed: SecretBytes;
  readonly #sender: string;

  constructor(random: RandomSource) {
    this.#seed = SecretBytes.adopt(random(KEY_BYTES));
    this.#sender = encodeSs58(sr25519PublicKey(this.#seed.reveal()));
  }

  /**
   * @param recipientPublicKey X25519, 32 bytes.
   * @throws EvidenceError HPKE_PUBLIC_KEY_INVALID for a point of small order.
   */
  seal(message: Uint8Array, recipientPublicKey: Uint8Array): z.output<typeof envelopeWire> {
    const signature = toHex(sr25519Sign(this.#seed.reveal(), message));
    const digits = hexAscii(message);
    const plaintext = concatBytes(
      utf8('{"message":"0x'),
      digits,
      utf8(`","sender":"${this.#sender}","signature":"${signature}","receiver_x25519":null}`),
    );
    try {
      const { enc, ciphertext } = sealBase({ recipientPublicKey, plaintext, info: NOTHING, aad: NOTHING });
      return {
        hpke_message: { ciphertext: toPrefixedHex(ciphertext), encapsulation: toPrefixedHex(enc) },
      };
    } finally {
      digits.fill(0);
      plaintext.fill(0);
    }
  }

  wipe(): void {
    this.#seed.wipe();
  }
}
