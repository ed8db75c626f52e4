import { describe, expect, it } from 'vitest';
import { PeerClient, type QuotedRequest } from '../../../src/boot/peer/peer-client.ts';
import { failureOf } from '../../../src/boot/peer/peer-failure.ts';
import { toBase64 } from '../../../src/bytes/base64.ts';
import {
  type AccountId,
  BlockHash,
  KeyId,
  Nonce,
  ReportData,
  X25519PublicKey,
} from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { type X25519KeyPair, x25519KeyPairFromSecret } from '../../../src/crypto/x25519.ts';
import { sealAuth } from '../../../src/hpke/hpke.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../../../src/protocol/sealed-key.ts';
import { processAt, serverAt, slotIdAt } from '../../support/checked-slots.ts';

const filled = (byte: number, length = 32) => new Uint8Array(length).fill(byte);
const pairOf = (byte: number): X25519KeyPair => x25519KeyPairFromSecret(filled(byte));
const keyOf = (pair: X25519KeyPair) => X25519PublicKey.of(pair.publicKey);
const [registered, ephemeral] = [pairOf(1), pairOf(2)];
const peer = { account: serverAt(1), endpoint: 'a.example:1', x25519PublicKey: keyOf(registered) };
const nonce = Nonce.of(filled(3));
const request: QuotedRequest = {
  account: serverAt(7),
  ephemeralPublicKey: keyOf(ephemeral),
  intent: 'create',
  servers: [{ server: peer.account, nonce, slotId: slotIdAt(1) }],
  reportData: ReportData.of(filled(4, 64)),
  quote: filled(5, 10),
};

const clientOf = (body: unknown): PeerClient =>
  new PeerClient({
    transport: { send: async () => ({ status: 200, body }) },
    clock: { nowMs: () => 1_000_000, sleep: () => new Promise<never>(() => undefined) },
    random: (length) => new Uint8Array(length),
  });
const failure = async (operation: Promise<unknown>) =>
  failureOf(
    await operation.then(
      () => expect.fail('no failure'),
      (error: unknown) => error,
    ),
  );

describe('an answer to a challenge', () => {
  const ask = (server: AccountId) =>
    clientOf({
      server: encodeSs58(server),
      nonce: toPrefixedHex(nonce),
      expiresAtMs: 1,
      instanceId: toPrefixedHex(processAt(1)),
    }).challenge(peer, request.account, request.ephemeralPublicKey);

  it('is taken from the server that was asked, and not from another one', async () => {
    expect(await ask(peer.account)).toEqual(nonce);
    expect(await failure(ask(serverAt(2)))).toMatchObject({ kind: 'impostor' });
  });
});

describe('an answer with a key', () => {
  /** An answer in the name of a server, sealed by an X25519 key for a report, a client and a process. */
  function ask(changed: {
    readonly server?: AccountId;
    readonly sealedBy?: X25519KeyPair;
    readonly client?: AccountId;
    readonly reportData?: ReportData;
    readonly sealedFor?: number;
  }) {
    const { server = peer.account, sealedBy = registered, client = request.account } = changed;
    const { reportData = request.reportData, sealedFor = 1 } = changed;
    const plaintext = encodeKeyGrant({
      key: new SecretBytes(filled(6)),
      keyId: KeyId.of(filled(7, KeyId.byteLength)),
      created: true,
      createdAtMs: 1,
      recoveryToken: undefined,
      serverTimeMs: 1,
      finalized: { number: 1, hash: BlockHash.of(filled(8)) },
      lineage: undefined,
      extensions: new Map(),
    });
    const { enc, ciphertext } = sealAuth({
      recipientPublicKey: request.ephemeralPublicKey,
      senderKeyPair: sealedBy,
      info: sealedKeyInfo(peer.account, client),
      aad: sealedKeyAad(reportData, processAt(sealedFor)),
      plaintext,
    });
    return clientOf({
      server: encodeSs58(server),
      instanceId: toPrefixedHex(processAt(1)),
      enc: toPrefixedHex(enc),
      ciphertext: toBase64(ciphertext),
    }).requestKey(peer, request, undefined, ephemeral);
  }

  it('is opened when the registered key of the server sealed it to this request', async () => {
    const { grant, instanceId } = await ask({});
    expect([[...grant.key.reveal()], instanceId]).toEqual([[...filled(6)], processAt(1)]);
  });

  it('is an impostor’s in the name of another server, or sealed by another key or to something else', async () => {
    for (const changed of [
      { server: serverAt(2) },
      { sealedBy: pairOf(9) },
      { client: serverAt(8) },
      { reportData: ReportData.of(filled(9, 64)) },
      { sealedFor: 2 },
    ])
      expect(await failure(ask(changed))).toMatchObject({ kind: 'impostor' });
  });
});
