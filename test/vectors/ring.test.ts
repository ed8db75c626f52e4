import type { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { getPublicKey, secretFromSeed, verify } from '@scure/sr25519';
import { describe, expect, it } from 'vitest';
import { AccountId, BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { acceptChannel, openChannel } from '../../src/channel/handshake.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { distanceOf, ringPosition } from '../../src/ring/placement/position.ts';
import { decodeRecord } from '../../src/secrets/record.ts';
import { channelEnd } from '../support/channel-ends.ts';
import { keyServerWorld } from '../support/key-server-fixture.ts';

/** Made once by this implementation; all of it is computed again below from the formulas of the pages. */
const vectors = JSON.parse(
  readFileSync(new URL('./ring-vectors.json', import.meta.url), 'utf8'),
) as typeof import('./ring-vectors.json');

const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'ascii'));
const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const u64 = (value: number): Uint8Array => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(buffer);
};

describe('positions of docs/ring.md', () => {
  it.each([
    [0x01, 0x02, 'f1873a0259b86d1710871bb8b46e5fa8d13c695dad4a638074ac81c0ff2cfbb1'],
    [0xff, 0x00, '001e031591d0315529babbd989b7a1bef24ab37186d8c29fdf5ac49da8e14ac5'],
  ])('account 32 × %d, block 32 × %d', (account, block, position) => {
    expect(toHex(ringPosition(AccountId.of(filled(account)), BlockHash.of(filled(block))))).toBe(position);
    expect(toHex(sha256(join(ascii('latchkey/v1/ring'), filled(account), filled(block))))).toBe(position);
  });

  it('distance is XOR', () => {
    expect(toHex(distanceOf(filled(0x0f), filled(0x35)))).toBe('3a'.repeat(32));
  });
});

describe('records of docs/secrets.md', () => {
  const account = getPublicKey(secretFromSeed(filled(1)));
  const expiry = 1_800_000_000_000 + 365 * 86_400_000;
  const acl = `{"body":true,"callers":["0x${toHex(account)}"],"headers":["authorization"],"limit":{"count":100,"periodMs":86400000},"paths":["/v1/**"],"plainHttp":false,"verbs":["GET","POST"]}`;
  const texts = (last: string) =>
    ['https://api.example.com', '/v1', last].map((text) => join(u16(text.length), ascii(text)));
  const head = (kind: number, version: number) =>
    join(Uint8Array.of(1), account, Uint8Array.of(kind), u64(version), u64(expiry));
  const hash = sha256(join(filled(7), ascii('sk-live-1')));

  it.each([
    ['secret', join(head(0, 1), hash, ...texts(acl)), join(u64(1), hash)],
    ['tombstone', join(head(1, 2), filled(255), ...texts('')), join(u64(2), filled(255))],
  ] as const)('%s: body, signature, id, order', (kind, body, order) => {
    const vector = vectors[kind];
    const signature = bytes(vector.bytes).subarray(body.length);
    expect(vector.bytes).toBe(toHex(join(body, signature)));
    const signed = join(ascii('<Bytes>latchkey/v1/secret-record'), body, ascii('</Bytes>'));
    expect(verify(signed, signature, account)).toBe(true);
    const [origin, prefix] = texts('');
    const id = sha256(join(ascii('latchkey/v1/secret'), account, origin ?? body, prefix ?? body));
    expect(vector.id).toBe(toHex(id));
    expect(vector.order).toBe(toHex(join(order, sha256(body))));
    const record = decodeRecord(bytes(vector.bytes));
    expect([toHex(record.id), toHex(record.order)]).toEqual([vector.id, vector.order]);
  });
});

describe('the channel of docs/ring.md', () => {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Chacha20Poly1305(),
  });
  const buffer = (given: Uint8Array): ArrayBuffer => new Uint8Array(given).buffer;
  const importKey = (raw: Uint8Array, isPublic: boolean): Promise<webcrypto.CryptoKey> =>
    suite.kem.importKey('raw', buffer(raw), isPublic);
  /** Digest of the peer whose bytes are all one byte. */
  const digest = (byte: number): Uint8Array => {
    const bound = join(filled(byte), x25519.getPublicKey(filled(byte)), filled(byte, 16));
    const reportData = sha512(join(ascii('latchkey/v1/attestation'), bound, u64(7), filled(9)));
    return sha256(join(bound, reportData));
  };
  const opened = async (step: 'open' | 'accept', from: number, to: number, aad: Uint8Array) => {
    const { enc, ciphertext } = vectors.channel[step];
    const plaintext = await suite.open(
      {
        recipientKey: {
          privateKey: await importKey(filled(to), false),
          publicKey: await importKey(x25519.getPublicKey(filled(to)), true),
        },
        senderPublicKey: await importKey(x25519.getPublicKey(filled(from)), true),
        enc: buffer(bytes(enc)),
        info: buffer(join(ascii(`latchkey/v1/channel/${step}\0`), digest(1), digest(2))),
      },
      buffer(bytes(ciphertext)),
      buffer(aad),
    );
    return new Uint8Array(plaintext);
  };
  const digestOf = ({ enc, ciphertext }: { enc: string; ciphertext: string }): Uint8Array =>
    sha256(join(bytes(enc), bytes(ciphertext)));

  it('handshake, keys and messages follow from the formulas, with other libraries', async () => {
    const { open, accept, session, request, answer } = vectors.channel;
    const fromInitiator = await opened('open', 1, 2, new Uint8Array(0));
    const fromResponder = await opened('accept', 2, 1, digestOf(open));
    const material = join(fromInitiator, fromResponder, digestOf(open), digestOf(accept));
    const derive = (part: string, length = 32) =>
      hkdf(sha256, material, new Uint8Array(0), ascii(`latchkey/v1/channel/${part}`), length);
    expect(toHex(derive('session', 16))).toBe(session);
    const sealed = (key: Uint8Array, kind: number, text: string) => {
      const header = join(bytes(session), Uint8Array.of(kind), u64(0), u64(0));
      const cipher = chacha20poly1305(
        key,
        new Uint8Array(12),
        join(ascii('latchkey/v1/channel/message'), header),
      );
      return toHex(join(header, cipher.encrypt(ascii(text))));
    };
    expect(sealed(derive('from-initiator'), 0, 'ping')).toBe(request);
    expect(sealed(derive('from-responder'), 1, 'pong')).toBe(answer);
  });

  it('is what this implementation makes', async () => {
    const world = keyServerWorld();
    const [alice, bob] = [await channelEnd(world, 1), await channelEnd(world, 2)];
    const ephemeral = (byte: number) => ({ ephemeral: x25519KeyPairFromSecret(filled(byte)) });
    const opening = openChannel({ ...alice, ...ephemeral(0x61) }, bob.peer);
    const accepted = acceptChannel({ ...bob, ...ephemeral(0x62) }, alice.peer, opening.message);
    expect(toHex(opening.message.ciphertext)).toBe(vectors.channel.open.ciphertext);
    expect(toHex(accepted.answer.ciphertext)).toBe(vectors.channel.accept.ciphertext);
    const { message } = opening.complete(accepted.answer).sealRequest(ascii('ping'));
    expect(toHex(message)).toBe(vectors.channel.request);
  });
});

describe('sealed messages of docs/secrets.md', () => {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Chacha20Poly1305(),
  });
  const buffer = (given: Uint8Array): ArrayBuffer => new Uint8Array(given).buffer;
  const pairOf = async (byte: number) => ({
    privateKey: await suite.kem.importKey('raw', buffer(filled(byte)), false),
    publicKey: await suite.kem.importKey('raw', buffer(x25519.getPublicKey(filled(byte))), true),
  });
  const user = getPublicKey(secretFromSeed(filled(1)));
  const { request, answer } = vectors.sealed;

  it('a request opens at its node, and is signed by its user', async () => {
    const info = join(ascii('latchkey/v1/secrets/list\0'), filled(2));
    const recipient = { recipientKey: await pairOf(3), enc: buffer(bytes(request.enc)), info: buffer(info) };
    const plaintext = new Uint8Array(await suite.open(recipient, buffer(bytes(request.ciphertext))));
    const time = u64(1_800_000_000_000);
    expect(toHex(plaintext.subarray(0, 88))).toBe(toHex(join(user, filled(2), time, filled(6, 16))));
    const content = plaintext.subarray(152);
    expect(toHex(content)).toBe(toHex(join(x25519.getPublicKey(filled(4)), filled(7))));
    const statement = join(user, filled(2), time, filled(6, 16), sha256(content));
    const message = join(ascii('<Bytes>latchkey/v1/secret-request/list\0'), statement, ascii('</Bytes>'));
    expect(verify(message, plaintext.subarray(88, 152), user)).toBe(true);
  });

  it('an answer opens for its user, under the key of the node', async () => {
    const recipient = {
      recipientKey: await pairOf(4),
      senderPublicKey: (await pairOf(3)).publicKey,
      enc: buffer(bytes(answer.enc)),
      info: buffer(join(ascii('latchkey/v1/secrets/answer\0'), filled(2), user)),
    };
    const aad = sha256(join(bytes(request.enc), bytes(request.ciphertext)));
    const plaintext = await suite.open(recipient, buffer(bytes(answer.ciphertext)), buffer(aad));
    expect(new TextDecoder().decode(plaintext)).toBe('{"ok":{"holders":{},"secrets":[]}}');
  });
});
