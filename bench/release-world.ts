import { createDevelopmentPki, type DevelopmentPki } from '../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { toBase64 } from '../src/bytes/base64.ts';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { type RandomSource, systemRandom } from '../src/crypto/random.ts';
import { generateX25519KeyPair } from '../src/crypto/x25519.ts';
import { accountRegistry } from '../src/keyserver/account-registry.ts';
import { AdmissionQueue } from '../src/keyserver/admission-queue.ts';
import { Judge } from '../src/keyserver/judge.ts';
import { KeyServer } from '../src/keyserver/key-server.ts';
import { OwnAttestation } from '../src/keyserver/own-attestation.ts';
import { TcbGrace } from '../src/keyserver/tcb-grace.ts';
import { defaultVaultLimits, Vault } from '../src/keyserver/vault.ts';
import { EvidenceVerifier } from '../src/keyserver/verify.ts';
import type { Log } from '../src/observe/log.ts';
import type { Metrics } from '../src/observe/metrics.ts';
import { ChallengeIssuer } from '../src/protocol/challenge.ts';
import { PLAIN_SLOT_ID, requestReportData } from '../src/protocol/report-data.ts';
import { insecureTrustRoot, parseCollateralDocuments, QuoteVerifier } from '../src/tdx/verify-quote.ts';
import { TokenBuckets } from '../src/time/token-buckets.ts';
import { measurementId } from '../src/trust/measurement.ts';
import { noPlatformLists } from '../src/trust/platform-lists.ts';
import { PlatformRules } from '../src/trust/platform-rules.ts';
import { trustHash } from '../src/trust/trust-hash.ts';
import { parseTrustSection, tdPolicyOf } from '../src/trust/trust-section.ts';

/** The moment at which every request of this bench is made and judged. */
export const NOW_MS = Date.UTC(2026, 10, 21, 12);
export const unlimited = { burst: 1e9, perSecond: 1e9 };
const trust = parseTrustSection({ chain: { genesisHash: `0x${'00'.repeat(32)}` } });
const measurements = { ...developmentMeasurements, mrConfigId: trustHash(trust) };

/** The development PKI of these benches: the same in every process. */
export const benchPki = (): DevelopmentPki => createDevelopmentPki({ seed: new Uint8Array(32).fill(9) });

/** A quote that this bench's servers accept. */
export const benchQuote = (pki: DevelopmentPki, reportData: Uint8Array, platform: number): Uint8Array =>
  pki.quote({ reportData, platform, body: measurements });

/** A key server with all checks on, on one of the platforms, and the parts that requests are made with. */
export function releaseWorld(log: Log, metrics: Metrics, platform = 0) {
  const pki = benchPki();
  const documents = parseCollateralDocuments(pki.collateral({ nowMs: NOW_MS }));
  const account = AccountId.of(systemRandom(32));
  const x25519 = generateX25519KeyPair();
  const x25519PublicKey = X25519PublicKey.of(x25519.publicKey);
  const instanceId = InstanceId.of(systemRandom(16));
  const finalized = () => ({ number: 1, hash: BlockHash.of(new Uint8Array(32)) });
  const now = () => NOW_MS;
  const random: RandomSource = systemRandom;
  const challenges = new ChallengeIssuer({ random });
  const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) });
  const chain = { recordOf: () => undefined, lackingRecordMs: () => 0 };
  const registry = accountRegistry({ chain, verifier, now });
  const evidenceVerifier = new EvidenceVerifier({
    verifier,
    collateral: {
      graceMs: 0,
      collateralFor: async () => ({ documents, state: 'fresh', validUntilMs: NOW_MS + 86_400_000 }),
      status: () => [],
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    },
    now,
  });
  const judge = new Judge({
    trust,
    tdPolicy: tdPolicyOf(trust),
    ownMeasurement: measurementId(measurements),
    chain: () => ({ acceptedMeasurements: [], hasDeparted: () => false }),
    grace: new TcbGrace({ graceMs: 0 }),
    now,
    platformRate: new TokenBuckets(unlimited),
    platforms: new PlatformRules(trust, () => noPlatformLists),
  });
  const vault = new Vault(random, registry, {
    ...defaultVaultLimits,
    maxKeys: 1e6,
    maxKeysPerPlatform: 1e6,
    maxLineages: 1e6,
    maxPlainKeysPerPlatform: 1e6,
  });
  const keyServer = new KeyServer({
    identity: { account, x25519, x25519PublicKey, instanceId },
    challenges,
    admission: new AdmissionQueue({ random }),
    evidenceVerifier,
    judge,
    vault,
    attestation: new OwnAttestation({
      identity: { server: account, x25519PublicKey, instanceId },
      quotes: { quote: async (reportData) => benchQuote(pki, reportData, platform) },
      finalized,
      intervalMs: 60_000,
    }),
    finalized,
    now,
    log,
    onRelease: ({ grant }) => metrics.keysReleased.inc({ intent: grant.bound.request.intent }),
    onRefusal: (code) => metrics.keysRefused.inc({ code }),
    onBusy: () => metrics.keysRefused.inc({ code: 'SERVER_BUSY' }),
    onServed: () => undefined,
    onForgotten: () => undefined,
  });
  return { pki, documents, keyServer, vault, challenges, account, verifier, evidenceVerifier, judge };
}

/** One request of an account of its own, quoted by one of the platforms, as JSON text. */
export function quotedRequest(
  {
    pki,
    challenges,
    account: server,
  }: { pki: DevelopmentPki; challenges: ChallengeIssuer; account: AccountId },
  platform: number,
): string {
  const account = AccountId.of(systemRandom(32));
  const ephemeralPublicKey = X25519PublicKey.of(generateX25519KeyPair().publicKey);
  const { nonce } = challenges.issue(account, ephemeralPublicKey, NOW_MS);
  const reportData = requestReportData({
    account,
    ephemeralPublicKey,
    intent: 'get-or-create',
    servers: [{ server, nonce, slotId: PLAIN_SLOT_ID }],
  });
  return JSON.stringify({
    accountId: encodeSs58(account),
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
    servers: [{ server: encodeSs58(server), nonce: toPrefixedHex(nonce) }],
    quote: toBase64(benchQuote(pki, reportData, platform)),
  });
}
