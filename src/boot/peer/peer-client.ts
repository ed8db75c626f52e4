import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { equalBytes } from '../../bytes/concat.ts';
import {
  AccountId,
  BlockHash,
  InstanceId,
  type Mac,
  Nonce,
  X25519PublicKey,
} from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ServerRecord } from '../../chain/chain-view.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { X25519KeyPair } from '../../crypto/x25519.ts';
import { openAuth } from '../../hpke/hpke.ts';
import type { Attestation } from '../../keyserver/own-attestation.ts';
import {
  attestationAnswer,
  challengeAnswer,
  keyAnswer,
  newsAnswer,
  parseWire,
} from '../../protocol/decode.ts';
import type { MacRoute } from '../../protocol/labels.ts';
import {
  claimBytes,
  decodeForgotten,
  decodeSlotState,
  forgottenBytes,
  headToWire,
  type Incarnation,
  type KeyStatus,
  keyStatusBytes,
  type MacEnvelope,
  macMatches,
  requestMac,
  responseMac,
  type SlotState,
  slotStateBytes,
} from '../../protocol/mac-routes.ts';
import {
  NEWS_NONCE_BYTES,
  NOT_ENROLLED_SIGNATURE_BYTES,
  provesNotEnrolled,
  type ServerNews,
} from '../../protocol/not-enrolled.ts';
import type { BoundParameters } from '../../protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../protocol/sealed-key.ts';
import type { Clock } from '../../time/clock.ts';
import { PeerExchange } from './peer-exchange.ts';
import { PeerError } from './peer-failure.ts';
import type { PeerTransport } from './peer-transport.ts';

/** The record of a server that a request needs: its account, its registered key, its present address. */
export type PeerRecord = Pick<ServerRecord, 'account' | 'x25519PublicKey' | 'endpoint'>;

/** A slot at a server, with the key that proves it. */
export interface HeldSlot {
  readonly account: AccountId;
  readonly slotId: MacEnvelope['slotId'];
  readonly key: SecretBytes;
}

/** A key request that was quoted. */
export interface QuotedRequest extends BoundParameters {
  readonly reportData: Parameters<typeof sealedKeyAad>[0];
  readonly quote: Uint8Array;
}

/** A grant, and the instance id of the server process that made it. */
export interface InstanceGrant {
  readonly grant: KeyGrant;
  readonly instanceId: InstanceId;
}

/** How long one request to one peer may take. */
export const defaultPeerDeadlineMs = 8_000;

/** Speaks the protocol with one server at a time. Methods throw; `failureOf` turns what they throw into a reason. */
export class PeerClient {
  readonly #exchange: PeerExchange;
  readonly #clock: Clock;
  readonly #random: RandomSource;

  constructor(options: {
    readonly transport: PeerTransport;
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly deadlineMs?: number;
  }) {
    const { transport, clock, random, deadlineMs = defaultPeerDeadlineMs } = options;
    this.#exchange = new PeerExchange({ transport, clock, deadlineMs });
    this.#clock = clock;
    this.#random = random;
  }

  /** `POST /challenge`. */
  async challenge(
    peer: PeerRecord,
    account: AccountId,
    ephemeralPublicKey: X25519PublicKey,
    signal?: AbortSignal,
  ): Promise<Nonce> {
    const body = { accountId: encodeSs58(account), ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey) };
    const answer = parseWire(
      challengeAnswer,
      await this.#exchange.send(peer, '/challenge', body, signal),
      'answer',
    );
    this.#requireServer(peer, answer.server);
    return Nonce.parse(answer.nonce, 'nonce');
  }

  /** `POST /request-encryption-key`; opens the answer with the ephemeral key and the server's registered key. */
  async requestKey(
    peer: PeerRecord,
    request: QuotedRequest,
    proof: Mac | undefined,
    ephemeral: X25519KeyPair,
    signal?: AbortSignal,
  ): Promise<InstanceGrant> {
    const body = {
      accountId: encodeSs58(request.account),
      ephemeralPublicKey: toPrefixedHex(request.ephemeralPublicKey),
      intent: request.intent,
      servers: request.servers.map(({ server, nonce, slotId }) => ({
        server: encodeSs58(server),
        nonce: toPrefixedHex(nonce),
        slotId: toPrefixedHex(slotId),
      })),
      ...(proof === undefined ? {} : { recoveryProof: toPrefixedHex(proof) }),
      quote: toBase64(request.quote),
    };
    const answer = parseWire(
      keyAnswer,
      await this.#exchange.send(peer, '/request-encryption-key', body, signal),
      'answer',
    );
    this.#requireServer(peer, answer.server);
    const instanceId = InstanceId.parse(answer.instanceId, 'instanceId');
    const plaintext = openAuth({
      recipientKeyPair: ephemeral,
      senderPublicKey: peer.x25519PublicKey,
      enc: parsePrefixedHex(answer.enc, 32, 'enc'),
      info: sealedKeyInfo(peer.account, request.account),
      aad: sealedKeyAad(request.reportData, instanceId),
      ciphertext: parseBase64(answer.ciphertext, 'ciphertext'),
    });
    if (plaintext === undefined) {
      throw new PeerError({
        kind: 'impostor',
        detail: 'answer is not sealed by the key that the chain registers',
      });
    }
    try {
      return { grant: decodeKeyGrant(plaintext), instanceId };
    } finally {
      plaintext.fill(0);
    }
  }

  /** `GET /attestation`; the caller verifies the quote. */
  async attestation(peer: PeerRecord, signal?: AbortSignal): Promise<Attestation> {
    const answer = parseWire(
      attestationAnswer,
      await this.#exchange.send(peer, '/attestation', undefined, signal),
      'answer',
    );
    this.#requireServer(peer, answer.server);
    return {
      server: peer.account,
      x25519PublicKey: X25519PublicKey.parse(answer.x25519PublicKey, 'x25519PublicKey'),
      instanceId: InstanceId.parse(answer.instanceId, 'instanceId'),
      finalized: {
        number: answer.finalized.number,
        hash: BlockHash.parse(answer.finalized.hash, 'finalized.hash'),
      },
      quote: parseBase64(answer.quote, 'quote'),
    };
  }

  /** `POST /key-status`: both sides prove that they hold the key. */
  keyStatus(peer: PeerRecord, slot: HeldSlot, status: KeyStatus, signal?: AbortSignal): Promise<SlotState> {
    const wire = {
      confirm: status.confirm,
      incarnation: status.incarnation.number,
      bootId: toPrefixedHex(status.incarnation.bootId),
      ...(status.head === undefined ? {} : { head: headToWire(status.head) }),
      ...(status.report === undefined ? {} : { report: status.report }),
    };
    return this.#slotState(peer, slot, 'key-status', keyStatusBytes(status), wire, signal);
  }

  /** `POST /claim`: says that this boot holds the account now. */
  claim(
    peer: PeerRecord,
    slot: HeldSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<SlotState> {
    const wire = { incarnation: incarnation.number, bootId: toPrefixedHex(incarnation.bootId) };
    return this.#slotState(peer, slot, 'claim', claimBytes(incarnation), wire, signal);
  }

  /** `POST /forget`: erases a key that a newer generation has replaced. */
  async forget(peer: PeerRecord, slot: HeldSlot, signal?: AbortSignal): Promise<void> {
    const { body, mac } = this.#authenticate(peer, slot, 'forget', new Uint8Array(0), {});
    const answer = decodeForgotten(await this.#exchange.send(peer, '/forget', body, signal));
    const expected = responseMac(slot.key, 'forget', mac, forgottenBytes(answer.extensions));
    if (!macMatches(answer.mac, expected)) throw impostor();
  }

  /**
   * `POST /server-restarted`: a hint to a client that our memory is gone. Returns `moved` when the client itself,
   * by its signature, says that it has no slot here any more; `told` otherwise, also when anybody says so without.
   */
  tellRestart(
    client: PeerRecord,
    self: AccountId,
    instanceId: InstanceId,
    signal?: AbortSignal,
  ): Promise<'told' | 'moved'> {
    const body = { server: encodeSs58(self), instanceId: toPrefixedHex(instanceId) };
    return this.#tell(client, '/server-restarted', body, { server: self, instanceId }, signal);
  }

  /** `POST /server-draining`: a hint to a client that we drain. Returns what {@link tellRestart} does. */
  tellDraining(client: PeerRecord, self: AccountId, signal?: AbortSignal): Promise<'told' | 'moved'> {
    const nonce = this.#random(NEWS_NONCE_BYTES);
    const body = { server: encodeSs58(self), nonce: toPrefixedHex(nonce) };
    return this.#tell(client, '/server-draining', body, { server: self, nonce }, signal);
  }

  async #tell(
    client: PeerRecord,
    path: string,
    body: Readonly<Record<string, string>>,
    news: ServerNews,
    signal: AbortSignal | undefined,
  ): Promise<'told' | 'moved'> {
    const answer = parseWire(newsAnswer, await this.#exchange.send(client, path, body, signal), 'answer');
    if (answer.enrolled || answer.signature === undefined) return 'told';
    const signature = parsePrefixedHex(answer.signature, NOT_ENROLLED_SIGNATURE_BYTES, 'signature');
    return provesNotEnrolled(signature, { ...news, client: client.account }) ? 'moved' : 'told';
  }

  async #slotState(
    peer: PeerRecord,
    slot: HeldSlot,
    route: MacRoute,
    content: Uint8Array,
    wire: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<SlotState> {
    const { body, mac } = this.#authenticate(peer, slot, route, content, wire);
    const answer = decodeSlotState(await this.#exchange.send(peer, `/${route}`, body, signal));
    const expected = responseMac(slot.key, route, mac, slotStateBytes(answer.state));
    if (!macMatches(answer.mac, expected)) throw impostor();
    return answer.state;
  }

  #authenticate(
    peer: PeerRecord,
    slot: HeldSlot,
    route: MacRoute,
    content: Uint8Array,
    wire: Record<string, unknown>,
  ) {
    const envelope: MacEnvelope = {
      server: peer.account,
      account: slot.account,
      slotId: slot.slotId,
      timestampMs: this.#clock.nowMs(),
      random: this.#random(16),
    };
    const mac = requestMac(slot.key, route, envelope, content);
    const body = {
      accountId: encodeSs58(slot.account),
      slotId: toPrefixedHex(slot.slotId),
      timestampMs: envelope.timestampMs,
      random: toPrefixedHex(envelope.random),
      ...wire,
      mac: toPrefixedHex(mac),
    };
    return { body, mac };
  }

  #requireServer(peer: PeerRecord, server: string): void {
    if (equalBytes(AccountId.parse(server, 'server'), peer.account)) return;
    throw new PeerError({ kind: 'impostor', detail: `answers as ${server.slice(0, 60)}` });
  }
}

const impostor = (): PeerError =>
  new PeerError({ kind: 'impostor', detail: 'answer does not prove that the server holds the key' });
