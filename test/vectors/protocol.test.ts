import { readFileSync } from 'node:fs';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { base58 } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { protocolVectors } from '../../scripts/protocol-vectors.ts';
import { openSealedKey } from '../e2e/independent-client.ts';

type Vectors = ReturnType<typeof protocolVectors>;

/** The vectors as they stand on the page, computed again here from the page's formulas with other libraries. */
function documentedVectors(): Vectors {
  const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const [, json] = /<!-- vectors:begin -->\n```json\n([\s\S]*?)\n```/.exec(page) ?? [];
  if (json === undefined) throw new TypeError('the page has no vectors');
  // The generator made it; a wrong shape fails below.
  return JSON.parse(json) as Vectors;
}

const vectors = documentedVectors();
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.slice(2), 'hex'));
const hex = (...parts: readonly Uint8Array[]): string => `0x${Buffer.concat(parts).toString('hex')}`;
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'ascii'));
const account = (ss58: string): Uint8Array => base58.decode(ss58).slice(1, 33);
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const u64 = (value: number): Uint8Array => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(buffer);
};
const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const { keys } = vectors;

describe('the vectors of docs/protocol.md', () => {
  it('equal the output of this implementation', () => {
    expect(vectors).toEqual(JSON.parse(JSON.stringify(protocolVectors())));
  });

  it('public keys follow from the secrets', () => {
    expect(hex(x25519.getPublicKey(bytes(keys.serverX25519Secret)))).toBe(keys.serverX25519PublicKey);
    expect(hex(x25519.getPublicKey(bytes(keys.ephemeralSecret)))).toBe(keys.ephemeralPublicKey);
  });

  it('report data of the request, its servers in ascending order', () => {
    const { body, reportData } = vectors.request;
    const entries = body.servers
      .map(({ server, nonce, slotId }) => join(account(server), bytes(nonce), bytes(slotId)))
      .sort(Buffer.compare);
    expect(entries[0]).not.toEqual(join(account(body.servers[0]?.server ?? ''), new Uint8Array(48)));
    const head = [ascii('latchkey/v1/request'), account(body.accountId), bytes(body.ephemeralPublicKey)];
    expect(hex(sha512(join(...head, Uint8Array.of(1), u16(2), ...entries)))).toBe(reportData);
    expect(body.recoveryProof).toBe(hex(hmac(sha256, bytes(keys.recoveryToken), bytes(reportData))));
  });

  it('report data of the plain request', () => {
    const { nonce } = vectors.challenge.answer;
    const entry = join(bytes(keys.serverAccount), bytes(nonce), new Uint8Array(16));
    const head = [ascii('latchkey/v1/request'), bytes(keys.clientAccount), bytes(keys.ephemeralPublicKey)];
    expect(hex(sha512(join(...head, Uint8Array.of(0), u16(1), entry)))).toBe(vectors.plainRequest.reportData);
  });

  it('the answer opens with @hpke/core to the plaintext', async () => {
    const { body, info, aad, plaintext } = vectors.answer;
    const { reportData } = vectors.request;
    expect(info).toBe(hex(ascii('latchkey/v1/key'), bytes(keys.serverAccount), bytes(keys.clientAccount)));
    expect(aad).toBe(hex(bytes(reportData), bytes(body.instanceId)));
    const opened = await openSealedKey({
      answer: body,
      reportData: bytes(reportData),
      ephemeralSecret: bytes(keys.ephemeralSecret),
      server: { account: bytes(keys.serverAccount), x25519PublicKey: bytes(keys.serverX25519PublicKey) },
      clientAccount: bytes(keys.clientAccount),
    });
    expect(opened).toEqual(JSON.parse(plaintext));
    expect(opened).toMatchObject({ key: keys.serverKey, recoveryToken: keys.recoveryToken });
  });

  it('report data of the attestation', () => {
    const { finalized, reportData } = vectors.attestation;
    const bound = [bytes(keys.serverAccount), bytes(keys.serverX25519PublicKey)];
    const instance = bytes(vectors.answer.body.instanceId);
    const block = [u64(finalized.number), bytes(finalized.hash)];
    expect(hex(sha512(join(ascii('latchkey/v1/attestation'), ...bound, instance, ...block)))).toBe(
      reportData,
    );
  });
});

describe('the lineage of docs/protocol.md', () => {
  const { lineage } = vectors;
  const none = new Uint8Array(0);
  const derive = (secret: string, label: string): Uint8Array =>
    hkdf(sha256, bytes(secret), none, ascii(label), 32);

  it('its key and its name at a server', () => {
    const info = join(ascii('latchkey/v1/lineage'), bytes(keys.serverAccount));
    expect(lineage.key).toBe(hex(hkdf(sha256, bytes(lineage.secret), none, info, 32)));
    const named = sha256(join(ascii('latchkey/v1/lineage-id'), bytes(lineage.key)));
    expect(lineage.id).toBe(hex(named.slice(0, 16)));
  });

  it('the sealed lineage key that links a slot', () => {
    const { key, nonce, associatedData, sealed } = lineage.linkSeal;
    const label = 'latchkey/v1/lineage/link';
    expect(key).toBe(hex(derive(keys.serverKey, label)));
    const { slotId } = vectors.keyStatusThatLinks.request.body as { readonly slotId?: string };
    const slot = [bytes(keys.serverAccount), bytes(keys.clientAccount), bytes(slotId ?? '')];
    expect(associatedData).toBe(hex(ascii(label), ...slot));
    const cipher = xchacha20poly1305(bytes(key), bytes(nonce), bytes(associatedData));
    expect(sealed).toBe(hex(bytes(nonce), cipher.encrypt(bytes(lineage.key))));
  });

  it('the marks of an incarnation, of a reservation and of a head', () => {
    const { incarnationMark, reservationMark, headMark } = lineage;
    const boot = bytes(incarnationMark.bootId).slice(0, 8);
    expect(incarnationMark.key).toBe(hex(derive(lineage.secret, 'latchkey/v1/mark/incarnation')));
    expect(incarnationMark.input).toBe(hex(u64(incarnationMark.incarnation), boot));
    const bootMac = hmac(sha256, bytes(incarnationMark.key), bytes(incarnationMark.input));
    expect(incarnationMark.bootId).toBe(hex(boot, bootMac.slice(0, 8)));
    expect(reservationMark.key).toBe(hex(derive(lineage.secret, 'latchkey/v1/mark/reservation')));
    expect(reservationMark.input).toBe(incarnationMark.input);
    const reservedMac = hmac(sha256, bytes(reservationMark.key), bytes(reservationMark.input));
    expect(reservationMark.boot).toBe(hex(boot, reservedMac.slice(0, 8)));
    expect(headMark.key).toBe(hex(derive(lineage.secret, 'latchkey/v1/mark/head')));
    const writer = [u64(incarnationMark.incarnation), bytes(incarnationMark.bootId)];
    expect(headMark.input).toBe(hex(...writer, u64(headMark.sequence), bytes(headMark.logDigest)));
    const headMac = hmac(sha256, bytes(headMark.key), bytes(headMark.input));
    expect(headMark.digest).toBe(hex(bytes(headMark.logDigest), headMac.slice(0, 16)));
  });
});

interface Mark {
  readonly incarnation: number;
  readonly bootId: string;
}
interface Deposit {
  readonly sequence: number;
  readonly digest: string;
}
interface Lineage extends Mark {
  readonly reserved: number;
  readonly reservedBoot: string;
  readonly head?: Mark & Deposit;
  readonly slots: readonly string[];
  readonly closed: boolean;
}
interface StatusBody extends Mark {
  readonly confirm: boolean;
  readonly lineage?: string;
  readonly head?: Deposit;
  readonly report?: { readonly threshold: number; readonly slots: number; readonly live: number };
}
interface UpdateBody extends Mark {
  readonly head?: Deposit;
  readonly forget: readonly string[];
  readonly close?: Mark & { readonly head: Deposit };
}
interface State {
  readonly instanceId: string;
  readonly serverTimeMs: number;
  readonly draining: boolean;
  readonly lineage?: Lineage;
  readonly extensions?: Readonly<Record<string, string>> | undefined;
  readonly erased?: boolean;
}

const flag = (value: boolean): Uint8Array => Uint8Array.of(value ? 1 : 0);
const absent = new Uint8Array(1);
const present = (...parts: readonly Uint8Array[]): Uint8Array => join(Uint8Array.of(1), ...parts);
const incarnationBytes = ({ incarnation, bootId }: Mark) => join(u64(incarnation), bytes(bootId));
const depositBytes = ({ sequence, digest }: Deposit) => join(u64(sequence), bytes(digest));
const headBytes = ({ head }: { readonly head?: Deposit }) =>
  head === undefined ? absent : present(depositBytes(head));
const slotsBytes = (slots: readonly string[]) => join(Uint8Array.of(slots.length), ...slots.map(bytes));

const statusBytes = (body: StatusBody): Uint8Array => {
  const { confirm, lineage, report } = body;
  const tail = report === undefined ? [0, 0, 0, 0] : [1, report.threshold, report.slots, report.live];
  const link = lineage === undefined ? absent : present(bytes(lineage));
  return join(flag(confirm), link, incarnationBytes(body), headBytes(body), Uint8Array.from(tail));
};
const reserveBytes = ({ incarnation, boot }: { incarnation: number; boot: string }) =>
  join(u64(incarnation), bytes(boot));
const endBytes = ({ close }: UpdateBody) =>
  close === undefined ? absent : present(incarnationBytes(close), headBytes(close));
const updateBytes = (body: UpdateBody): Uint8Array =>
  join(incarnationBytes(body), headBytes(body), slotsBytes(body.forget), endBytes(body));

const extensionBytes = ({ extensions = {} }: State): Uint8Array => {
  const entries = Object.entries(extensions).sort(([a], [b]) => (a < b ? -1 : 1));
  const each = entries.flatMap(([name, text]) => {
    const value = new Uint8Array(Buffer.from(text, 'base64'));
    return [Uint8Array.of(name.length), ascii(name), u16(value.length), value];
  });
  return join(u16(entries.length), ...each);
};
const lineageBytes = ({ lineage }: State): Uint8Array => {
  if (lineage === undefined) return absent;
  const { reserved, reservedBoot, head, slots, closed } = lineage;
  const told = head === undefined ? absent : present(incarnationBytes(head), depositBytes(head));
  const reservation = join(u64(reserved), bytes(reservedBoot));
  return present(reservation, incarnationBytes(lineage), told, slotsBytes(slots), flag(closed));
};
const stateBytes = (body: State): Uint8Array =>
  join(
    ...(body.erased === undefined ? [] : [flag(body.erased)]),
    bytes(body.instanceId),
    u64(body.serverTimeMs),
    flag(body.draining),
    lineageBytes(body),
    extensionBytes(body),
  );

describe('the MAC routes of docs/protocol.md', () => {
  const nothing = () => new Uint8Array(0);
  const cases = [
    ['key-status', vectors.keyStatus, statusBytes, 71],
    ['key-status', vectors.keyStatusThatLinks, statusBytes, 143],
    ['key-status', vectors.keyStatusWithoutOptionalFields, statusBytes, 31],
    ['key-status', vectors.keyStatusOfDrainingServer, statusBytes, 71],
    ['key-status', vectors.keyStatusWithExtensions, statusBytes, 71],
    ['reserve', vectors.reserve, reserveBytes, 24],
    ['claim', vectors.claim, incarnationBytes, 24],
    ['forget', vectors.forget, incarnationBytes, 24],
    ['forget', vectors.forgetOfOlderIncarnation, incarnationBytes, 24],
    ['forget', vectors.forgetWithExtensions, incarnationBytes, 24],
    ['lineage-status', vectors.lineageStatus, nothing, 0],
    ['lineage-update', vectors.lineageUpdate, updateBytes, 83],
    ['lineage-update', vectors.lineageUpdateThatCloses, updateBytes, 132],
  ] as const;

  it.each(cases)('%s', (route, { request, answer }, contentOf, length) => {
    const isOfLineage = route.startsWith('lineage-');
    const key = bytes(isOfLineage ? vectors.lineage.key : keys.serverKey);
    const macKey = (direction: string) =>
      hkdf(sha256, key, new Uint8Array(0), ascii(`latchkey/v1/${route}/${direction}`), 32);
    // Each row pairs a body with the function that reads its fields.
    const content = contentOf(request.body as never);
    expect(content.length).toBe(length);
    const { accountId, timestampMs, random, mac } = request.body;
    const names = request.body as { readonly slotId?: string; readonly lineageId?: string };
    const name = bytes((isOfLineage ? names.lineageId : names.slotId) ?? '');
    expect(name.length).toBe(16);
    const envelope = [bytes(keys.serverAccount), account(accountId), name, u64(timestampMs), bytes(random)];
    expect(request.macInput).toBe(hex(...envelope, content));
    expect(request.macKey).toBe(hex(macKey('request')));
    expect(mac).toBe(hex(hmac(sha256, macKey('request'), bytes(request.macInput))));
    // The generator made it from a state; a wrong shape gives other bytes.
    const said = stateBytes(answer.body as unknown as State);
    expect(answer.macInput).toBe(hex(bytes(mac), said));
    expect(answer.macKey).toBe(hex(macKey('response')));
    expect(answer.body.mac).toBe(hex(hmac(sha256, macKey('response'), bytes(answer.macInput))));
  });

  it('every route has a vector', () => {
    const shown = new Set(cases.map(([route]) => route));
    const all = ['key-status', 'reserve', 'claim', 'forget', 'lineage-status', 'lineage-update'];
    expect([...shown].sort()).toEqual(all.sort());
  });
});
