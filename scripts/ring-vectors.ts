import { toBase64 } from '../src/bytes/base64.ts';
import { concatBytes, utf8 } from '../src/bytes/concat.ts';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex as hex, toHex } from '../src/bytes/hex.ts';
import { u64BigEndian } from '../src/bytes/integers.ts';
import { peerDigest } from '../src/channel/attested-peer.ts';
import { chacha20Poly1305Seal } from '../src/crypto/chacha20-poly1305.ts';
import { deriveKey } from '../src/crypto/hkdf.ts';
import { sha256 } from '../src/crypto/sha2.ts';
import { x25519KeyPairFromSecret } from '../src/crypto/x25519.ts';
import { sealAuth } from '../src/hpke/hpke.ts';
import { type EnvelopeKind, sealEnvelope } from '../src/node/ring/envelope.ts';
import { handshakeToWire, openRequestToWire } from '../src/protocol/channel-opening.ts';
import { type AttestationParameters, attestationReportData } from '../src/protocol/report-data.ts';
import { constantsDigest, firstRegistry, registryDigest, viewOf } from '../src/ring/members/registry.ts';
import { DigestTree } from '../src/ring/replication/digest-tree.ts';
import { encodeMessage } from '../src/ring/replication/wire.ts';

const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);

/** A node whose secrets are one byte, as in `test/support/channel-ends.ts`. */
function endOf(byte: number) {
  const keyPair = x25519KeyPairFromSecret(filled(byte));
  const attested: AttestationParameters = {
    server: AccountId.of(filled(byte)),
    x25519PublicKey: X25519PublicKey.of(keyPair.publicKey),
    instanceId: InstanceId.of(filled(byte, 16)),
    finalized: { number: 7, hash: BlockHash.of(filled(9)) },
  };
  return { attested, keyPair, digest: peerDigest(attested) };
}

/** Five servers, of which one is no member yet and two have one stash; their registry, positions and the holders of an id. */
function placementVectors(): object {
  const constants = { firstBlock: 100, everyBlocks: 10, replicas: 3 };
  const servers = [1, 2, 3, 4, 5].map((byte) => ({
    account: AccountId.of(filled(byte)),
    stash: AccountId.of(filled(byte === 2 ? 0x81 : 0x80 + byte)),
    evidence: sha256(filled(byte), utf8(`quote ${byte}`)),
    platform: byte === 5 ? '' : `${byte}`.repeat(32),
    anchor: byte === 5 ? undefined : BlockHash.of(filled(0xb0 + byte)),
  }));
  const content = { block: 120, timestampMs: 1_800_000_000_000, servers };
  const first = firstRegistry(constants);
  const digest = registryDigest(first.digest, content);
  const { placement } = viewOf({ ...content, digest }, constants);
  const id = filled(0x11);
  return {
    constants,
    constantsDigest: hex(constantsDigest(constants)),
    firstDigest: hex(first.digest),
    block: content.block,
    timestampMs: content.timestampMs,
    servers: servers.map(({ account, stash, evidence, platform, anchor }) => ({
      account: hex(account),
      stash: hex(stash),
      evidence: hex(evidence),
      platform,
      ...(anchor === undefined ? {} : { anchor: hex(anchor) }),
    })),
    digest: hex(digest),
    positions: placement.members.map(({ account, position }) => ({
      account: hex(account),
      position: hex(position),
    })),
    id: hex(id),
    holders: placement.replicasOf(id).map(({ account }) => hex(account)),
  };
}

/** Digests of the records 0 to n − 1: id SHA-256(u64 i), order u64 i. */
function recordDigests(): object {
  return [0, 2, 64, 65, 1100].map((count) => {
    const tree = new DigestTree();
    for (let at = 0; at < count; at++) {
      const held = { expiresAtMs: 0, storedAtMs: undefined };
      tree.set({ ...held, id: toHex(sha256(u64BigEndian(at))), order: u64BigEndian(at) });
    }
    return { count, digest: tree.digest };
  });
}

/**
 * A channel between two members of the ring: how it is opened, and one question over it; where records lie, and the digests
 * by which members compare them.
 */
export function ringVectors(): object {
  const [initiator, responder] = [endOf(1), endOf(2)];
  const ephemerals = { open: filled(0x61), accept: filled(0x62) };
  const plaintexts = { open: filled(16), accept: filled(32) };
  const infoOf = (step: 'open' | 'accept') =>
    concatBytes(utf8(`latchkey/v1/channel/${step}\0`), initiator.digest, responder.digest);
  const sealed = (step: 'open' | 'accept', aad: Uint8Array) =>
    sealAuth({
      plaintext: plaintexts[step],
      aad,
      info: infoOf(step),
      recipientPublicKey: (step === 'open' ? responder : initiator).attested.x25519PublicKey,
      senderKeyPair: (step === 'open' ? initiator : responder).keyPair,
      ephemeral: x25519KeyPairFromSecret(ephemerals[step]),
    });
  const open = sealed('open', new Uint8Array(0));
  const openDigest = sha256(open.enc, open.ciphertext);
  const accept = sealed('accept', openDigest);
  const digests = [openDigest, sha256(accept.enc, accept.ciphertext)];
  const keyMaterial = concatBytes(plaintexts.open, plaintexts.accept, ...digests);
  const derive = (part: string, length = 32) => deriveKey(keyMaterial, `latchkey/v1/channel/${part}`, length);
  const session = {
    id: derive('session', 16),
    fromInitiator: derive('from-initiator'),
    fromResponder: derive('from-responder'),
  };
  const message = (key: Uint8Array, kind: number, content: Uint8Array): Uint8Array => {
    const header = concatBytes(session.id, Uint8Array.of(kind), u64BigEndian(0), u64BigEndian(0));
    const aad = concatBytes(utf8('latchkey/v1/channel/message'), header);
    return concatBytes(header, chacha20Poly1305Seal(key, new Uint8Array(12), aad, content));
  };
  const accounts = [initiator, responder].map(({ attested }) => toHex(attested.server));
  const status = { adopted: 8, complete: 8, draining: false, tooOld: [] };
  const question = encodeMessage({
    status,
    message: { kind: 'read', configuration: [accounts], id: 'ab'.repeat(32) },
  });
  const envelope = (kind: EnvelopeKind, payload: Uint8Array) => {
    const newest = { block: 8, digest: filled(0x44) };
    const bytes = sealEnvelope({ kind, newest, payload });
    return {
      shown: {
        kind,
        block: newest.block,
        digest: hex(newest.digest),
        payload: new TextDecoder().decode(payload),
      },
      bytes,
    };
  };
  const asked = envelope('ring', question);
  const refused = envelope('refused', utf8('RING_OTHER_CONFIGURATION'));
  const shownEnd = ({ attested, digest }: typeof initiator, byte: number) => ({
    account: hex(attested.server),
    x25519Secret: hex(filled(byte)),
    x25519PublicKey: hex(attested.x25519PublicKey),
    instanceId: hex(attested.instanceId),
    reportData: hex(attestationReportData(attested)),
    digest: hex(digest),
  });
  const attestation = { ...initiator.attested, quote: utf8('the quote with that reportData') };
  return {
    initiator: shownEnd(initiator, 1),
    responder: shownEnd(responder, 2),
    open: {
      plaintext: hex(plaintexts.open),
      info: hex(infoOf('open')),
      hpkeEphemeralSecret: hex(ephemerals.open),
      body: openRequestToWire({ attestation, responder: responder.digest, message: open }),
    },
    accept: {
      plaintext: hex(plaintexts.accept),
      info: hex(infoOf('accept')),
      aad: hex(openDigest),
      hpkeEphemeralSecret: hex(ephemerals.accept),
      answer: handshakeToWire(accept),
    },
    session: {
      keyMaterial: hex(keyMaterial),
      sessionId: hex(session.id),
      fromInitiator: hex(session.fromInitiator),
      fromResponder: hex(session.fromResponder),
    },
    request: {
      envelope: asked.shown,
      content: hex(asked.bytes),
      message: toBase64(message(session.fromInitiator, 0, asked.bytes)),
    },
    refusal: {
      envelope: refused.shown,
      content: hex(refused.bytes),
      message: toBase64(message(session.fromResponder, 1, refused.bytes)),
    },
    placement: placementVectors(),
    recordDigests: recordDigests(),
  };
}
