import { toBase64 } from '../src/bytes/base64.ts';
import { concatBytes, utf8 } from '../src/bytes/concat.ts';
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
import { Lineage } from '../src/lineage/lineage.ts';
import { lineageIdOf, sealLineageKey } from '../src/lineage/lineage-key.ts';
import { ChallengeIssuer } from '../src/protocol/challenge.ts';
import { type Extensions, noExtensions } from '../src/protocol/extensions.ts';
import { type MacRoute, macLabel } from '../src/protocol/labels.ts';
import { type LineageUpdate, lineageUpdateBytes } from '../src/protocol/lineage-messages.ts';
import { depositToWire, incarnationToWire, type LineageState } from '../src/protocol/lineage-state.ts';
import { requestMac, responseMac } from '../src/protocol/mac.ts';
import { recoveryProof } from '../src/protocol/recovery-proof.ts';
import { attestationReportData, requestReportData } from '../src/protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../src/protocol/sealed-key.ts';
import {
  claimBytes,
  forgottenBytes,
  forgottenToWire,
  type KeyStatus,
  keyStatusBytes,
  reserveBytes,
  type ServerState,
  serverStateBytes,
  serverStateToWire,
} from '../src/protocol/slot-messages.ts';

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
const finalized = { number: 1_234_567, hash: BlockHash.of(fixed('block')) };
const nowMs = Date.UTC(2026, 10, 21, 12);
/** Names that are out of order and one that no version knows; the contents are opaque to this page. */
const extensions: Extensions = new Map([
  ['fleet', fixed('fleet extension', 16)],
  ['auditHead', fixed('audit head extension', 24)],
  ['notKnownYet', fixed('unknown extension', 5)],
]);
const secret = (bytes: Uint8Array): SecretBytes => new SecretBytes(new Uint8Array(bytes));

const lineageSecret = fixed('lineage secret');
const lineage = new Lineage(secret(lineageSecret));
const boot = fixed('boot', 8);
const incarnation = lineage.incarnation(3, boot);
const head = lineage.head(incarnation, 42, fixed('log digest', 16));
const lineageKey = lineage.keyOf(server);
const linkNonce = fixed('link nonce', 24);
const linkSeal = sealLineageKey(
  secret(serverKey),
  { server, account: client, slotId },
  lineageKey,
  () => linkNonce,
);
const shown: LineageState = {
  reserved: lineage.reservation(3, boot),
  shown: incarnation,
  head,
  slots: [slotId, SlotId.of(fixed('slot of the next generation', 16))],
  closed: false,
};

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
    lineage: shown,
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

/** Everything of a lineage that its node derives for one server. */
function lineageVector() {
  const logDigest = fixed('log digest', 16);
  return {
    secret: hex(lineageSecret),
    key: hex(lineageKey.reveal()),
    id: hex(lineageIdOf(lineageKey)),
    linkSeal: {
      key: hex(deriveKey(serverKey, 'latchkey/v1/lineage/link')),
      nonce: hex(linkNonce),
      associatedData: hex(concatBytes(utf8('latchkey/v1/lineage/link'), server, client, slotId)),
      sealed: hex(linkSeal),
    },
    incarnationMark: {
      key: hex(deriveKey(lineageSecret, 'latchkey/v1/mark/incarnation')),
      input: hex(concatBytes(u64BigEndian(3), boot)),
      ...incarnationToWire(incarnation),
    },
    reservationMark: {
      key: hex(deriveKey(lineageSecret, 'latchkey/v1/mark/reservation')),
      input: hex(concatBytes(u64BigEndian(3), boot)),
      boot: hex(lineage.reservation(3, boot).boot),
    },
    headMark: {
      key: hex(deriveKey(lineageSecret, 'latchkey/v1/mark/head')),
      logDigest: hex(logDigest),
      input: hex(concatBytes(u64BigEndian(3), incarnation.bootId, u64BigEndian(head.sequence), logDigest)),
      ...depositToWire(head),
    },
  };
}

interface Said {
  readonly content: Uint8Array;
  readonly wire: object;
}

/** @param state the answer; with `erased` that of `forget`. */
function macVector(
  route: MacRoute,
  { content, wire }: Said,
  state: ServerState & { readonly erased?: boolean },
) {
  const random = fixed(`random ${route}`, 16);
  const isOfLineage = route === 'lineage-status' || route === 'lineage-update';
  const name = isOfLineage ? lineageIdOf(lineageKey) : slotId;
  const key = isOfLineage ? lineageKey : secret(serverKey);
  const envelope = { server, account: client, name, timestampMs: nowMs, random };
  const mac = requestMac(key, route, envelope, content);
  const { erased } = state;
  const answerContent = erased === undefined ? serverStateBytes(state) : forgottenBytes({ ...state, erased });
  const answerMac = responseMac(key, route, mac, answerContent);
  return {
    request: {
      macKey: hex(deriveKey(key.reveal(), macLabel(route, 'request'))),
      macInput: hex(concatBytes(server, client, name, u64BigEndian(nowMs), random, content)),
      body: {
        accountId: encodeSs58(client),
        [isOfLineage ? 'lineageId' : 'slotId']: hex(name),
        timestampMs: nowMs,
        random: hex(random),
        ...wire,
        mac: hex(mac),
      },
    },
    answer: {
      macKey: hex(deriveKey(key.reveal(), macLabel(route, 'response'))),
      macInput: hex(concatBytes(mac, answerContent)),
      body:
        erased === undefined
          ? serverStateToWire(state, answerMac)
          : forgottenToWire({ ...state, erased }, answerMac),
    },
  };
}

const statusOf = (status: KeyStatus): Said => ({
  content: keyStatusBytes(status),
  wire: {
    confirm: status.confirm,
    ...(status.lineage === undefined ? {} : { lineage: hex(status.lineage) }),
    ...incarnationToWire(status.incarnation),
    ...(status.head === undefined ? {} : { head: depositToWire(status.head) }),
    ...(status.report === undefined ? {} : { report: status.report }),
  },
});

const updateOf = (update: LineageUpdate): Said => ({
  content: lineageUpdateBytes(update),
  wire: {
    ...incarnationToWire(update.incarnation),
    ...(update.head === undefined ? {} : { head: depositToWire(update.head) }),
    forget: update.forget.map(hex),
    ...(update.close === undefined
      ? {}
      : {
          close: {
            ...incarnationToWire(update.close.last),
            head: depositToWire(update.close.head),
          },
        }),
  },
});

function macVectors() {
  const report = { threshold: 3, slots: 5, live: 4 };
  const state: ServerState = {
    instanceId,
    serverTimeMs: nowMs + 5,
    draining: false,
    lineage: shown,
    extensions: noExtensions,
  };
  const nobody = { number: 0, bootId: new Uint8Array(16) };
  const bare: KeyStatus = {
    confirm: false,
    lineage: undefined,
    incarnation: nobody,
    head: undefined,
    report: undefined,
  };
  const full = statusOf({ confirm: true, lineage: undefined, incarnation, head, report });
  const wish = lineage.reservation(4, fixed('next boot', 8));
  const next = lineage.incarnation(wish.number, fixed('next boot', 8));
  const last = lineage.incarnation(Number.MAX_SAFE_INTEGER, fixed('last boot', 8));
  const lastHead = lineage.head(last, Number.MAX_SAFE_INTEGER, fixed('last log digest', 16));
  const claim = { content: claimBytes(next), wire: incarnationToWire(next) };
  const afterClaim: LineageState = { ...shown, reserved: wish, shown: next };
  return {
    keyStatus: macVector('key-status', full, state),
    keyStatusThatLinks: macVector(
      'key-status',
      statusOf({ confirm: true, lineage: linkSeal, incarnation, head, report }),
      { ...state, lineage: { ...shown, slots: [slotId] } },
    ),
    keyStatusWithoutOptionalFields: macVector('key-status', statusOf(bare), { ...state, lineage: undefined }),
    keyStatusOfDrainingServer: macVector('key-status', full, { ...state, draining: true }),
    keyStatusWithExtensions: macVector('key-status', full, { ...state, extensions }),
    reserve: macVector(
      'reserve',
      { content: reserveBytes(wish), wire: { incarnation: wish.number, boot: hex(wish.boot) } },
      { ...state, lineage: { ...shown, reserved: wish } },
    ),
    claim: macVector('claim', claim, { ...state, lineage: afterClaim }),
    forget: macVector('forget', claim, {
      ...state,
      lineage: { ...afterClaim, slots: shown.slots.slice(1) },
      erased: true,
    }),
    forgetOfOlderIncarnation: macVector(
      'forget',
      { content: claimBytes(incarnation), wire: incarnationToWire(incarnation) },
      { ...state, lineage: afterClaim, erased: false },
    ),
    forgetWithExtensions: macVector('forget', claim, {
      ...state,
      lineage: undefined,
      extensions,
      erased: true,
    }),
    lineageStatus: macVector(
      'lineage-status',
      { content: new Uint8Array(0), wire: {} },
      {
        ...state,
        lineage: { ...shown, head: undefined, slots: [] },
      },
    ),
    lineageUpdate: macVector(
      'lineage-update',
      updateOf({ incarnation, head, forget: shown.slots.slice(0, 1), close: undefined }),
      { ...state, lineage: { ...shown, slots: shown.slots.slice(1) } },
    ),
    lineageUpdateThatCloses: macVector(
      'lineage-update',
      updateOf({ incarnation, head, forget: [], close: { last, head: lastHead } }),
      {
        ...state,
        lineage: {
          reserved: { number: last.number, boot: last.bootId },
          shown: last,
          head: lastHead,
          slots: [],
          closed: true,
        },
      },
    ),
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
    lineage: lineageVector(),
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
