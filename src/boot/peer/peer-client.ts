import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { equalBytes } from '../../bytes/concat.ts';
import { AccountId, InstanceId, type Mac, Nonce, type X25519PublicKey } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { X25519KeyPair } from '../../crypto/x25519.ts';
import { openAuth } from '../../hpke/hpke.ts';
import type { Attestation } from '../../keyserver/own-attestation.ts';
import type { Incarnation, Reservation } from '../../lineage/incarnation.ts';
import { lineageIdOf, sealLineageKey } from '../../lineage/lineage-key.ts';
import { decodeAttestation } from '../../protocol/attestation.ts';
import { challengeAnswer, keyAnswer, newsAnswer, parseWire } from '../../protocol/decode.ts';
import type { SlotRoute } from '../../protocol/labels.ts';
import type { LineageUpdate } from '../../protocol/lineage-messages.ts';
import {
  bootContent,
  keyStatusContent,
  lineageUpdateContent,
  type MacContent,
  NO_CONTENT,
  reserveContent,
} from '../../protocol/mac-message.ts';
import {
  NEWS_NONCE_BYTES,
  NOT_ENROLLED_SIGNATURE_BYTES,
  provesNotEnrolled,
  type ServerNews,
} from '../../protocol/not-enrolled.ts';
import type { BoundParameters } from '../../protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../protocol/sealed-key.ts';
import type { Forgotten, KeyStatus, ServerState } from '../../protocol/slot-messages.ts';
import type { Clock } from '../../time/clock.ts';
import { type ExtensionListener, ExtensionListeners } from './extension-listeners.ts';
import type { HeldLineage, HeldSlot, PeerRecord } from './held-keys.ts';
import { MacedRequests } from './maced-requests.ts';
import { PeerExchange } from './peer-exchange.ts';
import { PeerError } from './peer-failure.ts';
import type { PeerTransport } from './peer-transport.ts';
import { ServerClocks } from './server-clocks.ts';

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
  readonly #clocks: ServerClocks;
  readonly #maced: MacedRequests;
  readonly #random: RandomSource;
  readonly #listeners = new ExtensionListeners();

  constructor(options: {
    readonly transport: PeerTransport;
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly deadlineMs?: number;
  }) {
    const { transport, clock, random, deadlineMs = defaultPeerDeadlineMs } = options;
    this.#exchange = new PeerExchange({ transport, clock, deadlineMs });
    this.#clocks = new ServerClocks(clock);
    this.#maced = new MacedRequests(this.#exchange, this.#clocks, random, this.#listeners);
    this.#random = random;
  }

  /** Calls the listener with the extensions of every proved answer from now on. */
  hearExtensions(listener: ExtensionListener): void {
    this.#listeners.add(listener);
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
      const grant = decodeKeyGrant(plaintext);
      this.#clocks.note(peer.account, grant.serverTimeMs);
      this.#listeners.tell(peer, grant.extensions);
      return { grant, instanceId };
    } finally {
      plaintext.fill(0);
    }
  }

  /** `GET /attestation`; the caller verifies the quote. */
  async attestation(peer: PeerRecord, signal?: AbortSignal): Promise<Attestation> {
    const answer = await this.#exchange.send(peer, '/attestation', undefined, signal);
    const attestation = decodeAttestation(answer, 'answer');
    if (equalBytes(attestation.server, peer.account)) return attestation;
    throw impostorAs(encodeSs58(attestation.server));
  }

  /**
   * `POST /key-status`: both sides prove that they hold the key.
   * @param lineageKey links the slot to the lineage that has this key at the server.
   */
  keyStatus(
    peer: PeerRecord,
    slot: HeldSlot,
    status: Omit<KeyStatus, 'lineage'>,
    lineageKey?: SecretBytes,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    const { account, slotId, key } = slot;
    const linked = { server: peer.account, account, slotId };
    const lineage =
      lineageKey === undefined ? undefined : sealLineageKey(key, linked, lineageKey, this.#random);
    return this.#slotState(peer, slot, 'key-status', keyStatusContent({ ...status, lineage }), signal);
  }

  /** `POST /reserve`: asks for a number for this boot, which shows no mark yet. */
  reserve(peer: PeerRecord, slot: HeldSlot, wish: Reservation, signal?: AbortSignal): Promise<ServerState> {
    return this.#slotState(peer, slot, 'reserve', reserveContent(wish), signal);
  }

  /** `POST /claim`: shows the mark of this boot. */
  claim(
    peer: PeerRecord,
    slot: HeldSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    return this.#slotState(peer, slot, 'claim', bootContent(incarnation), signal);
  }

  /** `POST /forget`: erases a key, unless a newer instance of the node has shown itself. */
  forget(
    peer: PeerRecord,
    slot: HeldSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<Forgotten> {
    const question = { route: 'forget', content: bootContent(incarnation) } as const;
    return this.#maced.forgotten(peer, { ...slot, name: slot.slotId }, question, signal);
  }

  /** `POST /lineage-status`: what the server knows of the lineage; changes nothing there. */
  lineageStatus(peer: PeerRecord, lineage: HeldLineage, signal?: AbortSignal): Promise<ServerState> {
    const name = lineageIdOf(lineage.key);
    const question = { route: 'lineage-status', content: NO_CONTENT } as const;
    return this.#maced.state(peer, { ...lineage, name }, question, signal);
  }

  /** `POST /lineage-update`: shows the mark, deposits a head, erases slots, or ends the lineage there. */
  lineageUpdate(
    peer: PeerRecord,
    lineage: HeldLineage,
    update: LineageUpdate,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    const name = lineageIdOf(lineage.key);
    const question = { route: 'lineage-update', content: lineageUpdateContent(update) } as const;
    return this.#maced.state(peer, { ...lineage, name }, question, signal);
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

  #slotState(
    peer: PeerRecord,
    slot: HeldSlot,
    route: SlotRoute,
    content: MacContent,
    signal: AbortSignal | undefined,
  ): Promise<ServerState> {
    return this.#maced.state(peer, { ...slot, name: slot.slotId }, { route, content }, signal);
  }

  #requireServer(peer: PeerRecord, server: string): void {
    if (equalBytes(AccountId.parse(server, 'server'), peer.account)) return;
    throw impostorAs(server);
  }
}

const impostorAs = (server: string): PeerError =>
  new PeerError({ kind: 'impostor', detail: `answers as ${server.slice(0, 60)}` });
