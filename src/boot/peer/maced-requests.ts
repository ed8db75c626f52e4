import type { RandomSource } from '../../crypto/random.ts';
import type { MacRoute } from '../../protocol/labels.ts';
import { type MacEnvelope, macMatches, responseMac } from '../../protocol/mac.ts';
import { type MacContent, macMessage } from '../../protocol/mac-message.ts';
import {
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  type ServerState,
  serverStateBytes,
} from '../../protocol/slot-messages.ts';
import type { ExtensionListeners } from './extension-listeners.ts';
import type { NamedKey, PeerRecord } from './held-keys.ts';
import type { PeerExchange } from './peer-exchange.ts';
import { failureOf, PeerError } from './peer-failure.ts';
import type { ServerClocks } from './server-clocks.ts';

/** What is asked under a key. */
export interface MacedQuestion {
  readonly route: MacRoute;
  readonly content: MacContent;
}

/** An answer with a MAC that is not checked yet. */
interface Unproved {
  readonly body: unknown;
  /** @throws PeerError when the MAC does not prove these bytes. */
  readonly requireProof: (mac: Uint8Array, bytes: Uint8Array) => void;
}

/** Requests without a quote: both sides prove by a MAC that they hold the key of a slot or of a lineage. */
export class MacedRequests {
  readonly #exchange: PeerExchange;
  readonly #clocks: ServerClocks;
  readonly #random: RandomSource;
  readonly #listeners: ExtensionListeners;

  constructor(
    exchange: PeerExchange,
    clocks: ServerClocks,
    random: RandomSource,
    listeners: ExtensionListeners,
  ) {
    this.#listeners = listeners;
    this.#exchange = exchange;
    this.#clocks = clocks;
    this.#random = random;
  }

  /** Asks for the state of the server. @throws PeerError when it is refused, or does not prove the key. */
  async state(
    peer: PeerRecord,
    named: NamedKey,
    question: MacedQuestion,
    signal: AbortSignal | undefined,
  ): Promise<ServerState> {
    const { body, requireProof } = await this.#ask(peer, named, question, signal);
    const { state, mac } = decodeServerState(body);
    requireProof(mac, serverStateBytes(state));
    this.#clocks.note(peer.account, state.serverTimeMs);
    named.observer.observe(state.lineage);
    this.#listeners.tell(peer, state.extensions);
    return state;
  }

  /** Asks to erase a key. @throws PeerError when it is refused, or does not prove the key. */
  async forgotten(
    peer: PeerRecord,
    named: NamedKey,
    question: MacedQuestion,
    signal: AbortSignal | undefined,
  ): Promise<Forgotten> {
    const { body, requireProof } = await this.#ask(peer, named, question, signal);
    const { forgotten, mac } = decodeForgotten(body);
    requireProof(mac, forgottenBytes(forgotten));
    named.observer.observe(forgotten.lineage);
    this.#listeners.tell(peer, forgotten.extensions);
    return forgotten;
  }

  async #ask(
    peer: PeerRecord,
    named: NamedKey,
    { route, content }: MacedQuestion,
    signal: AbortSignal | undefined,
  ): Promise<Unproved> {
    const envelope: MacEnvelope = {
      server: peer.account,
      account: named.account,
      name: named.name,
      timestampMs: this.#clocks.nowMs(peer.account),
      random: this.#random(16),
    };
    const sent = macMessage(named.key, route, envelope, content);
    const body = await this.#exchange.send(peer, `/${route}`, sent.body, signal).catch((error: unknown) => {
      this.#noteRefusedTime(peer, error);
      throw error;
    });
    const requireProof: Unproved['requireProof'] = (mac, bytes) => {
      if (!macMatches(mac, responseMac(named.key, route, sent.mac, bytes))) throw impostor();
    };
    return { body, requireProof };
  }

  #noteRefusedTime({ account }: PeerRecord, error: unknown): void {
    const failure = failureOf(error);
    if (failure.kind === 'refused' && failure.code === 'TIMESTAMP_STALE') this.#clocks.refused(account);
  }
}

const impostor = (): PeerError =>
  new PeerError({ kind: 'impostor', detail: 'answer does not prove that the server holds the key' });
