import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../crypto/chacha20-poly1305.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import type { AttestedPeer } from './attested-peer.ts';
import { ReplayWindow } from './replay-window.ts';

const MESSAGE_LABEL = utf8('latchkey/v1/channel/message');
const SESSION_ID_BYTES = 16;
/** Session id, kind, counter, counter of the request. */
const HEADER_BYTES = SESSION_ID_BYTES + 1 + 8 + 8;
const KINDS = { request: 0, answer: 1 } as const;

/** Most messages that one end sends in a session. */
export const MAX_MESSAGES = 2 ** 32;

/** A message that was opened. */
export interface OpenedMessage {
  /** Its number; an answer names it. */
  readonly counter: number;
  readonly content: Uint8Array;
}

/** What a handshake makes; the session takes the keys over. */
export interface SessionParts {
  readonly role: 'initiator' | 'responder';
  readonly peer: AttestedPeer;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** 32 bytes for each direction. */
  readonly fromInitiator: Uint8Array;
  readonly fromResponder: Uint8Array;
  /** For tests: how many messages each end may send. */
  readonly maxMessages?: number;
}

/**
 * One end of a channel. A message is: session id (16) ‖ kind (0 request, 1 answer) ‖ u64 counter ‖ u64 counter of the
 * request that it answers (0 in a request) ‖ ChaCha20-Poly1305 ciphertext and tag. The nonce is four zero bytes ‖ u64
 * counter; label and header are authenticated with it. Each direction has its own key and its own counter, which both
 * kinds share.
 */
export class Session {
  readonly peer: AttestedPeer;
  /** 16 bytes, public. */
  readonly id: Uint8Array;
  readonly #sendKey: SecretBytes;
  readonly #receiveKey: SecretBytes;
  readonly #received = new ReplayWindow();
  readonly #maxMessages: number;
  #sent = 0;

  constructor(parts: SessionParts) {
    const isInitiator = parts.role === 'initiator';
    this.peer = parts.peer;
    this.id = parts.id;
    this.#sendKey = SecretBytes.adopt(isInitiator ? parts.fromInitiator : parts.fromResponder);
    this.#receiveKey = SecretBytes.adopt(isInitiator ? parts.fromResponder : parts.fromInitiator);
    this.#maxMessages = parts.maxMessages ?? MAX_MESSAGES;
  }

  /** Seals a request. @throws ProblemError CHANNEL_EXHAUSTED. */
  sealRequest(content: Uint8Array): { readonly counter: number; readonly message: Uint8Array } {
    return this.#seal('request', 0, content);
  }

  /** Seals the answer to a request of the peer. @throws ProblemError CHANNEL_EXHAUSTED. */
  sealAnswer(request: number, content: Uint8Array): Uint8Array {
    return this.#seal('answer', request, content).message;
  }

  /** Opens a request of the peer. @throws EvidenceError CHANNEL_MESSAGE_INVALID, CHANNEL_MESSAGE_REPLAYED. */
  openRequest(message: Uint8Array): OpenedMessage {
    return this.#open('request', 0, message);
  }

  /** Opens the peer's answer to an own request. @throws EvidenceError as {@link openRequest}. */
  openAnswer(request: number, message: Uint8Array): Uint8Array {
    return this.#open('answer', request, message).content;
  }

  /** Erases the keys: the session is over. */
  wipe(): void {
    this.#sendKey.wipe();
    this.#receiveKey.wipe();
  }

  #seal(kind: keyof typeof KINDS, request: number, content: Uint8Array) {
    if (this.#sent >= this.#maxMessages)
      throw new ProblemError('CHANNEL_EXHAUSTED', 'the session has sent all its messages');
    const counter = this.#sent++;
    const header = this.#header(kind, counter, request);
    const sealed = chacha20Poly1305Seal(this.#sendKey.reveal(), nonceOf(counter), aadOf(header), content);
    return { counter, message: concatBytes(header, sealed) };
  }

  #open(kind: keyof typeof KINDS, request: number, message: Uint8Array): OpenedMessage {
    const header = message.subarray(0, HEADER_BYTES);
    if (header.length < HEADER_BYTES) throw invalid('too few bytes');
    const counter = Number(readU64BigEndian(header, SESSION_ID_BYTES + 1));
    if (counter >= MAX_MESSAGES || !equalBytes(header, this.#header(kind, counter, request)))
      throw invalid('of another session, kind or request');
    const sealed = message.subarray(HEADER_BYTES);
    const content = chacha20Poly1305Open(this.#receiveKey.reveal(), nonceOf(counter), aadOf(header), sealed);
    if (content === undefined) throw invalid('changed on the way');
    // Only now: a forged counter must not use up the place of a real message.
    if (this.#received.isUsed(counter))
      throw new EvidenceError('CHANNEL_MESSAGE_REPLAYED', 'this message was received before', {
        field: 'counter',
        observed: `${counter}`,
      });
    this.#received.add(counter);
    return { counter, content };
  }

  #header(kind: keyof typeof KINDS, counter: number, request: number): Uint8Array {
    return concatBytes(this.id, Uint8Array.of(KINDS[kind]), u64BigEndian(counter), u64BigEndian(request));
  }
}

const nonceOf = (counter: number): Uint8Array => concatBytes(new Uint8Array(4), u64BigEndian(counter));
const aadOf = (header: Uint8Array): Uint8Array => concatBytes(MESSAGE_LABEL, header);

const invalid = (observed: string): EvidenceError =>
  new EvidenceError('CHANNEL_MESSAGE_INVALID', `the message is ${observed}`, {
    expected: 'a message of this session, by the peer',
    observed,
  });
