import type { webcrypto } from 'node:crypto';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
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
  readonly lineage?: LineageState;
}

/** What a server shows of a lineage. */
export interface LineageState {
  readonly reserved: number;
  readonly reservedBoot: string;
  readonly incarnation: number;
  readonly bootId: string;
  readonly head?: {
    readonly incarnation: number;
    readonly bootId: string;
    readonly sequence: number;
    readonly digest: string;
  };
  readonly slots: readonly string[];
  readonly closed: boolean;
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

/** A key that this client holds, of a slot or of a lineage, and the field that names it. */
export interface HeldKey {
  readonly account: Uint8Array;
  readonly name: { readonly slotId: Uint8Array } | { readonly lineageId: Uint8Array };
  readonly key: Uint8Array;
}

/** An answer of one of the MAC routes, its MAC checked. */
export interface Answer {
  readonly instanceId: string;
  readonly serverTimeMs: number;
  readonly draining: boolean;
  readonly lineage?: LineageState;
  readonly extensions?: Readonly<Record<string, string>>;
  readonly erased?: boolean;
  readonly mac: string;
}

/** Sends one of the requests that the key itself authenticates, and checks the answer's MAC. */
async function ask(
  server: ReachableServer,
  { account, name, key }: HeldKey,
  route: string,
  content: Uint8Array,
  fields: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const macKey = (direction: string) =>
    hkdf(sha256, key, new Uint8Array(0), ascii(`latchkey/v1/${route}/${direction}`), 32);
  const timestampMs = Date.now();
  const random = crypto.getRandomValues(new Uint8Array(16));
  const [field, bytes] =
    'slotId' in name ? (['slotId', name.slotId] as const) : (['lineageId', name.lineageId] as const);
  const envelope = join(server.account, account, bytes, u64(timestampMs), random);
  const mac = hmac(sha256, macKey('request'), join(envelope, content));
  // The MAC is checked before anything of it is used; a wrong shape has another MAC.
  const answer = (await post(`${server.url}/${route}`, {
    ...{ accountId: toHex(account), [field]: toHex(bytes), timestampMs, random: toHex(random) },
    ...fields,
    mac: toHex(mac),
  })) as unknown as Answer;
  const expected = toHex(hmac(sha256, macKey('response'), join(mac, answerContent(answer))));
  if (answer.mac !== expected) throw new Error(`${route}: the answer does not prove the key`);
  return answer;
}

const flag = (value: boolean): Uint8Array => Uint8Array.of(value ? 1 : 0);

function answerContent(answer: Answer): Uint8Array {
  return join(
    ...(answer.erased === undefined ? [] : [flag(answer.erased)]),
    fromHex(answer.instanceId),
    u64(answer.serverTimeMs),
    flag(answer.draining),
    lineageContent(answer.lineage),
    extensionContent(answer.extensions ?? {}),
  );
}

function lineageContent(lineage: LineageState | undefined): Uint8Array {
  if (lineage === undefined) return flag(false);
  const { head, slots } = lineage;
  return join(
    flag(true),
    u64(lineage.reserved),
    fromHex(lineage.reservedBoot),
    u64(lineage.incarnation),
    fromHex(lineage.bootId),
    flag(head !== undefined),
    ...(head === undefined
      ? []
      : [u64(head.incarnation), fromHex(head.bootId), u64(head.sequence), fromHex(head.digest)]),
    Uint8Array.of(slots.length),
    ...slots.map(fromHex),
    flag(lineage.closed),
  );
}

/** All extensions count for the MAC, also those that this client does not know. */
function extensionContent(extensions: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(extensions);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
  const each = entries.flatMap(([name, base64]) => {
    const value = new Uint8Array(Buffer.from(base64, 'base64'));
    return [Uint8Array.of(name.length), ascii(name), u16(value.length), value];
  });
  return join(u16(entries.length), ...each);
}

/** A slot of this client. */
export interface Slot {
  readonly account: Uint8Array;
  readonly slotId: Uint8Array;
  readonly key: Uint8Array;
}

const heldSlot = ({ account, slotId, key }: Slot): HeldKey => ({ account, name: { slotId }, key });

/** The lineage key of a server, from the lineage secret. */
export const lineageKeyOf = (secret: Uint8Array, server: KnownServer): Uint8Array =>
  hkdf(sha256, secret, new Uint8Array(0), join(ascii('latchkey/v1/lineage'), server.account), 32);

/** A boot of the client: its number, and 8 random bytes with their mark. */
export interface Boot {
  readonly number: number;
  readonly bootId: Uint8Array;
}

/** The incarnation of a boot, marked so that no server can invent one. */
export function markedBoot(secret: Uint8Array, number: number, random: Uint8Array): Boot {
  const label = ascii('latchkey/v1/mark/incarnation');
  const key = hkdf(sha256, secret, new Uint8Array(0), label, 32);
  return { number, bootId: join(random, hmac(sha256, key, join(u64(number), random)).slice(0, 8)) };
}

const bootContent = ({ number, bootId }: Boot): Uint8Array => join(u64(number), bootId);
const bootFields = ({ number, bootId }: Boot) => ({ incarnation: number, bootId: toHex(bootId) });

/** `POST /key-status` that links and confirms a slot, or only confirms one that is linked. */
export function confirmSlot(server: ReachableServer, slot: Slot, boot: Boot, lineageKey?: Uint8Array) {
  const link = lineageKey === undefined ? undefined : sealForSlot(server, slot, lineageKey);
  const content = join(
    flag(true),
    ...(link === undefined ? [flag(false)] : [flag(true), link]),
    bootContent(boot),
    new Uint8Array(1 + 4),
  );
  const fields = {
    confirm: true,
    ...(link === undefined ? {} : { lineage: toHex(link) }),
    ...bootFields(boot),
  };
  return ask(server, heldSlot(slot), 'key-status', content, fields);
}

function sealForSlot(
  server: KnownServer,
  { account, slotId, key }: Slot,
  lineageKey: Uint8Array,
): Uint8Array {
  const label = ascii('latchkey/v1/lineage/link');
  const sealKey = hkdf(sha256, key, new Uint8Array(0), label, 32);
  const nonce = crypto.getRandomValues(new Uint8Array(24));
  const cipher = xchacha20poly1305(sealKey, nonce, join(label, server.account, account, slotId));
  return join(nonce, cipher.encrypt(lineageKey));
}

/** `POST /reserve`: the mark of a reservation proves nothing else, so that the server cannot show the boot to others. */
export function reserveNumber(
  server: ReachableServer,
  slot: Slot,
  secret: Uint8Array,
  number: number,
  random: Uint8Array,
) {
  const key = hkdf(sha256, secret, new Uint8Array(0), ascii('latchkey/v1/mark/reservation'), 32);
  const boot = join(random, hmac(sha256, key, join(u64(number), random)).slice(0, 8));
  const fields = { incarnation: number, boot: toHex(boot) };
  return ask(server, heldSlot(slot), 'reserve', join(u64(number), boot), fields);
}

/** `POST /claim`. */
export function showBoot(server: ReachableServer, slot: Slot, boot: Boot) {
  return ask(server, heldSlot(slot), 'claim', bootContent(boot), bootFields(boot));
}

/** `POST /forget`. */
export function forgetKey(server: ReachableServer, slot: Slot, boot: Boot) {
  return ask(server, heldSlot(slot), 'forget', bootContent(boot), bootFields(boot));
}

const heldLineage = (account: Uint8Array, key: Uint8Array): HeldKey => ({
  account,
  name: { lineageId: sha256(join(ascii('latchkey/v1/lineage-id'), key)).slice(0, 16) },
  key,
});

/** `POST /lineage-status`. */
export function lineageStatus(server: ReachableServer, account: Uint8Array, lineageKey: Uint8Array) {
  return ask(server, heldLineage(account, lineageKey), 'lineage-status', new Uint8Array(0), {});
}

/** `POST /lineage-update` that erases slots. */
export function forgetSlots(
  server: ReachableServer,
  account: Uint8Array,
  lineageKey: Uint8Array,
  boot: Boot,
  slotIds: readonly Uint8Array[],
) {
  const list = join(Uint8Array.of(slotIds.length), ...slotIds);
  const content = join(bootContent(boot), flag(false), list, flag(false));
  const fields = { ...bootFields(boot), forget: slotIds.map(toHex) };
  return ask(server, heldLineage(account, lineageKey), 'lineage-update', content, fields);
}
