import { toBase64 } from '../../bytes/base64.ts';
import { equalBytes } from '../../bytes/concat.ts';
import { AccountId, BlockHash, InstanceId, ReportData, X25519PublicKey } from '../../bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { generateX25519KeyPair, type X25519KeyPair } from '../../crypto/x25519.ts';
import { EvidenceError, RefusalError } from '../../errors/latchkey-error.ts';
import { sealAuth } from '../../hpke/hpke.ts';
import { attestationToWire } from '../../protocol/attestation.ts';
import { ChallengeIssuer } from '../../protocol/challenge.ts';
import { decodeChallengeRequest, decodeKeyRequest, type KeyRequest } from '../../protocol/decode.ts';
import { provesRecovery } from '../../protocol/recovery-proof.ts';
import {
  type AddressedServer,
  attestationReportData,
  type BlockReference,
  isPlainSlotId,
  requestReportData,
} from '../../protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../../protocol/sealed-key.ts';
import { parseQuote } from '../../tdx/verify-quote.ts';
import { objectOf, type QuoteWish } from '../foreign-server.ts';
import type { Fault, Json, SeenRequest } from './fault.ts';
import { KeyMemory, type ScriptedSlot, stateOf } from './key-memory.ts';
import { Observed } from './observed.ts';
import { answerMacRoute } from './scripted-mac-routes.ts';

/** What a scripted server needs of its surroundings. */
export interface ScriptedServerOptions {
  readonly random: RandomSource;
  readonly nowMs: () => number;
  /** Makes quotes, also those of debug TDs. */
  readonly quote: (wish: QuoteWish) => Promise<Uint8Array>;
  /** Whether Intel's rules, under the development root, accept a quote. */
  readonly isGenuine: (quote: Uint8Array) => Promise<boolean>;
  readonly finalized: BlockReference;
  /** The lineage secret that the client was given. */
  readonly lineageSecret: SecretBytes;
  readonly fault?: Fault;
  /** How long its challenges live; default 60,000. */
  readonly challengeTtlMs?: number;
}

/**
 * A key server that notes what a client does wrong and answers nevertheless, so that each wrong is found by its own rule;
 * and that can do wrong itself.
 */
export class ScriptedServer {
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  readonly instanceId: InstanceId;
  readonly options: ScriptedServerOptions;
  readonly observed = new Observed();
  readonly memory: KeyMemory;
  readonly requests: SeenRequest[] = [];
  /** Whether the client has got what an honest server does not give. */
  hasErred = false;
  /** `random` of requests with a MAC, hex. */
  readonly usedRandom = new Set<string>();
  readonly #x25519: X25519KeyPair;
  readonly #challenges: ChallengeIssuer;
  readonly #ephemeralKeys = new Set<string>();
  readonly #former = new Map<string, Json[]>();

  constructor(options: ScriptedServerOptions) {
    const { random, challengeTtlMs } = options;
    this.options = options;
    this.account = AccountId.of(random(32));
    this.#x25519 = generateX25519KeyPair();
    this.x25519PublicKey = X25519PublicKey.of(this.#x25519.publicKey);
    this.instanceId = InstanceId.of(random(16));
    const life = challengeTtlMs === undefined ? {} : { ttlMs: challengeTtlMs };
    this.#challenges = new ChallengeIssuer({ random, ...life });
    this.memory = new KeyMemory(random);
  }

  /** Answers one request. @throws LatchkeyError where an honest server refuses. */
  async answer(request: SeenRequest): Promise<Json> {
    const { path } = request;
    const { answer: change } = this.options.fault ?? {};
    const honest = await this.#route(request);
    const former = this.#former.get(path) ?? [];
    this.#former.set(path, [...former, honest]);
    const answer = change === undefined ? honest : change(path, honest, former);
    this.hasErred ||= answer !== honest;
    return answer;
  }

  async #route({ method, path, json, contentType }: SeenRequest): Promise<Json> {
    if (path === '/attestation') return this.#attestation();
    const isJson = method === 'POST' && contentType.startsWith('application/json');
    this.observed.demand('request-form', isJson, `${method} ${path} has the media type "${contentType}"`);
    if (path === '/challenge') return this.#challenge(json);
    if (path === '/request-encryption-key') return this.#grant(json);
    return answerMacRoute(this, path, json);
  }

  #challenge(json: Json): Json {
    const { account, ephemeralPublicKey } = this.decoded('/challenge', () => decodeChallengeRequest(json));
    const { nonce, expiresAtMs } = this.#challenges.issue(account, ephemeralPublicKey, this.options.nowMs());
    return {
      server: encodeSs58(this.account),
      nonce: toPrefixedHex(nonce),
      expiresAtMs,
      instanceId: toPrefixedHex(this.instanceId),
    };
  }

  async #grant(json: Json): Promise<Json> {
    const { observed } = this;
    const request = this.decoded('/request-encryption-key', () => decodeKeyRequest(json));
    const own = request.servers.find(({ server }) => equalBytes(server, this.account));
    if (own === undefined) throw new EvidenceError('SERVER_NOT_ADDRESSED', 'the request names other servers');
    this.#observeHandshake(request, own);
    const genuine = await this.options.isGenuine(request.quote);
    observed.demand('quote-genuine', genuine, 'the quote of a key request does not verify');
    const { slot, created } = this.#slotFor(request, own);
    return this.#sealed(request, slot, created);
  }

  #observeHandshake(request: KeyRequest, own: AddressedServer): void {
    const { account, ephemeralPublicKey, intent, servers } = request;
    let isIssued = true;
    try {
      this.#challenges.check(own.nonce, account, ephemeralPublicKey, this.options.nowMs());
    } catch (error) {
      if (error instanceof EvidenceError && error.code === 'CHALLENGE_EXPIRED') throw error;
      isIssued = false;
    }
    this.observed.demand(
      'challenge-bound',
      isIssued,
      'a key request carries another challenge than the one for its account and ephemeral key',
    );
    const expected = requestReportData({ account, ephemeralPublicKey, intent, servers });
    this.observed.demand(
      'report-data',
      equalBytes(parseQuote(request.quote).body.reportData, expected),
      'the quote does not bind account, ephemeral key, intent, servers, challenges and slot ids',
    );
    const name = toHex(ephemeralPublicKey);
    this.observed.demand(
      'ephemeral-key-fresh',
      !this.#ephemeralKeys.has(name),
      'two key requests have the same ephemeral key',
    );
    this.#ephemeralKeys.add(name);
  }

  #slotFor(request: KeyRequest, { slotId }: AddressedServer): { slot: ScriptedSlot; created: boolean } {
    const { account, intent, recoveryProof, quote } = request;
    const known = this.memory.slot(account, slotId);
    if (intent === 'create') {
      const isFresh = known === undefined && !isPlainSlotId(slotId);
      this.observed.demand('slot-id-fresh', isFresh, 'create needs a new slot id that is not zero');
    }
    if (known === undefined) {
      if (intent === 'recover') throw new EvidenceError('KEY_UNKNOWN', 'there is no such key');
      return { slot: this.memory.create(account, slotId, this.options.nowMs()), created: true };
    }
    if (intent === 'recover') {
      const reportData = ReportData.of(parseQuote(quote).body.reportData);
      const isProved = recoveryProof !== undefined && provesRecovery(recoveryProof, known.token, reportData);
      this.observed.demand('recovery-proof', isProved, 'recover has no proof, or a wrong one');
    }
    return { slot: known, created: false };
  }

  #sealed(request: KeyRequest, slot: ScriptedSlot, created: boolean): Json {
    const { fault = {}, finalized, nowMs } = this.options;
    const honest = encodeKeyGrant({
      key: slot.key,
      keyId: slot.keyId,
      created,
      createdAtMs: slot.madeAtMs,
      recoveryToken: request.intent === 'create' ? slot.token : undefined,
      serverTimeMs: nowMs(),
      finalized,
      lineage: stateOf(slot.lineage),
      extensions: new Map(),
    });
    const plaintext = fault.plaintext === undefined ? honest : respelled(honest, fault.plaintext);
    this.hasErred ||= fault.sealedBy !== undefined || !equalBytes(plaintext, honest);
    // What the client quoted, so that a client that quotes something else finds out by its own rule alone.
    const reportData = ReportData.of(parseQuote(request.quote).body.reportData);
    const { enc, ciphertext } = sealAuth({
      recipientPublicKey: request.ephemeralPublicKey,
      senderKeyPair: fault.sealedBy ?? this.#x25519,
      info: sealedKeyInfo(this.account, request.account),
      aad: sealedKeyAad(reportData, this.instanceId),
      plaintext,
    });
    return {
      server: encodeSs58(this.account),
      instanceId: toPrefixedHex(this.instanceId),
      enc: toPrefixedHex(enc),
      ciphertext: toBase64(ciphertext),
    };
  }

  async #attestation(): Promise<Json> {
    const { finalized, fault, quote } = this.options;
    this.hasErred ||= fault?.attestation !== undefined;
    const { blocksBehind = 0, isDebug = false, isForged = false, ...other } = fault?.attestation ?? {};
    const bound = {
      server: this.account,
      x25519PublicKey: this.x25519PublicKey,
      instanceId: this.instanceId,
      finalized: { number: finalized.number - blocksBehind, hash: BlockHash.of(finalized.hash) },
    };
    const quoted = {
      ...bound,
      server: AccountId.of(other.server ?? bound.server),
      x25519PublicKey: X25519PublicKey.of(other.x25519PublicKey ?? bound.x25519PublicKey),
    };
    const made = await quote({ reportData: attestationReportData(quoted), isDebug });
    // In the user data of the header, which nothing but the signature covers.
    if (isForged) made[30] = (made[30] ?? 0) ^ 1;
    return attestationToWire({ ...bound, quote: made });
  }

  /** Reads a body. A body that a server must refuse breaks the rule `request-form`. @throws LatchkeyError. */
  decoded<T>(path: string, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      const what = error instanceof Error ? error.message : 'not as documented';
      if (!(error instanceof RefusalError)) this.observed.demand('request-form', false, `${path}: ${what}`);
      throw error;
    }
  }
}

/** JSON text with its fields changed. */
function respelled(text: Uint8Array, change: (fields: Json) => Json): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(change(objectOf(new TextDecoder().decode(text)))));
}
