import type { QuoteRequest } from '../../mock-tdx/development-pki.ts';
import type { TdBody } from '../../mock-tdx/quote/td-body.ts';
import { parseBase64, toBase64 } from '../../src/bytes/base64.ts';
import {
  AccountId,
  InstanceId,
  type Mac,
  Nonce,
  type ReportData,
  SlotId,
  X25519PublicKey,
} from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { type X25519KeyPair, x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openAuth } from '../../src/hpke/hpke.ts';
import { type Incarnation, NO_INCARNATION, type Reservation } from '../../src/lineage/incarnation.ts';
import { lineageIdOf, sealLineageKey } from '../../src/lineage/lineage-key.ts';
import type { LineageRoute, MacRoute, SlotRoute } from '../../src/protocol/labels.ts';
import type { LineageUpdate } from '../../src/protocol/lineage-messages.ts';
import { responseMac } from '../../src/protocol/mac.ts';
import {
  bootContent,
  keyStatusContent as fullStatusContent,
  lineageUpdateContent as fullUpdateContent,
  type MacContent,
  type MacMessage,
  macMessage,
  NO_CONTENT,
  reserveContent,
} from '../../src/protocol/mac-message.ts';
import { recoveryProof } from '../../src/protocol/recovery-proof.ts';
import { type Intent, PLAIN_SLOT_ID, requestReportData } from '../../src/protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
import {
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  type KeyStatus,
  type ServerState,
  serverStateBytes,
} from '../../src/protocol/slot-messages.ts';
import { countingRandom, type KeyServerWorld, type Reply } from './key-server-fixture.ts';
import { seededBytes } from './seeded-bytes.ts';

/** How a request is made; each field makes one difference. */
export interface Wish {
  readonly intent?: Intent;
  readonly slotId?: SlotId;
  /** The recovery token to prove. */
  readonly token?: SecretBytes | undefined;
  readonly platform?: number;
  readonly version?: 4 | 5;
  /** Changes to the TD that is quoted. */
  readonly body?: Partial<TdBody>;
  readonly facts?: QuoteRequest['facts'];
  /** The challenge to use, instead of a new one of this server. */
  readonly nonce?: Nonce;
}

/** A request, ready to be sent and to be spoiled. */
export interface Attempt {
  readonly body: Readonly<Record<string, unknown>>;
  readonly reportData: ReportData;
  readonly ephemeral: X25519KeyPair;
  readonly account: AccountId;
}

export { bootContent as claimContent, NO_CONTENT, reserveContent };

const draw = countingRandom(77);

/** A random slot id. */
export const newSlotId = (): SlotId => SlotId.of(draw(16));

/** An account that repeats with its number. */
export const clientAccount = (number: number): AccountId => AccountId.of(seededBytes(number + 5000, 32));

/** One node's side of the protocol against one server in this process. */
export class ProtocolClient {
  readonly world: KeyServerWorld;
  readonly account: AccountId;

  constructor(world: KeyServerWorld, account: AccountId = clientAccount(1)) {
    this.world = world;
    this.account = account;
  }

  /** Asks for a challenge. */
  async challenge(ephemeralPublicKey: Uint8Array, account = this.account): Promise<Nonce> {
    const { json } = await this.world.send('POST', '/challenge', {
      accountId: encodeSs58(account),
      ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
    });
    return Nonce.parse(String(json['nonce']), 'nonce');
  }

  /** Makes a request that a server would grant. */
  async prepare(wish: Wish = {}): Promise<Attempt> {
    const { intent = 'get-or-create', slotId = PLAIN_SLOT_ID } = wish;
    const ephemeral = x25519KeyPairFromSecret(draw(32));
    const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
    const nonce = wish.nonce ?? (await this.challenge(ephemeralPublicKey));
    const servers = [{ server: this.world.account, nonce, slotId }];
    const reportData = requestReportData({ account: this.account, ephemeralPublicKey, intent, servers });
    const quote = this.world.quote({ reportData, ...quotePart(wish) });
    const body = {
      accountId: encodeSs58(this.account),
      ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
      intent,
      servers: [
        {
          server: encodeSs58(this.world.account),
          nonce: toPrefixedHex(nonce),
          slotId: toPrefixedHex(slotId),
        },
      ],
      ...(wish.token === undefined
        ? {}
        : { recoveryProof: toPrefixedHex(recoveryProof(wish.token, reportData)) }),
      quote: toBase64(quote),
    };
    return { body, reportData, ephemeral, account: this.account };
  }

  /** Sends a prepared request. */
  submit(attempt: Attempt): Promise<Reply> {
    return this.world.send('POST', '/request-encryption-key', attempt.body);
  }

  /** Opens an answer under the server's registered key. @throws Error when it does not open. */
  open(attempt: Attempt, { json }: Reply): KeyGrant {
    const plaintext = openAuth({
      recipientKeyPair: attempt.ephemeral,
      senderPublicKey: this.world.keyServer.identity.x25519PublicKey,
      enc: parsePrefixedHex(String(json['enc']), 32, 'enc'),
      info: sealedKeyInfo(this.world.account, attempt.account),
      aad: sealedKeyAad(attempt.reportData, InstanceId.parse(String(json['instanceId']), 'instanceId')),
      ciphertext: parseBase64(String(json['ciphertext']), 'ciphertext'),
    });
    if (plaintext === undefined) throw new Error(`does not open: ${JSON.stringify(json)}`);
    return decodeKeyGrant(plaintext);
  }

  /** The whole way to a key. */
  async obtain(wish: Wish = {}): Promise<KeyGrant> {
    const attempt = await this.prepare(wish);
    return this.open(attempt, await this.submit(attempt));
  }

  /** Sends a request of one of the MAC routes; `changes` spoils the body after the MAC was made. */
  sendMac(
    route: MacRoute,
    holder: SlotHolder | LineageHolder,
    content: MacContent,
    changes: Readonly<Record<string, unknown>> = {},
    timestampMs = this.world.clock.nowMs(),
  ): MacMessage & { readonly reply: Promise<Reply> } {
    const { mac, body } = this.prepareMac(route, holder, content, timestampMs);
    return { mac, body, reply: this.world.send('POST', `/${route}`, { ...body, ...changes }) };
  }

  /** Makes a request of one of the MAC routes. */
  prepareMac(
    route: MacRoute,
    holder: SlotHolder | LineageHolder,
    content: MacContent,
    timestampMs = this.world.clock.nowMs(),
  ): MacMessage {
    const { account } = this;
    const random = draw(16);
    const isSlot = 'slotId' in holder;
    const name = isSlot ? holder.slotId : lineageIdOf(holder.lineageKey);
    const key = isSlot ? holder.key : holder.lineageKey;
    const envelope = { server: this.world.account, account, name, timestampMs, random };
    return macMessage(key, route, envelope, content);
  }

  /** `POST /key-status`, its answer's MAC checked. */
  async keyStatus(slot: SlotHolder, status: Partial<KeyStatus> = {}): Promise<ServerState> {
    return this.#stateOf('key-status', slot, keyStatusContent(status));
  }

  /** `POST /key-status` with a lineage key, sealed for the slot. */
  async link(
    slot: SlotHolder,
    lineageKey: SecretBytes,
    status: Partial<KeyStatus> = {},
  ): Promise<ServerState> {
    return this.keyStatus(slot, { lineage: this.sealed(slot, lineageKey), ...status });
  }

  /** A new slot of a lineage: created, linked and confirmed. */
  async obtainLinked(lineageKey: SecretBytes = lineageKeyNumber(1), wish: Wish = {}): Promise<LinkedHolder> {
    const { slotId = newSlotId() } = wish;
    const { key, recoveryToken: token } = await this.obtain({ ...wish, intent: 'create', slotId });
    await this.link({ slotId, key }, lineageKey, { confirm: true });
    return { slotId, key, token };
  }

  /** A lineage key, sealed under the server key of a slot. */
  sealed({ slotId, key }: SlotHolder, lineageKey: SecretBytes): Uint8Array {
    const { world, account } = this;
    return sealLineageKey(key, { server: world.account, account, slotId }, lineageKey, draw);
  }

  /** `POST /reserve`, its answer's MAC checked. */
  async reserve(slot: SlotHolder, wish: Reservation): Promise<ServerState> {
    return this.#stateOf('reserve', slot, reserveContent(wish));
  }

  /** `POST /claim`, its answer's MAC checked. */
  async claim(slot: SlotHolder, incarnation: Incarnation): Promise<ServerState> {
    return this.#stateOf('claim', slot, bootContent(incarnation));
  }

  /** `POST /forget`, its answer's MAC checked. */
  async forget(slot: SlotHolder, incarnation: Incarnation = NO_INCARNATION): Promise<Forgotten> {
    const { mac, reply } = this.sendMac('forget', slot, bootContent(incarnation));
    const { status, json, text } = await reply;
    if (status !== 200) throw new Error(`${status} ${text}`);
    const answer = decodeForgotten(json);
    requireMac(answer.mac, responseMac(slot.key, 'forget', mac, forgottenBytes(answer.forgotten)));
    return answer.forgotten;
  }

  /** `POST /lineage-status`, its answer's MAC checked. */
  async lineageStatus(lineageKey: SecretBytes): Promise<ServerState> {
    return this.#stateOf('lineage-status', { lineageKey }, NO_CONTENT);
  }

  /** `POST /lineage-update`, its answer's MAC checked. */
  async lineageUpdate(lineageKey: SecretBytes, update: Partial<LineageUpdate>): Promise<ServerState> {
    return this.#stateOf('lineage-update', { lineageKey }, lineageUpdateContent(update));
  }

  async #stateOf(route: SlotRoute, slot: SlotHolder, content: MacContent): Promise<ServerState>;
  async #stateOf(route: LineageRoute, lineage: LineageHolder, content: MacContent): Promise<ServerState>;
  async #stateOf(route: MacRoute, holder: SlotHolder | LineageHolder, content: MacContent) {
    const { mac, reply } = this.sendMac(route, holder, content);
    const { status, json, text } = await reply;
    if (status !== 200) throw new Error(`${status} ${text}`);
    const answer = decodeServerState(json);
    const key = 'slotId' in holder ? holder.key : holder.lineageKey;
    requireMac(answer.mac, responseMac(key, route, mac, serverStateBytes(answer.state)));
    return answer.state;
  }
}

/** Who holds the server key of a slot. */
export interface SlotHolder {
  readonly slotId: SlotId;
  readonly key: SecretBytes;
}

/** Who holds everything of a slot. */
export interface LinkedHolder extends SlotHolder {
  readonly token: SecretBytes | undefined;
}

/** Who knows the lineage key of a server. */
export interface LineageHolder {
  readonly lineageKey: SecretBytes;
}

/** A lineage key that repeats with its number. */
export const lineageKeyNumber = (number: number): SecretBytes =>
  SecretBytes.adopt(seededBytes(number + 9000, 32));

/** The content of a key status; by default with an unused boot id and without a head. */
export const keyStatusContent = (status: Partial<KeyStatus>): MacContent =>
  fullStatusContent({
    confirm: false,
    lineage: undefined,
    incarnation: NO_INCARNATION,
    head: undefined,
    report: undefined,
    ...status,
  });

/** The content of an update of a lineage; by default it changes nothing. */
export const lineageUpdateContent = (update: Partial<LineageUpdate>): MacContent =>
  fullUpdateContent({
    incarnation: NO_INCARNATION,
    head: undefined,
    forget: [],
    close: undefined,
    ...update,
  });

function requireMac(observed: Uint8Array, expected: Mac): void {
  if (toPrefixedHex(observed) !== toPrefixedHex(expected)) throw new Error('the MAC of the answer is wrong');
}

function quotePart({ platform, version, body, facts }: Wish) {
  return {
    ...(platform === undefined ? {} : { platform }),
    ...(version === undefined ? {} : { version }),
    ...(body === undefined ? {} : { body }),
    ...(facts === undefined ? {} : { facts }),
  };
}
