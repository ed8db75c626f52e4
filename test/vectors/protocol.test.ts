import { readFileSync } from 'node:fs';
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

interface Marks {
  readonly incarnation: number;
  readonly bootId: string;
  readonly head?: { readonly generation: number; readonly sequence: number; readonly digest: string };
}
const incarnationBytes = ({ incarnation, bootId }: Marks) => join(u64(incarnation), bytes(bootId));
const headBytes = ({ head }: Marks) =>
  head === undefined
    ? new Uint8Array(49)
    : join(Uint8Array.of(1), u64(head.generation), u64(head.sequence), bytes(head.digest));

interface StatusBody extends Marks {
  readonly confirm: boolean;
  readonly report?: { readonly threshold: number; readonly slots: number; readonly live: number };
}
const statusBytes = (body: StatusBody): Uint8Array => {
  const report = body.report;
  const tail = report === undefined ? [0, 0, 0, 0] : [1, report.threshold, report.slots, report.live];
  return join(
    Uint8Array.of(body.confirm ? 1 : 0),
    incarnationBytes(body),
    headBytes(body),
    Uint8Array.from(tail),
  );
};
interface Extended {
  readonly extensions?: Readonly<Record<string, string>> | undefined;
}
const extensionBytes = ({ extensions = {} }: Extended): Uint8Array => {
  const entries = Object.entries(extensions).sort(([a], [b]) => (a < b ? -1 : 1));
  const each = entries.flatMap(([name, text]) => {
    const value = new Uint8Array(Buffer.from(text, 'base64'));
    return [Uint8Array.of(name.length), ascii(name), u16(value.length), value];
  });
  return join(u16(entries.length), ...each);
};
const stateBytes = (
  body: Marks & Extended & { instanceId: string; serverTimeMs: number; draining: boolean },
): Uint8Array =>
  join(
    bytes(body.instanceId),
    u64(body.serverTimeMs),
    incarnationBytes(body),
    headBytes(body),
    Uint8Array.of(body.draining ? 1 : 0),
    extensionBytes(body),
  );

describe('the MAC routes of docs/protocol.md', () => {
  it.each([
    ['key-status', vectors.keyStatus, statusBytes, 78],
    ['key-status', vectors.keyStatusWithoutOptionalFields, statusBytes, 78],
    ['key-status', vectors.keyStatusOfDrainingServer, statusBytes, 78],
    ['key-status', vectors.keyStatusWithExtensions, statusBytes, 78],
    ['claim', vectors.claim, incarnationBytes, 24],
    ['forget', vectors.forget, () => new Uint8Array(0), 0],
    ['forget', vectors.forgetWithExtensions, () => new Uint8Array(0), 0],
  ] as const)('%s', (route, { request, answer }, contentOf, length) => {
    const macKey = (direction: string) =>
      hkdf(sha256, bytes(keys.serverKey), new Uint8Array(0), ascii(`latchkey/v1/${route}/${direction}`), 32);
    // Each row pairs a body with the function that reads its fields.
    const content = contentOf(request.body as never);
    expect(content.length).toBe(length);
    const { accountId, slotId, timestampMs, random, mac } = request.body;
    const envelope = [
      bytes(keys.serverAccount),
      account(accountId),
      bytes(slotId),
      u64(timestampMs),
      bytes(random),
    ];
    expect(request.macInput).toBe(hex(...envelope, content));
    expect(request.macKey).toBe(hex(macKey('request')));
    expect(mac).toBe(hex(hmac(sha256, macKey('request'), bytes(request.macInput))));
    const extra = extensionBytes(answer.body);
    const said = route === 'forget' ? join(Uint8Array.of(1), extra) : stateBytes(answer.body as never);
    expect(said.length).toBe((route === 'forget' ? 1 : 98) + extra.length);
    expect(answer.macInput).toBe(hex(bytes(mac), said));
    expect(answer.macKey).toBe(hex(macKey('response')));
    expect(answer.body.mac).toBe(hex(hmac(sha256, macKey('response'), bytes(answer.macInput))));
  });
});
