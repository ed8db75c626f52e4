import type { webcrypto } from 'node:crypto';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';

// A client of the protocol, written from docs/protocol.md alone: nothing of the project is imported here.

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});

/** What the chain says about a server. */
export interface KnownServer {
  readonly account: Uint8Array;
  readonly x25519PublicKey: Uint8Array;
}

/** A server that can be asked. */
export interface ReachableServer extends KnownServer {
  readonly url: string;
}

/** The fields of the sealed plaintext that this client uses. */
export interface SealedKey {
  readonly key: string;
  readonly keyId: string;
  readonly created: boolean;
  readonly recoveryToken?: string;
  readonly serverTimeMs: number;
  readonly incarnation: number;
  readonly bootId: string;
}

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'ascii'));
const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const toHex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.slice(2), 'hex'));
/** The HPKE library wants ArrayBuffers of exactly the content. */
const buffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
const u64 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(bytes);
};

/** Sends JSON; a problem becomes an Error, and its message starts with the code. */
export async function post(url: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const json = (await response.json()) as Readonly<Record<string, unknown>>;
  if (!response.ok) throw new Error(`${json['code']}: ${json['detail']}`);
  return json;
}

/** Opens an answer under "Opening the answer". */
export async function openSealedKey(input: {
  readonly answer: Readonly<Record<'instanceId' | 'enc' | 'ciphertext', string>>;
  readonly reportData: Uint8Array;
  readonly ephemeralSecret: Uint8Array;
  readonly server: KnownServer;
  readonly clientAccount: Uint8Array;
}): Promise<SealedKey> {
  const { answer, reportData, ephemeralSecret, server, clientAccount } = input;
  const importKey = (raw: Uint8Array, isPublic: boolean): Promise<webcrypto.CryptoKey> =>
    suite.kem.importKey('raw', buffer(raw), isPublic);
  const recipient = await suite.createRecipientContext({
    recipientKey: {
      privateKey: await importKey(ephemeralSecret, false),
      publicKey: await importKey(x25519.getPublicKey(ephemeralSecret), true),
    },
    senderPublicKey: await importKey(server.x25519PublicKey, true),
    enc: buffer(fromHex(answer.enc)),
    info: buffer(join(ascii('latchkey/v1/key'), server.account, clientAccount)),
  });
  const ciphertext = new Uint8Array(Buffer.from(answer.ciphertext, 'base64'));
  const aad = join(reportData, fromHex(answer.instanceId));
  const plaintext = await recipient.open(buffer(ciphertext), buffer(aad));
  // The server sealed it, so its shape is trusted; a wrong shape fails where a field is used.
  return JSON.parse(Buffer.from(plaintext).toString('utf8')) as SealedKey;
}

const intents = { 'get-or-create': 0, create: 1, recover: 2 } as const;

/** What to ask for. */
export interface KeyWish {
  readonly account: Uint8Array;
  readonly intent?: keyof typeof intents;
  readonly slotId?: Uint8Array;
  readonly recoveryToken?: Uint8Array;
}

/** The whole exchange with one server; quotes come from the quote provider of a development network. */
export async function obtainKey(
  server: ReachableServer,
  quoteProvider: string,
  { account, intent = 'get-or-create', slotId, recoveryToken }: KeyWish,
): Promise<SealedKey> {
  const ephemeralSecret = x25519.utils.randomSecretKey();
  const ephemeralPublicKey = x25519.getPublicKey(ephemeralSecret);
  const who = { accountId: toHex(account), ephemeralPublicKey: toHex(ephemeralPublicKey) };
  const challenge = await post(`${server.url}/challenge`, who);
  const nonce = String(challenge['nonce']);
  const entry = join(server.account, fromHex(nonce), slotId ?? new Uint8Array(16));
  const reportData = sha512(
    join(
      ascii('latchkey/v1/request'),
      account,
      ephemeralPublicKey,
      Uint8Array.of(intents[intent], 0, 1),
      entry,
    ),
  );
  const { quote } = await post(`${quoteProvider}/quote`, { reportData: toHex(reportData) });
  const proof = recoveryToken === undefined ? undefined : toHex(hmac(sha256, recoveryToken, reportData));
  const answer = await post(`${server.url}/request-encryption-key`, {
    ...who,
    intent,
    servers: [
      { server: toHex(server.account), nonce, ...(slotId === undefined ? {} : { slotId: toHex(slotId) }) },
    ],
    ...(proof === undefined ? {} : { recoveryProof: proof }),
    quote,
  });
  const { instanceId, enc, ciphertext } = answer as Readonly<
    Record<'instanceId' | 'enc' | 'ciphertext', string>
  >;
  const sealed = { instanceId, enc, ciphertext };
  return openSealedKey({ answer: sealed, reportData, ephemeralSecret, server, clientAccount: account });
}

/** A key that this client holds. */
export interface HeldKey {
  readonly account: Uint8Array;
  readonly slotId: Uint8Array;
  readonly key: Uint8Array;
}

/** Sends one of the requests that the key itself authenticates, and checks the answer's MAC. */
async function ask(
  server: ReachableServer,
  { account, slotId, key }: HeldKey,
  route: string,
  content: Uint8Array,
  fields: Readonly<Record<string, unknown>>,
  answerContent: (answer: Readonly<Record<string, unknown>>) => Uint8Array,
): Promise<Readonly<Record<string, unknown>>> {
  const macKey = (direction: string) =>
    hkdf(sha256, key, new Uint8Array(0), ascii(`latchkey/v1/${route}/${direction}`), 32);
  const timestampMs = Date.now();
  const random = crypto.getRandomValues(new Uint8Array(16));
  const envelope = join(server.account, account, slotId, u64(timestampMs), random);
  const mac = hmac(sha256, macKey('request'), join(envelope, content));
  const answer = await post(`${server.url}/${route}`, {
    ...{ accountId: toHex(account), slotId: toHex(slotId), timestampMs, random: toHex(random) },
    ...fields,
    mac: toHex(mac),
  });
  const expected = toHex(hmac(sha256, macKey('response'), join(mac, answerContent(answer))));
  if (answer['mac'] !== expected) throw new Error(`${route}: the answer does not prove the key`);
  return answer;
}

function stateContent(answer: Readonly<Record<string, unknown>>): Uint8Array {
  const head = answer['head'] as { generation: number; sequence: number; digest: string } | undefined;
  return join(
    fromHex(String(answer['instanceId'])),
    u64(Number(answer['serverTimeMs'])),
    u64(Number(answer['incarnation'])),
    fromHex(String(answer['bootId'])),
    head === undefined
      ? new Uint8Array(49)
      : join(Uint8Array.of(1), u64(head.generation), u64(head.sequence), fromHex(head.digest)),
    Uint8Array.of(answer['draining'] === true ? 1 : 0),
    extensionContent(answer),
  );
}

/** All extensions count for the MAC, also those that this client does not know. */
function extensionContent(answer: Readonly<Record<string, unknown>>): Uint8Array {
  const entries = Object.entries((answer['extensions'] ?? {}) as Readonly<Record<string, string>>);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
  const each = entries.flatMap(([name, base64]) => {
    const value = new Uint8Array(Buffer.from(base64, 'base64'));
    return [Uint8Array.of(name.length), ascii(name), u16(value.length), value];
  });
  return join(u16(entries.length), ...each);
}

/** `POST /key-status`, confirming. */
export function confirmKey(server: ReachableServer, held: HeldKey, incarnation: number, bootId: Uint8Array) {
  const content = join(Uint8Array.of(1), u64(incarnation), bootId, new Uint8Array(49 + 4));
  const fields = { confirm: true, incarnation, bootId: toHex(bootId) };
  return ask(server, held, 'key-status', content, fields, stateContent);
}

/** `POST /claim`. */
export function claimAccount(
  server: ReachableServer,
  held: HeldKey,
  incarnation: number,
  bootId: Uint8Array,
) {
  const content = join(u64(incarnation), bootId);
  return ask(server, held, 'claim', content, { incarnation, bootId: toHex(bootId) }, stateContent);
}

/** `POST /forget`. */
export function forgetKey(server: ReachableServer, held: HeldKey) {
  return ask(server, held, 'forget', new Uint8Array(0), {}, (answer) =>
    join(Uint8Array.of(1), extensionContent(answer)),
  );
}
