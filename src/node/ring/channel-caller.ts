import type { PeerClient } from '../../boot/peer/peer-client.ts';
import { describeFailure, failureOf } from '../../boot/peer/peer-failure.ts';
import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ServerRecord } from '../../chain/chain-view.ts';
import { openChannel } from '../../channel/handshake.ts';
import type { Session } from '../../channel/session.ts';
import { LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import type { BoundedAnswer } from '../../outbound/bounded-fetch.ts';
import type { Exchange } from '../../outbound/bounded-http.ts';
import { decodeOpenAnswer, openRequestToWire } from '../../protocol/channel-opening.ts';
import { MAX_MESSAGE_BYTES } from '../../ring/replication/wire.ts';
import type { OwnEnds } from './own-ends.ts';
import type { PeerProofs } from './peer-proofs.ts';
import type { OpenSession } from './session-table.ts';

const MAX_ANSWER_BYTES = MAX_MESSAGE_BYTES + 1024;
/** Between two attempts to open a channel to one member: each verifies a quote here and there. */
const OPEN_AGAIN_MS = 500;

/** A session, or the attempt to make one. */
interface Outgoing {
  readonly startedAtMs: number;
  readonly made: Promise<OpenSession>;
}

/** The asking end of channels: keeps one session to each member, and asks over it. */
export class ChannelCaller {
  readonly #ends: OwnEnds;
  readonly #proofs: PeerProofs;
  readonly #client: Pick<PeerClient, 'attestation'>;
  readonly #exchange: Exchange;
  readonly #now: () => number;
  readonly #timeoutMs: number;
  readonly #maxAgeMs: number;
  readonly #signal: AbortSignal;
  readonly #outgoing = new Map<string, Outgoing>();

  constructor(parts: {
    readonly ends: OwnEnds;
    readonly proofs: PeerProofs;
    readonly client: Pick<PeerClient, 'attestation'>;
    readonly exchange: Exchange;
    readonly now: () => number;
    /** For each exchange. */
    readonly timeoutMs: number;
    /** After that long the member has to attest itself again. */
    readonly maxAgeMs: number;
    readonly signal: AbortSignal;
  }) {
    this.#ends = parts.ends;
    this.#proofs = parts.proofs;
    this.#client = parts.client;
    this.#exchange = parts.exchange;
    this.#now = parts.now;
    this.#timeoutMs = parts.timeoutMs;
    this.#maxAgeMs = parts.maxAgeMs;
    this.#signal = parts.signal;
  }

  /**
   * Asks a member. A session that it does not know any more (it restarted) is replaced once.
   * @throws ProblemError RING_PEER_UNREACHABLE.
   */
  async ask(account: AccountId, content: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#ask(account, content, 'first time');
    } catch (error) {
      const reason =
        error instanceof LatchkeyError
          ? `${error.code}: ${error.message}`
          : describeFailure(failureOf(error));
      throw new ProblemError('RING_PEER_UNREACHABLE', `${encodeSs58(account)}: ${reason}`, { cause: error });
    }
  }

  /** Erases the keys of all sessions. */
  wipe(): void {
    for (const name of [...this.#outgoing.keys()]) this.#drop(name);
  }

  async #ask(account: AccountId, content: Uint8Array, turn: 'first time' | 'again'): Promise<Uint8Array> {
    const record = this.#proofs.recordOf(account);
    const session = await this.#sessionTo(record);
    const { counter, message } = session.sealRequest(content);
    const path = `/ring/message/${toHex(session.id)}`;
    const answer = await this.#post(record, path, 'application/octet-stream', new Uint8Array(message));
    if (answer.ok && answer.status === 200) return session.openAnswer(counter, answer.body);
    // A refusal is not proved: it costs this session, and never more than one new one each half second.
    if (answer.ok && answer.status === 404 && turn === 'first time') {
      this.#drop(toHex(account));
      return await this.#ask(account, content, 'again');
    }
    throw new ProblemError('RING_PEER_UNREACHABLE', reasonOf(answer));
  }

  async #sessionTo(record: ServerRecord): Promise<Session> {
    const name = toHex(record.account);
    const known = this.#outgoing.get(name);
    if (known !== undefined && this.#now() - known.startedAtMs <= this.#maxAgeMs) {
      const { session } = await known.made;
      if (equalBytes(session.peer.x25519PublicKey, record.x25519PublicKey)) return session;
    }
    this.#drop(name);
    const made = this.#open(record).then((session) => ({ session, madeAtMs: this.#now() }));
    const outgoing = { startedAtMs: this.#now(), made };
    this.#outgoing.set(name, outgoing);
    made.catch(() => this.#forgetLater(name, outgoing));
    return (await made).session;
  }

  /** A failed attempt is kept for a moment: all who ask in that time get the same failure. */
  #forgetLater(name: string, outgoing: Outgoing): void {
    setTimeout(() => {
      if (this.#outgoing.get(name) === outgoing) this.#outgoing.delete(name);
    }, OPEN_AGAIN_MS).unref();
  }

  async #open(record: ServerRecord): Promise<Session> {
    const own = await this.#ends.current();
    const theirs = await this.#client.attestation(record, this.#signal);
    const peer = await this.#proofs.prove(theirs);
    const opening = openChannel(own, peer);
    const request = { attestation: own.attestation, responder: peer.digest, message: opening.message };
    const body = JSON.stringify(openRequestToWire(request));
    const answer = await this.#post(record, '/ring/open', 'application/json', body);
    if (!answer.ok || answer.status !== 200)
      throw new ProblemError('RING_PEER_UNREACHABLE', reasonOf(answer));
    return opening.complete(decodeOpenAnswer(JSON.parse(new TextDecoder().decode(answer.body))));
  }

  #post(
    { endpoint }: ServerRecord,
    path: string,
    type: string,
    body: string | Uint8Array<ArrayBuffer>,
  ): Promise<BoundedAnswer> {
    return this.#exchange({
      url: `http://${endpoint}${path}`,
      method: 'POST',
      headers: { 'content-type': type },
      body,
      timeoutMs: this.#timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      signal: this.#signal,
    });
  }

  #drop(name: string): void {
    const known = this.#outgoing.get(name);
    this.#outgoing.delete(name);
    // Messages that are under way may still be answered.
    const wipe = ({ session }: OpenSession) => void setTimeout(() => session.wipe(), this.#timeoutMs).unref();
    known?.made.then(wipe).catch(() => undefined);
  }
}

/** Why an answer is none; the words of a peer are shown as what they are. */
function reasonOf(answer: BoundedAnswer): string {
  if (!answer.ok) return answer.reason;
  const text = new TextDecoder().decode(answer.body.subarray(0, 300));
  return `status ${answer.status}: ${JSON.stringify(text)}`;
}
