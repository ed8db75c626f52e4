import { z } from 'zod';
import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { type ErrorCode, errorCodes } from '../../errors/codes.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import { decodeLogPart, encodeLogPart } from '../../ring/members/registry-wire.ts';
import type { RingRequest, RingTransport } from '../../ring/replication/messages.ts';
import type { RingNode } from '../../ring/replication/ring-node.ts';
import { decodeReply, decodeRequest, encodeMessage } from '../../ring/replication/wire.ts';
import { type Envelope, type EnvelopeKind, openEnvelope, sealEnvelope } from './envelope.ts';
import type { RegistryAnswer } from './registry-follower.ts';
import type { RingState } from './ring-state.ts';

/** Bytes of registries in one answer, roughly; the asker asks again for the rest. */
const MAX_REGISTRY_BYTES = 1024 * 1024;
/** A server in a registry, in JSON. */
const SERVER_BYTES = 400;

/** What a message costs, in milliseconds and roughly; see `MemberPace`. */
const REGISTRIES_UNITS = 50;
const MARKS_UNITS = 50;
const BYTES_OF_A_UNIT = 16_384;

const question = z.strictObject({ after: z.int().min(0) });
const registries = z.strictObject({ serving: z.int().min(0).optional(), log: z.string() });

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (bytes: Uint8Array): unknown =>
  JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));

/**
 * What members send each other in a channel. Each message names the newest registry of its sender. A node does not
 * answer a sender that has another one at the same boundary, and does not use its answers.
 */
export class RingMail {
  readonly #state: RingState;
  readonly #node: () => RingNode | undefined;
  readonly #mayServe: () => boolean;
  readonly #ask: (to: AccountId, content: Uint8Array) => Promise<Uint8Array>;
  readonly #pace: (member: string, units: number) => Promise<void>;
  readonly #onAhead: () => void;
  readonly #onDiffers: (account: AccountId) => void;

  constructor(parts: {
    readonly state: RingState;
    /** `undefined` while this node is no member. */
    readonly node: () => RingNode | undefined;
    /** Whether the store takes writes: a fenced instance must not answer for the one that followed it. */
    readonly mayServe: () => boolean;
    /** Over the channel. */
    readonly ask: (to: AccountId, content: Uint8Array) => Promise<Uint8Array>;
    /** Resolves when there is time for work of so many units for a member. */
    readonly pace: (member: string, units: number) => Promise<void>;
    /** A member knows a newer registry. */
    readonly onAhead: () => void;
    readonly onDiffers: (account: AccountId) => void;
  }) {
    this.#state = parts.state;
    this.#node = parts.node;
    this.#mayServe = parts.mayServe;
    this.#ask = parts.ask;
    this.#pace = parts.pace;
    this.#onAhead = parts.onAhead;
    this.#onDiffers = parts.onDiffers;
  }

  /** For the ring's node. */
  readonly transport: RingTransport = {
    ask: async (to, request) => {
      const payload = encodeMessage(request);
      try {
        return decodeReply(await this.#exchange(to.account, 'ring', payload));
      } finally {
        payload.fill(0);
      }
    },
  };

  /** Asks a server for its registries from the one of a block on. @throws ProblemError RING_PEER_UNREACHABLE and others. */
  async registriesOf(to: AccountId, after: number): Promise<RegistryAnswer> {
    const answer = await this.#exchange(to, 'registries', utf8(JSON.stringify({ after })));
    const { serving, log } = parseWire(registries, parse(answer), 'answer');
    return { serving, log: decodeLogPart(log) };
  }

  /** Answers a proven server; a refusal is an answer too. */
  async answer(from: AccountId, content: Uint8Array): Promise<Uint8Array> {
    try {
      const { kind, newest, payload } = openEnvelope(content);
      this.#compare(from, newest);
      if (!this.#mayServe())
        throw new ProblemError('RING_NOT_READY', 'the store of this node takes no writes');
      return this.#seal(kind, await this.#answerTo(from, kind, payload));
    } catch (error) {
      const code: ErrorCode = error instanceof LatchkeyError ? error.code : 'INTERNAL';
      return this.#seal('refused', utf8(code));
    }
  }

  async #answerTo(from: AccountId, kind: EnvelopeKind, payload: Uint8Array): Promise<Uint8Array> {
    const name = toHex(from);
    if (kind === 'registries') {
      await this.#pace(name, REGISTRIES_UNITS);
      return this.#registries(payload);
    }
    const node = this.#node();
    if (kind === 'refused' || node === undefined)
      throw new ProblemError('RING_NOT_READY', 'this node is no member yet');
    const request = decodeRequest(payload);
    await this.#pace(name, unitsOf(request.message, payload.length));
    return encodeMessage(await node.answer(name, request));
  }

  #registries(payload: Uint8Array): Uint8Array {
    const { after } = parseWire(question, parse(payload), 'question');
    const { log } = this.#state;
    const bytes = SERVER_BYTES * Math.max(1, log.newest.servers.length);
    const part = log.after(after, Math.max(1, Math.floor(MAX_REGISTRY_BYTES / bytes)));
    return utf8(JSON.stringify({ serving: this.#node()?.view.block, log: encodeLogPart(part) }));
  }

  async #exchange(to: AccountId, kind: EnvelopeKind, payload: Uint8Array): Promise<Uint8Array> {
    const answer = openEnvelope(await this.#ask(to, this.#seal(kind, payload)));
    this.#compare(to, answer.newest);
    if (answer.kind === kind) return answer.payload;
    throw new ProblemError('RING_PEER_UNREACHABLE', `refused: ${codeOf(answer)}`);
  }

  #compare(account: AccountId, { block, digest }: Envelope['newest']): void {
    const { log } = this.#state;
    if (block > log.upTo) {
      this.#onAhead();
      return;
    }
    const own = log.at(block);
    // What is older than the log of this node cannot be compared; such a sender is behind, or new.
    if (own === undefined || equalBytes(own.digest, digest)) return;
    this.#onDiffers(account);
    throw new EvidenceError('RING_VIEWS_DIFFER', `another registry than here at boundary ${block}`, {
      expected: toHex(own.digest),
      observed: toHex(digest),
    });
  }

  #seal(kind: EnvelopeKind, payload: Uint8Array): Uint8Array {
    const { block, digest } = this.#state.log.newest;
    return sealEnvelope({ kind, newest: { block, digest }, payload });
  }
}

/** A record that is read, verified or written is a unit. */
function unitsOf(request: RingRequest, bytes: number): number {
  const ofBytes = 1 + Math.floor(bytes / BYTES_OF_A_UNIT);
  switch (request.kind) {
    case 'fetch':
      return ofBytes + request.ids.length;
    case 'push':
      return ofBytes + request.records.length;
    case 'marks':
      return ofBytes + MARKS_UNITS;
    default:
      return ofBytes;
  }
}

function codeOf({ kind, payload }: Envelope): string {
  const code = kind === 'refused' ? new TextDecoder().decode(payload.subarray(0, 64)) : '';
  return Object.hasOwn(errorCodes, code) ? code : `an answer of kind ${kind}`;
}
