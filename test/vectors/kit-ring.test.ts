import { Buffer } from 'node:buffer';
import { createCipheriv, createHash, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseBase64 } from '../../src/bytes/base64.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { acceptChannel, openChannel } from '../../src/channel/handshake.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openEnvelope, sealEnvelope } from '../../src/node/ring/envelope.ts';
import { decodeOpenAnswer, decodeOpenRequest, handshakeToWire } from '../../src/protocol/channel-opening.ts';
import { decodeRequest } from '../../src/ring/replication/wire.ts';
import { channelEnd } from '../support/channel-ends.ts';
import { keyServerWorld } from '../support/key-server-fixture.ts';

const text = z.string();
const end = z.object({
  account: text,
  x25519Secret: text,
  x25519PublicKey: text,
  instanceId: text,
  reportData: text,
  digest: text,
});
const sealed = { enc: text, ciphertext: text };
const step = { plaintext: text, info: text, hpkeEphemeralSecret: text };
const exchange = z.object({
  envelope: z.object({ kind: text, block: z.int(), digest: text, payload: text }),
  content: text,
  message: text,
});
const vectors = z
  .object({
    initiator: end,
    responder: end,
    open: z.object({ ...step, body: z.object({ attestation: z.unknown(), responder: text, ...sealed }) }),
    accept: z.object({ ...step, aad: text, answer: z.object(sealed) }),
    session: z.object({ keyMaterial: text, sessionId: text, fromInitiator: text, fromResponder: text }),
    request: exchange,
    refusal: exchange,
    placement: z.object({
      constants: z.object({ firstBlock: z.int(), everyBlocks: z.int(), replicas: z.int() }),
      constantsDigest: text,
      firstDigest: text,
      block: z.int(),
      timestampMs: z.int(),
      servers: z.array(
        z.object({ account: text, stash: text, evidence: text, platform: text, anchor: text.optional() }),
      ),
      digest: text,
      positions: z.array(z.object({ account: text, position: text })),
      id: text,
      holders: z.array(text),
    }),
    recordDigests: z.array(z.object({ count: z.int(), digest: text })),
  })
  .parse(JSON.parse(readFileSync(new URL('../../kit/vectors/ring.json', import.meta.url), 'utf8')));

const bytes = (hex: string): Buffer => Buffer.from(hex.slice(2), 'hex');
const base64 = (given: string): Buffer => Buffer.from(given, 'base64');
const hash = (algorithm: string, ...parts: readonly Buffer[]): Buffer =>
  createHash(algorithm).update(Buffer.concat(parts)).digest();
const u64 = (value: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
};
const { initiator, responder, open, accept, session, request, refusal } = vectors;

describe('kit/vectors/ring.json, by the formulas of docs/ring.md and other libraries', () => {
  it.each([initiator, responder])('digest of a peer', (peer) => {
    const bound = [bytes(peer.account), bytes(peer.x25519PublicKey), bytes(peer.instanceId)];
    const label = Buffer.from('latchkey/v1/attestation');
    const reportData = hash('sha512', label, ...bound, u64(7), Buffer.alloc(32, 9));
    expect(bytes(peer.reportData)).toEqual(reportData);
    expect(bytes(peer.digest)).toEqual(hash('sha256', ...bound, reportData));
  });

  it.each([
    ['open', open.body, initiator, responder, Buffer.alloc(0)],
    ['accept', accept.answer, responder, initiator, bytes(accept.aad)],
  ] as const)('%s opens, and holds its plaintext', async (name, { enc, ciphertext }, from, to, aad) => {
    const suite = new CipherSuite({
      kem: new DhkemX25519HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Chacha20Poly1305(),
    });
    const buffer = (given: Buffer): ArrayBuffer => new Uint8Array(given).buffer;
    const key = (hex: string, isPublic: boolean) => suite.kem.importKey('raw', buffer(bytes(hex)), isPublic);
    const label = Buffer.from(`latchkey/v1/channel/${name}\0`);
    const info = Buffer.concat([label, bytes(initiator.digest), bytes(responder.digest)]);
    expect(bytes(vectors[name].info)).toEqual(info);
    const recipient = {
      recipientKey: {
        privateKey: await key(to.x25519Secret, false),
        publicKey: await key(to.x25519PublicKey, true),
      },
      senderPublicKey: await key(from.x25519PublicKey, true),
      enc: buffer(bytes(enc)),
      info: buffer(info),
    };
    const plaintext = await suite.open(recipient, buffer(base64(ciphertext)), buffer(aad));
    expect(Buffer.from(plaintext)).toEqual(bytes(vectors[name].plaintext));
  });

  it('the digest of open is the aad of accept, and both make the keys of the session', () => {
    const digests = [open.body, accept.answer].map(({ enc, ciphertext }) =>
      hash('sha256', bytes(enc), base64(ciphertext)),
    );
    expect(bytes(accept.aad)).toEqual(digests[0]);
    const material = Buffer.concat([bytes(open.plaintext), bytes(accept.plaintext), ...digests]);
    expect(bytes(session.keyMaterial)).toEqual(material);
    const derive = (part: string, length = 32) =>
      Buffer.from(hkdfSync('sha256', material, '', `latchkey/v1/channel/${part}`, length));
    expect(bytes(session.sessionId)).toEqual(derive('session', 16));
    expect(bytes(session.fromInitiator)).toEqual(derive('from-initiator'));
    expect(bytes(session.fromResponder)).toEqual(derive('from-responder'));
  });

  it.each([
    ['request', request, 0, session.fromInitiator, 0],
    ['refusal', refusal, 1, session.fromResponder, 2],
  ] as const)('%s: envelope and message', (_name, { envelope, content, message }, kind, key, number) => {
    const newest = Buffer.concat([u64(envelope.block), bytes(envelope.digest)]);
    expect(bytes(content)).toEqual(Buffer.concat([Buffer.of(number), newest, Buffer.from(envelope.payload)]));
    const header = Buffer.concat([bytes(session.sessionId), Buffer.of(kind), u64(0), u64(0)]);
    const cipher = createCipheriv('chacha20-poly1305', bytes(key), Buffer.alloc(12), { authTagLength: 16 });
    cipher.setAAD(Buffer.concat([Buffer.from('latchkey/v1/channel/message'), header]), {
      plaintextLength: bytes(content).length,
    });
    const ciphertext = Buffer.concat([cipher.update(bytes(content)), cipher.final(), cipher.getAuthTag()]);
    expect(base64(message)).toEqual(Buffer.concat([header, ciphertext]));
  });
});

describe('kit/vectors/ring.json: where records lie, by the formulas of docs/ring.md', () => {
  const { constants, servers, ...placement } = vectors.placement;
  const label = Buffer.from('latchkey/v1/ring/registry');

  it('digests of the registries', () => {
    const { firstBlock, everyBlocks, replicas } = constants;
    const before = hash('sha256', label, u64(firstBlock), u64(everyBlocks), u64(replicas));
    expect(bytes(placement.constantsDigest)).toEqual(before);
    const first = hash('sha256', label, before, u64(firstBlock), u64(0));
    expect(bytes(placement.firstDigest)).toEqual(first);
    const encoded = servers.map(({ account, stash, evidence, platform, anchor }) =>
      Buffer.concat([
        ...[account, stash, evidence].map(bytes),
        hash('sha256', Buffer.from(platform)),
        anchor === undefined ? Buffer.alloc(32) : bytes(anchor),
      ]),
    );
    const { block, timestampMs } = placement;
    expect(bytes(placement.digest)).toEqual(
      hash('sha256', label, first, u64(block), u64(timestampMs), ...encoded),
    );
  });

  it('positions, and the holders of an id: the nearest, one of each stash and platform', () => {
    const members = servers.flatMap(({ anchor, ...server }) =>
      anchor === undefined
        ? []
        : [
            {
              ...server,
              position: hash('sha256', Buffer.from('latchkey/v1/ring'), bytes(server.account), bytes(anchor)),
            },
          ],
    );
    for (const { account, position } of placement.positions)
      expect(members.find((member) => member.account === account)?.position).toEqual(bytes(position));
    expect(placement.positions).toHaveLength(members.length);
    const id = bytes(placement.id);
    const distance = (position: Buffer) =>
      BigInt(`0x${Buffer.from(position.map((byte, at) => byte ^ (id[at] ?? 0))).toString('hex')}`);
    const nearest = [...members].sort((a, b) => (distance(a.position) < distance(b.position) ? -1 : 1));
    const chosen: typeof members = [];
    for (const member of nearest)
      if (chosen.every(({ stash, platform }) => stash !== member.stash && platform !== member.platform))
        chosen.push(member);
    expect(placement.holders).toEqual(chosen.slice(0, constants.replicas).map(({ account }) => account));
    // One of the two with the same stash is left out.
    expect(members).toHaveLength(4);
    expect(chosen).toHaveLength(3);
  });

  it('digests of records', () => {
    const digestOf = (records: readonly { id: string; order: Buffer }[], depth = 0): Buffer => {
      if (records.length > 64)
        return hash(
          'sha256',
          Buffer.of(1),
          ...[...'0123456789abcdef'].map((digit) =>
            digestOf(
              records.filter(({ id }) => id[depth] === digit),
              depth + 1,
            ),
          ),
        );
      const sorted = [...records].sort((a, b) => (a.id < b.id ? -1 : 1));
      const parts = sorted.flatMap(({ id, order }) => [
        Buffer.from(id, 'hex'),
        Buffer.of(order.length),
        order,
      ]);
      return hash('sha256', Buffer.of(0), ...parts);
    };
    for (const { count, digest } of vectors.recordDigests) {
      const records = Array.from({ length: count }, (_, at) => ({
        id: hash('sha256', u64(at)).toString('hex'),
        order: u64(at),
      }));
      expect(digest).toBe(digestOf(records).toString('hex'));
    }
    expect(vectors.recordDigests.map(({ count }) => count)).toEqual([0, 2, 64, 65, 1100]);
  });
});

describe('kit/vectors/ring.json, by the code of this project', () => {
  it('a channel of the same two nodes has the same bytes, and reads the question', async () => {
    const world = keyServerWorld();
    const ephemeral = (hex: string) => ({ ephemeral: x25519KeyPairFromSecret(new Uint8Array(bytes(hex))) });
    const asker = { ...(await channelEnd(world, 1)), ...ephemeral(open.hpkeEphemeralSecret) };
    const asked = { ...(await channelEnd(world, 2)), ...ephemeral(accept.hpkeEphemeralSecret) };
    const body = decodeOpenRequest(open.body);
    expect(toPrefixedHex(asked.peer.digest)).toBe(open.body.responder);
    const opening = openChannel(asker, asked.peer);
    expect(opening.message).toEqual(body.message);
    const accepted = acceptChannel(asked, asker.peer, body.message);
    expect(handshakeToWire(accepted.answer)).toEqual(accept.answer);
    const mine = opening.complete(decodeOpenAnswer(accept.answer));
    const { content } = accepted.session.openRequest(parseBase64(request.message, 'message'));
    expect(toPrefixedHex(content)).toBe(request.content);
    const { kind, newest, payload } = openEnvelope(content);
    expect([kind, newest.block]).toEqual([request.envelope.kind, request.envelope.block]);
    expect(decodeRequest(payload).message).toMatchObject({ kind: 'read' });
    expect(sealEnvelope({ kind, newest, payload })).toEqual(content);
    const { counter } = mine.sealRequest(content);
    const answer = mine.openAnswer(counter, parseBase64(refusal.message, 'message'));
    expect(openEnvelope(answer).kind).toBe('refused');
  });
});
