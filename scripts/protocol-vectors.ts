import { toBase64 } from '../src/bytes/base64.ts';
import { concatBytes } from '../src/bytes/concat.ts';
import {
  AccountId,
  BlockHash,
  InstanceId,
  KeyId,
  Nonce,
  SlotId,
  X25519PublicKey,
} from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { u64BigEndian } from '../src/bytes/integers.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { deriveKey } from '../src/crypto/hkdf.ts';
import { sha256 } from '../src/crypto/sha2.ts';
import { x25519KeyPairFromSecret } from '../src/crypto/x25519.ts';
import { sealAuth } from '../src/hpke/hpke.ts';
import { ChallengeIssuer } from '../src/protocol/challenge.ts';
import { type Extensions, noExtensions } from '../src/protocol/extensions.ts';
import { type MacRoute, macLabel } from '../src/protocol/labels.ts';
import {
  claimBytes,
  forgottenBytes,
  forgottenToWire,
  headToWire,
  keyStatusBytes,
  requestMac,
  responseMac,
  type SlotState,
  slotStateBytes,
  slotStateToWire,
} from '../src/protocol/mac-routes.ts';
import { recoveryProof } from '../src/protocol/recovery-proof.ts';
import { attestationReportData, requestReportData } from '../src/protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../src/protocol/sealed-key.ts';

/** Named bytes that are the same at every run: SHA-256 of a name. */
const fixed = (name: string, length = 32): Uint8Array =>
  sha256(new TextEncoder().encode(`latchkey protocol vectors/${name}`)).subarray(0, length);
const hex = toPrefixedHex;

const server = AccountId.of(fixed('server'));
const otherServer = AccountId.of(fixed('other server'));
const client = AccountId.of(fixed('client'));
const serverSecret = fixed('server X25519');
const serverKeys = x25519KeyPairFromSecret(serverSecret);
const ephemeralSecret = fixed('ephemeral');
const ephemeral = x25519KeyPairFromSecret(ephemeralSecret);
const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
const instanceId = InstanceId.of(fixed('instance', 16));
const slotId = SlotId.of(fixed('slot', 16));
const serverKey = fixed('server key');
const token = fixed('recovery token');
const bootId = fixed('boot', 16);
const finalized = { number: 1_234_567, hash: BlockHash.of(fixed('block')) };
const nowMs = Date.UTC(2026, 10, 21, 12);
const head = { generation: 1, sequence: 42, digest: fixed('head') };
/** Names that are out of order and one that no version knows; the contents are opaque to this page. */
const extensions: Extensions = new Map([
  ['lineage', fixed('lineage extension', 24)],
  ['fleet', fixed('fleet extension', 16)],
  ['notKnownYet', fixed('unknown extension', 5)],
]);
const secret = (bytes: Uint8Array): SecretBytes => new SecretBytes(new Uint8Array(bytes));

const issuer = new ChallengeIssuer({ random: () => new Uint8Array(fixed('challenge secret')) });
const { nonce, expiresAtMs } = issuer.issue(client, ephemeralPublicKey, nowMs);
const servers = [
  { server: otherServer, nonce: Nonce.of(fixed('other nonce')), slotId: SlotId.of(fixed('other slot', 16)) },
  { server, nonce, slotId },
];
const request = { account: client, ephemeralPublicKey, intent: 'create', servers } as const;
const reportData = requestReportData(request);

function answerVector() {
  const hpkeEphemeralSecret = fixed('HPKE ephemeral');
  const grant = {
    key: secret(serverKey),
    keyId: KeyId.of(fixed('key id', 16)),
    created: true,
    createdAtMs: nowMs,
    recoveryToken: secret(token),
    serverTimeMs: nowMs,
    finalized,
    incarnation: { number: 3, bootId },
    head,
    extensions,
  };
  const plaintext = encodeKeyGrant(grant);
  const info = sealedKeyInfo(server, client);
  const aad = sealedKeyAad(reportData, instanceId);
  const { enc, ciphertext } = sealAuth({
    recipientPublicKey: ephemeralPublicKey,
    senderKeyPair: serverKeys,
    ephemeral: x25519KeyPairFromSecret(hpkeEphemeralSecret),
    info,
    aad,
    plaintext,
  });
  return {
    info: hex(info),
    aad: hex(aad),
    plaintext: new TextDecoder().decode(plaintext),
    hpkeEphemeralSecret: hex(hpkeEphemeralSecret),
    body: {
      server: encodeSs58(server),
      instanceId: hex(instanceId),
      enc: hex(enc),
      ciphertext: toBase64(ciphertext),
    },
  };
}

/** @param said extensions of the answer when it has no state. */
function macVector(
  route: MacRoute,
  content: Uint8Array,
  wire: object,
  state: SlotState | undefined,
  said = noExtensions,
) {
  const random = fixed(`random ${route}`, 16);
  const key = secret(serverKey);
  const envelope = { server, account: client, slotId, timestampMs: nowMs, random };
  const mac = requestMac(key, route, envelope, content);
  const answerContent = state === undefined ? forgottenBytes(said) : slotStateBytes(state);
  const answerMac = responseMac(key, route, mac, answerContent);
  return {
    request: {
      macKey: hex(deriveKey(serverKey, macLabel(route, 'request'))),
      macInput: hex(concatBytes(server, client, slotId, u64BigEndian(nowMs), random, content)),
      body: {
        accountId: encodeSs58(client),
        slotId: hex(slotId),
        timestampMs: nowMs,
        random: hex(random),
        ...wire,
        mac: hex(mac),
      },
    },
    answer: {
      macKey: hex(deriveKey(serverKey, macLabel(route, 'response'))),
      macInput: hex(concatBytes(mac, answerContent)),
      body: state === undefined ? forgottenToWire(said, answerMac) : slotStateToWire(state, answerMac),
    },
  };
}

function macVectors() {
  const incarnation = { number: 3, bootId };
  const report = { threshold: 3, slots: 5, live: 4 };
  const state: SlotState = {
    instanceId,
    serverTimeMs: nowMs + 5,
    incarnation,
    head,
    draining: false,
    extensions: noExtensions,
  };
  const claimed = { number: 4, bootId: fixed('next boot', 16) };
  const bare = { confirm: false, incarnation: { number: 0, bootId: new Uint8Array(16) } } as const;
  return {
    keyStatus: macVector(
      'key-status',
      keyStatusBytes({ confirm: true, incarnation, head, report }),
      { confirm: true, incarnation: 3, bootId: hex(bootId), head: headToWire(head), report },
      state,
    ),
    keyStatusWithoutOptionalFields: macVector(
      'key-status',
      keyStatusBytes({ ...bare, head: undefined, report: undefined }),
      { confirm: false, incarnation: 0, bootId: hex(bare.incarnation.bootId) },
      { ...state, incarnation: bare.incarnation, head: undefined },
    ),
    keyStatusOfDrainingServer: macVector(
      'key-status',
      keyStatusBytes({ confirm: true, incarnation, head, report }),
      { confirm: true, incarnation: 3, bootId: hex(bootId), head: headToWire(head), report },
      { ...state, draining: true },
    ),
    keyStatusWithExtensions: macVector(
      'key-status',
      keyStatusBytes({ confirm: true, incarnation, head, report }),
      { confirm: true, incarnation: 3, bootId: hex(bootId), head: headToWire(head), report },
      { ...state, extensions },
    ),
    claim: macVector(
      'claim',
      claimBytes(claimed),
      { incarnation: claimed.number, bootId: hex(claimed.bootId) },
      { ...state, incarnation: claimed },
    ),
    forget: macVector('forget', new Uint8Array(0), {}, undefined),
    forgetWithExtensions: macVector('forget', new Uint8Array(0), {}, undefined, extensions),
  };
}

/** The test vectors of docs/protocol.md: every byte of one exchange, made by this implementation from fixed inputs. */
export function protocolVectors() {
  return {
    keys: {
      serverAccount: hex(server),
      clientAccount: hex(client),
      serverX25519Secret: hex(serverSecret),
      serverX25519PublicKey: hex(serverKeys.publicKey),
      ephemeralSecret: hex(ephemeralSecret),
      ephemeralPublicKey: hex(ephemeralPublicKey),
      serverKey: hex(serverKey),
      recoveryToken: hex(token),
    },
    challenge: {
      body: { accountId: encodeSs58(client), ephemeralPublicKey: hex(ephemeralPublicKey) },
      answer: { server: encodeSs58(server), nonce: hex(nonce), expiresAtMs, instanceId: hex(instanceId) },
    },
    request: {
      reportData: hex(reportData),
      body: {
        accountId: encodeSs58(client),
        ephemeralPublicKey: hex(ephemeralPublicKey),
        intent: request.intent,
        servers: servers.map((entry) => ({
          server: encodeSs58(entry.server),
          nonce: hex(entry.nonce),
          slotId: hex(entry.slotId),
        })),
        recoveryProof: hex(recoveryProof(secret(token), reportData)),
        quote: 'a quote whose report data are the 64 bytes above, base64',
      },
    },
    plainRequest: {
      about:
        'the same account and ephemeral key, intent get-or-create, the answering server alone, no slot id',
      reportData: hex(
        requestReportData({
          ...request,
          intent: 'get-or-create',
          servers: [{ server, nonce, slotId: SlotId.of(new Uint8Array(16)) }],
        }),
      ),
    },
    answer: answerVector(),
    ...macVectors(),
    attestation: {
      finalized: { number: finalized.number, hash: hex(finalized.hash) },
      reportData: hex(
        attestationReportData({
          server,
          x25519PublicKey: X25519PublicKey.of(serverKeys.publicKey),
          instanceId,
          finalized,
        }),
      ),
    },
  };
}
