import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import { acceptChannel, isRequestOf } from '../../channel/handshake.ts';
import { EvidenceError, ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { networkOf } from '../../inbound/network-of.ts';
import { decodeOpenRequest, handshakeToWire } from '../../protocol/channel-opening.ts';
import { MAX_MESSAGE_BYTES } from '../../ring/replication/wire.ts';
import { TokenBuckets } from '../../time/token-buckets.ts';
import type { OwnEnds } from './own-ends.ts';
import { asRefusal, type PeerProofs } from './peer-proofs.ts';
import { SessionTable } from './session-table.ts';

/** A stranger makes this node compute two key agreements for each request. Of one IPv4 address or IPv6 /64. */
const OPENING_RATE = { burst: 40, perSecond: 4 };
const MAX_NETWORKS = 20_000;
/** Verifications of quotes for one registered key: its owner needs one a minute. */
const PROVING_RATE = { burst: 10, perSecond: 0.2 };
/** Requests for channels that are remembered; one counts for an attestation of this process only, which is replaced. */
const MAX_OPENED = 10_000;
/** Messages that are answered at once, altogether and for one member. */
const MAX_AT_ONCE = 64;
const MAX_AT_ONCE_FOR_ONE = 16;
/** Header and tag of a message. */
const OVERHEAD_BYTES = 64;

/** Answers the content of a message of a proven peer. */
export type ChannelService = (from: AccountId, content: Uint8Array) => Promise<Uint8Array>;

/** The answering end of channels: what other nodes open here, and what they send. */
export class ChannelDesk {
  readonly #ends: OwnEnds;
  readonly #proofs: PeerProofs;
  readonly #service: ChannelService;
  readonly #now: () => number;
  readonly #sessions: SessionTable;
  readonly #opening = new TokenBuckets(OPENING_RATE, MAX_NETWORKS);
  readonly #proving = new TokenBuckets(PROVING_RATE);
  /** Ephemeral keys of the requests that were taken, in hex. */
  readonly #opened = new Memo<true>(MAX_OPENED);
  readonly #underWay = new Map<string, number>();
  #allUnderWay = 0;

  constructor(parts: {
    readonly ends: OwnEnds;
    readonly proofs: PeerProofs;
    readonly service: ChannelService;
    readonly now: () => number;
    /** How long a session lasts that another node opened. */
    readonly maxAgeMs: number;
  }) {
    this.#ends = parts.ends;
    this.#proofs = parts.proofs;
    this.#service = parts.service;
    this.#now = parts.now;
    this.#sessions = new SessionTable(parts.maxAgeMs);
  }

  /** Sessions that are open here. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * `POST /ring/open`: the cheap checks first. The quote of the asker is verified only for the owner of a registered key.
   * @param address of the peer; `undefined` on a Unix socket.
   * @throws RefusalError RATE_LIMITED, RING_NOT_MEMBER, CHANNEL_PEER_REFUSED; EvidenceError FIELD_INVALID,
   *   CHANNEL_PEER_UNPROVEN, CHANNEL_HANDSHAKE_INVALID, CHANNEL_MESSAGE_REPLAYED, and of the quote.
   */
  async open(body: unknown, address: string | undefined): Promise<ReturnType<typeof handshakeToWire>> {
    this.#take(this.#opening, networkOf(address ?? 'local'));
    const { attestation, responder, message } = decodeOpenRequest(body);
    this.#proofs.requireRegisteredKey(attestation);
    const own = await this.#ends.of(responder);
    if (own === undefined || !isRequestOf(own, attestation, message)) throw handshakeInvalid();
    // A stranger who heard it could use up the rate of its sender with it, and push out its sessions.
    const name = toHex(message.enc);
    if (this.#opened.find(name) !== undefined)
      throw new EvidenceError('CHANNEL_MESSAGE_REPLAYED', 'this request for a channel was received before', {
        field: 'enc',
      });
    this.#opened.set(name, true);
    this.#take(this.#proving, toHex(attestation.server));
    const peer = await this.#proofs.prove(attestation).catch((error: unknown) => {
      throw asRefusal(error);
    });
    const { answer, session } = acceptChannel(own, peer, message);
    this.#sessions.add(session, this.#now());
    return handshakeToWire(answer);
  }

  /** Largest body of a message: only a session that is open may send many bytes. @param id lower-case hex. */
  maxBytes(id: string): number {
    return this.#sessions.find(id, this.#now()) === undefined ? 0 : MAX_MESSAGE_BYTES + OVERHEAD_BYTES;
  }

  /**
   * `POST /ring/message/ID`.
   * @throws EvidenceError CHANNEL_SESSION_UNKNOWN, CHANNEL_MESSAGE_INVALID, CHANNEL_MESSAGE_REPLAYED; RefusalError
   *   RING_NOT_MEMBER; ProblemError RING_BUSY, CHANNEL_EXHAUSTED.
   */
  async message(id: string, bytes: Uint8Array): Promise<Uint8Array> {
    const session = this.#sessions.find(id, this.#now());
    if (session === undefined)
      throw new EvidenceError('CHANNEL_SESSION_UNKNOWN', 'there is no such session', { field: 'session' });
    const { account } = session.peer;
    const { counter, content } = session.openRequest(bytes);
    try {
      this.#proofs.recordOf(account);
      const answer = await this.#bounded(toHex(account), () => this.#service(account, content));
      return session.sealAnswer(counter, answer);
    } finally {
      content.fill(0);
    }
  }

  /** Erases the keys of all sessions. */
  wipe(): void {
    this.#sessions.wipe();
  }

  async #bounded<Result>(account: string, work: () => Promise<Result>): Promise<Result> {
    const own = this.#underWay.get(account) ?? 0;
    if (own >= MAX_AT_ONCE_FOR_ONE || this.#allUnderWay >= MAX_AT_ONCE)
      throw new ProblemError('RING_BUSY', 'too many messages are being answered', { retryAfterMs: 200 });
    this.#underWay.set(account, own + 1);
    this.#allUnderWay++;
    try {
      return await work();
    } finally {
      this.#allUnderWay--;
      const left = (this.#underWay.get(account) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(account);
      else this.#underWay.set(account, left);
    }
  }

  #take(buckets: TokenBuckets, name: string): void {
    const retryAfterMs = buckets.take(name, this.#now());
    if (retryAfterMs > 0)
      throw new RefusalError('RATE_LIMITED', 'too many channels are asked for', { retryAfterMs });
  }
}

const handshakeInvalid = (): EvidenceError =>
  new EvidenceError(
    'CHANNEL_HANDSHAKE_INVALID',
    'the owner of this registered key did not make this request',
    {
      expected:
        'HPKE auth mode from the registered key, to an attestation of this process of the last minutes',
      hint: 'one of the two may have restarted: fetch its attestation again',
    },
  );
