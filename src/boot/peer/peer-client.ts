import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { equalBytes } from '../../bytes/concat.ts';
import {
  AccountId,
  BlockHash,
  InstanceId,
  type LineageId,
  type Mac,
  Nonce,
  type SlotId,
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
import type { Incarnation, Reservation } from '../../lineage/incarnation.ts';
import { lineageIdOf, sealLineageKey } from '../../lineage/lineage-key.ts';
import {
  attestationAnswer,
  challengeAnswer,
  keyAnswer,
  newsAnswer,
  parseWire,
} from '../../protocol/decode.ts';
import type { Extensions } from '../../protocol/extensions.ts';
import type { MacRoute, SlotRoute } from '../../protocol/labels.ts';
import { type LineageUpdate, lineageUpdateBytes } from '../../protocol/lineage-messages.ts';
import { depositToWire, incarnationToWire, type LineageState } from '../../protocol/lineage-state.ts';
import { type MacEnvelope, macMatches, requestMac, responseMac } from '../../protocol/mac.ts';
import {
  NEWS_NONCE_BYTES,
  NOT_ENROLLED_SIGNATURE_BYTES,
  provesNotEnrolled,
  type ServerNews,
} from '../../protocol/not-enrolled.ts';
import type { BoundParameters } from '../../protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../protocol/sealed-key.ts';
import {
  claimBytes,
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  type KeyStatus,
  keyStatusBytes,
  reserveBytes,
  type ServerState,
  serverStateBytes,
} from '../../protocol/slot-messages.ts';
import type { Clock } from '../../time/clock.ts';
import { PeerExchange } from './peer-exchange.ts';
import { failureOf, PeerError } from './peer-failure.ts';
import type { PeerTransport } from './peer-transport.ts';
import { ServerClocks } from './server-clocks.ts';

/** The record of a server that a request needs: its account, its registered key, its present address. */
export type PeerRecord = Pick<ServerRecord, 'account' | 'x25519PublicKey' | 'endpoint'>;

/** Sees what every proved answer shows of a lineage; an `AccountHold` is one. */
export interface LineageObserver {
  observe(state: LineageState | undefined): void;
}

/** A slot at a server, with the key that proves it. */
export interface HeldSlot {
  readonly account: AccountId;
  readonly slotId: SlotId;
  readonly key: SecretBytes;
  /** Sees every answer, also one that comes when its caller waits no more. */
  readonly observer: LineageObserver;
}

/** A lineage at a server, with the key that proves it. */
export interface HeldLineage {
  readonly account: AccountId;
  /** The lineage key of that server, 32 bytes. */
  readonly key: SecretBytes;
  /** Sees every answer, also one that comes when its caller waits no more. */
  readonly observer: LineageObserver;
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

/** Sees what a server says in addition to its answer, after the grant was opened or the MAC was verified. */
export type ExtensionListener = (server: PeerRecord, extensions: Extensions) => void;

/** How long one request to one peer may take. */
export const defaultPeerDeadlineMs = 8_000;

/** Speaks the protocol with one server at a time. Methods throw; `failureOf` turns what they throw into a reason. */
export class PeerClient {
  readonly #exchange: PeerExchange;
  readonly #clocks: ServerClocks;
  readonly #random: RandomSource;
  #listener: ExtensionListener = () => undefined;

  constructor(options: {
    readonly transport: PeerTransport;
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly deadlineMs?: number;
  }) {
    const { transport, clock, random, deadlineMs = defaultPeerDeadlineMs } = options;
    this.#exchange = new PeerExchange({ transport, clock, deadlineMs });
    this.#clocks = new ServerClocks(clock);
    this.#random = random;
  }

  /** Calls the listener with the extensions of every proved answer; it replaces the one before. */
  hearExtensions(listener: ExtensionListener): void {
    this.#listener = listener;
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
      this.#listener(peer, grant.extensions);
      return { grant, instanceId };
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
    const wire = {
      confirm: status.confirm,
      ...(lineage === undefined ? {} : { lineage: toPrefixedHex(lineage) }),
      ...incarnationToWire(status.incarnation),
      ...(status.head === undefined ? {} : { head: depositToWire(status.head) }),
      ...(status.report === undefined ? {} : { report: status.report }),
    };
    return this.#slotState(peer, slot, 'key-status', keyStatusBytes({ ...status, lineage }), wire, signal);
  }

  /** `POST /reserve`: asks for a number for this boot, which shows no mark yet. */
  reserve(peer: PeerRecord, slot: HeldSlot, wish: Reservation, signal?: AbortSignal): Promise<ServerState> {
    const wire = { incarnation: wish.number, boot: toPrefixedHex(wish.boot) };
    return this.#slotState(peer, slot, 'reserve', reserveBytes(wish), wire, signal);
  }

  /** `POST /claim`: shows the mark of this boot. */
  claim(
    peer: PeerRecord,
    slot: HeldSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    const wire = incarnationToWire(incarnation);
    return this.#slotState(peer, slot, 'claim', claimBytes(incarnation), wire, signal);
  }

  /** `POST /forget`: erases a key, unless a newer instance of the node has shown itself. */
  async forget(
    peer: PeerRecord,
    slot: HeldSlot,
    incarnation: Incarnation,
    signal?: AbortSignal,
  ): Promise<Forgotten> {
    const content = claimBytes(incarnation);
    const named = { ...slot, name: slot.slotId };
    const { envelope, mac } = this.#authenticate(peer, named, 'forget', content);
    const body = { ...envelope, slotId: toPrefixedHex(slot.slotId), ...incarnationToWire(incarnation) };
    const answer = decodeForgotten(await this.#sendStamped(peer, '/forget', body, signal));
    const expected = responseMac(slot.key, 'forget', mac, forgottenBytes(answer.forgotten));
    if (!macMatches(answer.mac, expected)) throw impostor();
    slot.observer.observe(answer.forgotten.lineage);
    this.#listener(peer, answer.forgotten.extensions);
    return answer.forgotten;
  }

  /** `POST /lineage-status`: what the server knows of the lineage; changes nothing there. */
  lineageStatus(peer: PeerRecord, lineage: HeldLineage, signal?: AbortSignal): Promise<ServerState> {
    const name = lineageIdOf(lineage.key);
    const wire = { lineageId: toPrefixedHex(name) };
    return this.#state(peer, { ...lineage, name }, 'lineage-status', new Uint8Array(0), wire, signal);
  }

  /** `POST /lineage-update`: shows the mark, deposits a head, erases slots, or ends the lineage there. */
  lineageUpdate(
    peer: PeerRecord,
    lineage: HeldLineage,
    update: LineageUpdate,
    signal?: AbortSignal,
  ): Promise<ServerState> {
    const name = lineageIdOf(lineage.key);
    const wire = {
      lineageId: toPrefixedHex(name),
      ...incarnationToWire(update.incarnation),
      ...(update.head === undefined ? {} : { head: depositToWire(update.head) }),
      forget: update.forget.map(toPrefixedHex),
      ...(update.close === undefined
        ? {}
        : { close: { ...incarnationToWire(update.close.last), head: depositToWire(update.close.head) } }),
    };
    return this.#state(
      peer,
      { ...lineage, name },
      'lineage-update',
      lineageUpdateBytes(update),
      wire,
      signal,
    );
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
    content: Uint8Array,
    wire: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<ServerState> {
    const { slotId } = slot;
    const named = { ...slot, name: slotId };
    return this.#state(peer, named, route, content, { slotId: toPrefixedHex(slotId), ...wire }, signal);
  }

  async #state(
    peer: PeerRecord,
    named: NamedKey,
    route: MacRoute,
    content: Uint8Array,
    wire: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<ServerState> {
    const { envelope, mac } = this.#authenticate(peer, named, route, content);
    const body = { ...envelope, ...wire };
    const answer = decodeServerState(await this.#sendStamped(peer, `/${route}`, body, signal));
    const expected = responseMac(named.key, route, mac, serverStateBytes(answer.state));
    if (!macMatches(answer.mac, expected)) throw impostor();
    this.#clocks.note(peer.account, answer.state.serverTimeMs);
    named.observer.observe(answer.state.lineage);
    this.#listener(peer, answer.state.extensions);
    return answer.state;
  }

  /** Sends a request that carries a time, and notes when the server refuses that time. */
  async #sendStamped(
    peer: PeerRecord,
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    try {
      return await this.#exchange.send(peer, path, body, signal);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === 'refused' && failure.code === 'TIMESTAMP_STALE') {
        this.#clocks.refused(peer.account);
      }
      throw error;
    }
  }

  #authenticate(peer: PeerRecord, { account, name, key }: NamedKey, route: MacRoute, content: Uint8Array) {
    const envelope: MacEnvelope = {
      server: peer.account,
      account,
      name,
      timestampMs: this.#clocks.nowMs(peer.account),
      random: this.#random(16),
    };
    const mac = requestMac(key, route, envelope, content);
    const wire = {
      accountId: encodeSs58(account),
      timestampMs: envelope.timestampMs,
      random: toPrefixedHex(envelope.random),
      mac: toPrefixedHex(mac),
    };
    return { envelope: wire, mac };
  }

  #requireServer(peer: PeerRecord, server: string): void {
    if (equalBytes(AccountId.parse(server, 'server'), peer.account)) return;
    throw new PeerError({ kind: 'impostor', detail: `answers as ${server.slice(0, 60)}` });
  }
}

/** A key, and the slot or lineage that it proves. */
interface NamedKey extends HeldLineage {
  readonly name: SlotId | LineageId;
}

const impostor = (): PeerError =>
  new PeerError({ kind: 'impostor', detail: 'answer does not prove that the server holds the key' });
