import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { equalBytes } from '../bytes/concat.ts';
import {
  AccountId,
  InstanceId,
  Nonce,
  type ReportData,
  SlotId,
  X25519PublicKey,
} from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { RandomSource } from '../crypto/random.ts';
import { generateX25519KeyPair, type X25519KeyPair } from '../crypto/x25519.ts';
import { openAuth } from '../hpke/hpke.ts';
import { lineageIdOf } from '../lineage/lineage-key.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import { challengeAnswer, keyAnswer, parseWire } from '../protocol/decode.ts';
import type { MacRoute } from '../protocol/labels.ts';
import { type MacContent, type MacMessage, macMessage } from '../protocol/mac-message.ts';
import { recoveryProof } from '../protocol/recovery-proof.ts';
import { type Intent, PLAIN_SLOT_ID, requestReportData } from '../protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../protocol/sealed-key.ts';
import { requireRule, Violation } from './check.ts';

/** A server that is tried, and how it is reached. */
export interface ForeignServerOptions {
  /** Base address, without a slash at the end. */
  readonly url: string;
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  readonly fetch: Fetch;
  /** Makes a TDX quote that the server takes for genuine. */
  readonly quote: (request: QuoteWish) => Promise<Uint8Array>;
  readonly random: RandomSource;
  readonly nowMs: () => number;
}

/** Which quote is wanted. */
export interface QuoteWish {
  readonly reportData: ReportData;
  /** A TD with readable memory; no server may accept it. */
  readonly isDebug?: boolean;
}

/** An answer, with its body as far as it is JSON. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** How a key request is made; each field makes one difference from a good one. */
export interface KeyWish {
  readonly intent?: Intent;
  readonly slotId?: SlotId;
  readonly token?: SecretBytes | undefined;
  readonly isDebug?: boolean;
  readonly nonce?: Nonce;
  /** The account to which the request is addressed, instead of that of the server. */
  readonly addressed?: AccountId;
}

/** A request that is ready to be sent. */
export interface PreparedRequest {
  readonly body: Readonly<Record<string, unknown>>;
  readonly reportData: ReportData;
  readonly ephemeral: X25519KeyPair;
}

/** Who proves that it holds a key: that of a slot, or of a lineage. */
export type KeyHolder =
  | { readonly slotId: SlotId; readonly key: SecretBytes }
  | { readonly lineageKey: SecretBytes };

const MAX_ANSWER_BYTES = 1024 * 1024;
const TIMEOUT_MS = 20_000;

/** A client of the protocol that says exactly what it is told to say, with an account of its own. */
export class ForeignServer {
  readonly account: AccountId;
  readonly options: ForeignServerOptions;

  constructor(options: ForeignServerOptions) {
    this.options = options;
    this.account = AccountId.of(options.random(32));
  }

  get server(): AccountId {
    return this.options.account;
  }

  newSlotId(): SlotId {
    return SlotId.of(this.options.random(SlotId.byteLength));
  }

  /** @throws Violation when the server does not answer at all. */
  async send(
    method: 'GET' | 'POST',
    path: string,
    body?: string | object,
    contentType = 'application/json',
  ): Promise<Answer> {
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    const request = {
      url: `${this.options.url}${path}`,
      method,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
    };
    const withBody = text === undefined ? {} : { body: text, headers: { 'content-type': contentType } };
    const answer = await boundedFetch(this.options.fetch, { ...request, ...withBody });
    if (!answer.ok) throw new Violation(`${method} ${path}: no answer (${answer.reason})`);
    const said = new TextDecoder().decode(answer.body);
    const type = answer.headers.get('content-type') ?? '';
    return { status: answer.status, contentType: type, text: said, json: objectOf(said) };
  }

  /** The body of `POST /challenge`. */
  challengeBody(ephemeral: X25519KeyPair): Readonly<Record<string, unknown>> {
    return {
      accountId: encodeSs58(this.account),
      ephemeralPublicKey: toPrefixedHex(ephemeral.publicKey),
    };
  }

  /** Asks for a challenge and checks the answer's form. */
  async challenge(ephemeral: X25519KeyPair): Promise<Nonce> {
    const answer = await this.send('POST', '/challenge', this.challengeBody(ephemeral));
    requireRule(
      answer.status === 200,
      `POST /challenge answers ${answer.status}, not 200: ${answer.text.slice(0, 200)}`,
    );
    return Nonce.parse(parseWire(challengeAnswer, answer.json, 'challenge').nonce, 'nonce');
  }

  /** Makes a request with a quote of its own. */
  async prepare(wish: KeyWish = {}): Promise<PreparedRequest> {
    const { intent = 'get-or-create', slotId = PLAIN_SLOT_ID, token, isDebug = false } = wish;
    const ephemeral = generateX25519KeyPair();
    const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
    const nonce = wish.nonce ?? (await this.challenge(ephemeral));
    const server = wish.addressed ?? this.server;
    const servers = [{ server, nonce, slotId }];
    const reportData = requestReportData({ account: this.account, ephemeralPublicKey, intent, servers });
    const quote = await this.options.quote({ reportData, isDebug });
    const body = {
      ...this.challengeBody(ephemeral),
      intent,
      servers: [{ server: encodeSs58(server), nonce: toPrefixedHex(nonce), slotId: toPrefixedHex(slotId) }],
      ...(token === undefined ? {} : { recoveryProof: toPrefixedHex(recoveryProof(token, reportData)) }),
      quote: toBase64(quote),
    };
    return { body, reportData, ephemeral };
  }

  /** Sends a prepared request, with changes to its body. */
  submit(request: PreparedRequest, changes: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    return this.send('POST', '/request-encryption-key', { ...request.body, ...changes });
  }

  /** Opens an answer under the server's known key. @throws Violation. */
  open({ ephemeral, reportData }: PreparedRequest, answer: Answer): KeyGrant {
    requireRule(
      answer.status === 200,
      `a good key request gets ${answer.status}: ${answer.text.slice(0, 200)}`,
    );
    const sealed = parseWire(keyAnswer, answer.json, 'answer');
    const named = AccountId.parse(sealed.server, 'server');
    requireRule(equalBytes(named, this.server), 'the answer names another server');
    const plaintext = openAuth({
      recipientKeyPair: ephemeral,
      senderPublicKey: this.options.x25519PublicKey,
      enc: parsePrefixedHex(sealed.enc, 32, 'enc'),
      info: sealedKeyInfo(this.server, this.account),
      aad: sealedKeyAad(reportData, InstanceId.parse(sealed.instanceId, 'instanceId')),
      ciphertext: parseBase64(sealed.ciphertext, 'ciphertext'),
    });
    requireRule(plaintext !== undefined, 'the answer does not open: HPKE key, info, aad or mode differ');
    return decodeKeyGrant(plaintext);
  }

  /** The whole way to a key. */
  async obtain(wish: KeyWish = {}): Promise<KeyGrant> {
    const request = await this.prepare(wish);
    return this.open(request, await this.submit(request));
  }

  /** A request of a route with a MAC. */
  macBody(
    route: MacRoute,
    holder: KeyHolder,
    content: MacContent,
    timestampMs = this.options.nowMs(),
  ): MacMessage {
    const isSlot = 'slotId' in holder;
    const name = isSlot ? holder.slotId : lineageIdOf(holder.lineageKey);
    const key = isSlot ? holder.key : holder.lineageKey;
    const random = this.options.random(16);
    const envelope = { server: this.server, account: this.account, name, timestampMs, random };
    return macMessage(key, route, envelope, content);
  }
}

/** The fields of a JSON object; none when the text is something else. */
export function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    // Only single fields are read of it, each checked.
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
