import { concatBytes, utf8 } from '../bytes/concat.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import type { RandomSource } from '../crypto/random.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { X25519KeyPair } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { openAuth, sealAuth } from '../hpke/hpke.ts';
import type { HpkeMessage } from '../hpke/key-schedule.ts';
import type { AttestationParameters } from '../protocol/report-data.ts';
import { type AttestedPeer, peerDigest } from './attested-peer.ts';
import { Session } from './session.ts';

const CHANNEL_LABEL = utf8('latchkey/v1/channel/');
const SECRET_BYTES = 32;
const NO_BYTES = new Uint8Array(0);

/** This node at one end of a channel. */
export interface OwnEnd {
  readonly peer: AttestedPeer;
  /** The registered X25519 key. */
  readonly keyPair: X25519KeyPair;
  readonly random: RandomSource;
  /** Only for test vectors: the ephemeral pair of the message that is sealed. */
  readonly ephemeral?: X25519KeyPair;
}

type Step = 'open' | 'accept';

/** Both ends of a channel; every message and key is bound to all of it. */
interface Ends {
  readonly initiator: AttestedPeer;
  readonly responder: AttestedPeer;
}

/** What both ends say of themselves, proven or not. */
type ClaimedEnds = Readonly<Record<keyof Ends, Pick<AttestedPeer, 'digest'>>>;

/** HPKE info of a handshake message: "latchkey/v1/channel/" ‖ step ‖ 0 ‖ digests of initiator and responder. */
const infoOf = (step: Step, { initiator, responder }: ClaimedEnds): Uint8Array =>
  concatBytes(CHANNEL_LABEL, utf8(step), Uint8Array.of(0), initiator.digest, responder.digest);

const digestOf = ({ enc, ciphertext }: HpkeMessage): Uint8Array => sha256(enc, ciphertext);

/** A channel that was asked for and not accepted yet. */
export interface OpeningChannel {
  /** For the responder. */
  readonly message: HpkeMessage;
  /**
   * Takes the responder's answer.
   * @throws EvidenceError CHANNEL_HANDSHAKE_INVALID.
   */
  complete(answer: HpkeMessage): Session;
}

/**
 * Asks a peer for a channel: 32 random bytes, sealed in HPKE auth mode to its registered key.
 * @throws EvidenceError HPKE_PUBLIC_KEY_INVALID.
 */
export function openChannel(own: OwnEnd, responder: AttestedPeer): OpeningChannel {
  const ends = { initiator: own.peer, responder };
  const mine = own.random(SECRET_BYTES);
  const message = seal('open', own, responder, ends, { plaintext: mine, aad: NO_BYTES });
  return {
    message,
    complete(answer) {
      const theirs = open('accept', own, responder, ends, { message: answer, aad: digestOf(message) });
      return sessionOf('initiator', ends, { mine, theirs, messages: [message, answer] });
    },
  };
}

/**
 * Whether the owner of a registered key made this request for this node and said this of itself. It costs two key
 * agreements, so that a quote, which costs more, is verified for owners of registered keys only.
 */
export function isRequestOf(own: OwnEnd, claimed: AttestationParameters, message: HpkeMessage): boolean {
  const initiator = { digest: peerDigest(claimed), x25519PublicKey: claimed.x25519PublicKey };
  try {
    open('open', own, initiator, { initiator, responder: own.peer }, { message, aad: NO_BYTES }).fill(0);
    return true;
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

/**
 * Accepts a channel: answers with 32 random bytes of its own. A repeated request makes another session, in which
 * only the real peer can say anything.
 * @throws EvidenceError CHANNEL_HANDSHAKE_INVALID, HPKE_PUBLIC_KEY_INVALID.
 */
export function acceptChannel(
  own: OwnEnd,
  initiator: AttestedPeer,
  message: HpkeMessage,
): { readonly answer: HpkeMessage; readonly session: Session } {
  const ends = { initiator, responder: own.peer };
  const theirs = open('open', own, initiator, ends, { message, aad: NO_BYTES });
  const mine = own.random(SECRET_BYTES);
  const answer = seal('accept', own, initiator, ends, { plaintext: mine, aad: digestOf(message) });
  return { answer, session: sessionOf('responder', ends, { mine, theirs, messages: [message, answer] }) };
}

function seal(
  step: Step,
  own: OwnEnd,
  to: AttestedPeer,
  ends: Ends,
  content: { readonly plaintext: Uint8Array; readonly aad: Uint8Array },
): HpkeMessage {
  return sealAuth({
    ...content,
    info: infoOf(step, ends),
    recipientPublicKey: to.x25519PublicKey,
    senderKeyPair: own.keyPair,
    ...(own.ephemeral === undefined ? {} : { ephemeral: own.ephemeral }),
  });
}

function open(
  step: Step,
  own: OwnEnd,
  from: Pick<AttestedPeer, 'x25519PublicKey'>,
  ends: ClaimedEnds,
  { message, aad }: { readonly message: HpkeMessage; readonly aad: Uint8Array },
): Uint8Array {
  const secret =
    message.enc.length === SECRET_BYTES
      ? openAuth({
          ...message,
          aad,
          info: infoOf(step, ends),
          recipientKeyPair: own.keyPair,
          senderPublicKey: from.x25519PublicKey,
        })
      : undefined;
  if (secret?.length === SECRET_BYTES) return secret;
  throw new EvidenceError('CHANNEL_HANDSHAKE_INVALID', 'this peer did not make this message for this node', {
    expected: 'HPKE auth mode between both registered keys, bound to both instances',
    hint: 'one of the two may have restarted: fetch its attestation again',
  });
}

/**
 * Keys of a session: HKDF-SHA-256 of initiator's ‖ responder's 32 bytes ‖ SHA-256 of each message, with one label for
 * the session id (16 bytes) and one for the key of each direction.
 */
function sessionOf(
  role: 'initiator' | 'responder',
  ends: Ends,
  { mine, theirs, messages }: { mine: Uint8Array; theirs: Uint8Array; messages: readonly HpkeMessage[] },
): Session {
  const secrets = role === 'initiator' ? [mine, theirs] : [theirs, mine];
  const keyMaterial = concatBytes(...secrets, ...messages.map(digestOf));
  const derive = (part: string, length = SECRET_BYTES) =>
    deriveKey(keyMaterial, `latchkey/v1/channel/${part}`, length);
  try {
    return new Session({
      role,
      peer: role === 'initiator' ? ends.responder : ends.initiator,
      id: derive('session', 16),
      fromInitiator: derive('from-initiator'),
      fromResponder: derive('from-responder'),
    });
  } finally {
    for (const secret of [mine, theirs, keyMaterial]) secret.fill(0);
  }
}
