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
import type { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { type X25519KeyPair, x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openAuth } from '../../src/hpke/hpke.ts';
import type { MacRoute } from '../../src/protocol/labels.ts';
import {
  claimBytes,
  decodeSlotState,
  headToWire,
  type Incarnation,
  type KeyStatus,
  keyStatusBytes,
  requestMac,
  responseMac,
  type SlotState,
  slotStateBytes,
} from '../../src/protocol/mac-routes.ts';
import { recoveryProof } from '../../src/protocol/recovery-proof.ts';
import { type Intent, PLAIN_SLOT_ID, requestReportData } from '../../src/protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
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
    slot: { readonly slotId: SlotId; readonly key: SecretBytes },
    content: { readonly bytes: Uint8Array; readonly wire: Readonly<Record<string, unknown>> },
    changes: Readonly<Record<string, unknown>> = {},
    timestampMs = this.world.clock.nowMs(),
  ): { readonly mac: Mac; readonly reply: Promise<Reply> } {
    const { account } = this;
    const random = draw(16);
    const envelope = { server: this.world.account, account, slotId: slot.slotId, timestampMs, random };
    const mac = requestMac(slot.key, route, envelope, content.bytes);
    const body = {
      accountId: encodeSs58(account),
      slotId: toPrefixedHex(slot.slotId),
      timestampMs,
      random: toPrefixedHex(random),
      ...content.wire,
      mac: toPrefixedHex(mac),
      ...changes,
    };
    return { mac, reply: this.world.send('POST', `/${route}`, body) };
  }

  /** `POST /key-status`, its answer's MAC checked. */
  async keyStatus(
    slot: { slotId: SlotId; key: SecretBytes },
    status: Partial<KeyStatus> = {},
  ): Promise<SlotState> {
    const { mac, reply } = this.sendMac('key-status', slot, keyStatusContent(status));
    return provedState(slot.key, 'key-status', mac, await reply);
  }

  /** `POST /claim`, its answer's MAC checked. */
  async claim(slot: { slotId: SlotId; key: SecretBytes }, incarnation: Incarnation): Promise<SlotState> {
    const { mac, reply } = this.sendMac('claim', slot, claimContent(incarnation));
    return provedState(slot.key, 'claim', mac, await reply);
  }
}

/** Bytes and JSON of a key status; by default with an unused boot id and without a head. */
export function keyStatusContent(status: Partial<KeyStatus>) {
  const full: KeyStatus = {
    confirm: false,
    incarnation: NOBODY,
    head: undefined,
    report: undefined,
    ...status,
  };
  const wire = {
    confirm: full.confirm,
    incarnation: full.incarnation.number,
    bootId: toPrefixedHex(full.incarnation.bootId),
    ...(full.head === undefined ? {} : { head: headToWire(full.head) }),
    ...(full.report === undefined ? {} : { report: full.report }),
  };
  return { bytes: keyStatusBytes(full), wire };
}

/** Bytes and JSON of a claim. */
export const claimContent = (incarnation: Incarnation) => ({
  bytes: claimBytes(incarnation),
  wire: { incarnation: incarnation.number, bootId: toPrefixedHex(incarnation.bootId) },
});

/** The incarnation before the first claim. */
export const NOBODY: Incarnation = { number: 0, bootId: new Uint8Array(16) };

function provedState(key: SecretBytes, route: MacRoute, request: Mac, reply: Reply): SlotState {
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
  const { state, mac } = decodeSlotState(reply.json);
  const expected = responseMac(key, route, request, slotStateBytes(state));
  if (toPrefixedHex(mac) !== toPrefixedHex(expected)) throw new Error('the MAC of the answer is wrong');
  return state;
}

function quotePart({ platform, version, body, facts }: Wish) {
  return {
    ...(platform === undefined ? {} : { platform }),
    ...(version === undefined ? {} : { version }),
    ...(body === undefined ? {} : { body }),
    ...(facts === undefined ? {} : { facts }),
  };
}
