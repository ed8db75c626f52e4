import { concatBytes, utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { AccountId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { sha256 } from '../crypto/sha2.ts';
import { hasSmallOrder, type X25519KeyPair } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { openAuth, openBase, sealAuth, sealBase } from '../hpke/hpke.ts';
import type { HpkeMessage } from '../hpke/key-schedule.ts';
import {
  REQUEST_RANDOM_BYTES,
  type RequestStatement,
  type SecretRoute,
  signRequest,
} from './signed-request.ts';

const REQUEST_INFO = utf8('latchkey/v1/secrets/');
const ANSWER_INFO = utf8('latchkey/v1/secrets/answer');
const SIGNATURE_BYTES = 64;
const KEY_BYTES = X25519PublicKey.byteLength;
/** Bytes before the signed content: user, node, time, random bytes, signature. */
const HEAD_BYTES = 2 * AccountId.byteLength + 8 + REQUEST_RANDOM_BYTES + SIGNATURE_BYTES;

/** What a user sends to a node. */
export interface SignedMessage {
  readonly statement: RequestStatement;
  /** 64 bytes, over the statement and `content`. */
  readonly signature: Uint8Array;
  /** 32 bytes of the key for the answer ‖ the body of the route. */
  readonly content: Uint8Array;
}

/** A sealed request, and what its sender needs to open the answer. */
export interface SealedRequest {
  readonly message: HpkeMessage;
  readonly open: (answer: HpkeMessage) => Uint8Array | undefined;
}

/** `latchkey/v1/secrets/` ‖ route ‖ 0 ‖ node. */
const requestInfo = (route: SecretRoute, node: AccountId): Uint8Array =>
  concatBytes(REQUEST_INFO, utf8(route), Uint8Array.of(0), node);

/** `latchkey/v1/secrets/answer` ‖ 0 ‖ node ‖ user. */
const answerInfo = (node: AccountId, user: AccountId): Uint8Array =>
  concatBytes(ANSWER_INFO, Uint8Array.of(0), node, user);

/** SHA-256(enc ‖ ciphertext) of the request, so that an answer belongs to one request. */
const answerAad = ({ enc, ciphertext }: HpkeMessage): Uint8Array => sha256(enc, ciphertext);

/**
 * Signs a request and seals it to the registered key of a node.
 * Plaintext: user ‖ node ‖ u64 milliseconds ‖ 16 random bytes ‖ signature ‖ key for the answer ‖ body.
 * @param answerKey made for this request only.
 * @param seed of the user, 32 bytes.
 */
export function sealRequest(
  statement: RequestStatement,
  body: Uint8Array,
  keys: {
    readonly node: X25519PublicKey;
    readonly answerKey: X25519KeyPair;
    readonly seed: SecretBytes;
    /** Only for test vectors. */
    readonly ephemeral?: X25519KeyPair;
  },
): SealedRequest {
  const { user, node, timestampMs, random, route } = statement;
  const content = concatBytes(keys.answerKey.publicKey, body);
  const signature = signRequest(keys.seed, statement, content);
  const plaintext = concatBytes(user, node, u64BigEndian(timestampMs), random, signature, content);
  const info = requestInfo(route, node);
  const message = sealBase({
    recipientPublicKey: keys.node,
    info,
    aad: new Uint8Array(0),
    plaintext,
    ...(keys.ephemeral === undefined ? {} : { ephemeral: keys.ephemeral }),
  });
  for (const bytes of [plaintext, content]) bytes.fill(0);
  const open = (answer: HpkeMessage): Uint8Array | undefined =>
    openAuth({
      recipientKeyPair: keys.answerKey,
      senderPublicKey: keys.node,
      info: answerInfo(node, user),
      aad: answerAad(message),
      ...answer,
    });
  return { message, open };
}

/**
 * Opens a request; proves nothing of who sent it.
 * @param node the answering node.
 * @throws EvidenceError SECRET_SEALING_WRONG, HPKE_PUBLIC_KEY_INVALID.
 */
export function openRequest(
  route: SecretRoute,
  message: HpkeMessage,
  node: { readonly account: AccountId; readonly x25519: X25519KeyPair },
): SignedMessage {
  const plaintext = openBase({
    recipientKeyPair: node.x25519,
    info: requestInfo(route, node.account),
    aad: new Uint8Array(0),
    ...message,
  });
  if (plaintext === undefined || plaintext.length < HEAD_BYTES + KEY_BYTES)
    throw new EvidenceError('SECRET_SEALING_WRONG', 'the body does not open, or is too short', {
      field: 'ciphertext',
      expected: `HPKE base mode to the registered key of this node, for the route ${route}`,
    });
  const content = plaintext.subarray(HEAD_BYTES);
  if (hasSmallOrder(content.subarray(0, KEY_BYTES)))
    throw new EvidenceError('HPKE_PUBLIC_KEY_INVALID', 'the key for the answer is a point of small order', {
      field: 'ciphertext',
    });
  return {
    statement: {
      route,
      user: AccountId.of(plaintext.subarray(0, 32)),
      node: AccountId.of(plaintext.subarray(32, 64)),
      timestampMs: Number(readU64BigEndian(plaintext, 64)),
      random: copyBytes(plaintext.subarray(72, 72 + REQUEST_RANDOM_BYTES)),
    },
    signature: copyBytes(plaintext.subarray(HEAD_BYTES - SIGNATURE_BYTES, HEAD_BYTES)),
    content,
  };
}

/** The body of a route in a signed message; the same memory. */
export const bodyOf = ({ content }: SignedMessage): Uint8Array => content.subarray(KEY_BYTES);

/**
 * Seals an answer to the key that came with the request, HPKE auth mode: only this node can have made it.
 * @param message the sealed request as it came.
 */
export const sealAnswer = (
  plaintext: Uint8Array,
  request: { readonly message: HpkeMessage; readonly signed: SignedMessage },
  node: { readonly account: AccountId; readonly x25519: X25519KeyPair },
): HpkeMessage =>
  sealAuth({
    recipientPublicKey: request.signed.content.subarray(0, KEY_BYTES),
    senderKeyPair: node.x25519,
    info: answerInfo(node.account, request.signed.statement.user),
    aad: answerAad(request.message),
    plaintext,
  });
