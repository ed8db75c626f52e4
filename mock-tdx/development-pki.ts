import { toHex } from '../src/bytes/hex.ts';
import { type RandomSource, systemRandom } from '../src/crypto/random.ts';
import {
  assembleCollateral,
  type CollateralJson,
  type CollateralParts,
} from './collateral/collateral-parts.ts';
import { qeIdentity } from './collateral/qe-identity.ts';
import { type DocumentFrame, tcbInfo } from './collateral/tcb-info.ts';
import { type Authorities, type Authority, createAuthorities } from './pki/authorities.ts';
import { pem } from './pki/pem.ts';
import { createPlatform, type PckCaKind, type Platform, platformFacts } from './pki/platform.ts';
import type { RevocationListSpec } from './pki/revocation-list.ts';
import { Seed } from './pki/seed.ts';
import type { SgxFacts } from './pki/sgx-extension.ts';
import { qeReport } from './quote/qe-report.ts';
import { assembleQuote, INTEL_QE_VENDOR_ID, type QuoteParts } from './quote/quote-parts.ts';
import { type TdBody, type TdBodyLayout, tdBody } from './quote/td-body.ts';

/** How a development PKI is made. */
export interface DevelopmentPkiOptions {
  /** The same seed gives the same keys, certificates and platforms; at random without. */
  readonly seed?: Uint8Array;
  /** Where a missing seed comes from. */
  readonly random?: RandomSource;
  /** 6 bytes, the same for all platforms. */
  readonly fmspc?: Uint8Array;
}

/** What a quote should say. */
export interface QuoteRequest {
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** Default 4. */
  readonly version?: 4 | 5;
  /** Default 1.0 for version 4 and 1.5 for version 5; version 4 knows 1.0 only. */
  readonly layout?: TdBodyLayout;
  /** Which simulated machine, default 0. */
  readonly platform?: number;
  /** Default platform. */
  readonly ca?: PckCaKind;
  /** Changes to the TD's report. */
  readonly body?: Partial<TdBody>;
  /** Changes to what the PCK certificate says. */
  readonly facts?: Partial<SgxFacts>;
}

/** What a collateral set should be for. */
export interface CollateralRequest {
  readonly nowMs: number;
  /** Default platform. */
  readonly ca?: PckCaKind;
  readonly tcbEvaluationDataNumber?: number;
}

/** FMSPC of development platforms; no real one begins so. */
export const DEVELOPMENT_FMSPC: Uint8Array = Uint8Array.of(0xde, 0x7e, 0x10, 0, 0, 0);
export const DEVELOPMENT_TCB_EVALUATION_DATA_NUMBER = 20;

const DAY_MS = 86_400_000;
const COLLATERAL_LIFE_MS = 30 * DAY_MS;

/**
 * A PKI with the exact shape of Intel's. Its quotes and collateral pass a full verification under its root. It proves
 * nothing: everybody with the seed can make any quote.
 */
export class DevelopmentPki {
  readonly #seed: Seed;
  readonly #platforms = new Map<string, Platform>();
  readonly authorities: Authorities;
  readonly fmspc: Uint8Array;

  constructor(options: DevelopmentPkiOptions = {}) {
    this.#seed = new Seed(options.seed ?? (options.random ?? systemRandom)(32));
    this.authorities = createAuthorities(this.#seed);
    this.fmspc = options.fmspc ?? DEVELOPMENT_FMSPC;
  }

  /** The root certificate that a verifier has to be given. */
  get rootPem(): string {
    return pem('CERTIFICATE', this.authorities.root.certificate);
  }

  /** Simulated machine `number`; made on first use, the same ever after. */
  platform(number = 0, ca: PckCaKind = 'platform', changes?: Partial<SgxFacts>): Platform {
    const facts = { ...platformFacts(this.#seed, number, this.fmspc, ca), ...changes };
    if (changes !== undefined) return createPlatform(this.#seed, this.authorities, number, ca, facts);
    const known = this.#platforms.get(`${ca}/${number}`);
    const platform = known ?? createPlatform(this.#seed, this.authorities, number, ca, facts);
    this.#platforms.set(`${ca}/${number}`, platform);
    return platform;
  }

  /** Everything that goes into a quote, not yet signed. */
  quoteParts(request: QuoteRequest): QuoteParts {
    const platform = this.platform(request.platform, request.ca, request.facts);
    const version = request.version ?? 4;
    const authenticationData = Uint8Array.from({ length: 32 }, (_, index) => index);
    return {
      version,
      attestationKeyType: 2,
      teeType: 0x81,
      qeVendorId: new Uint8Array(Buffer.from(INTEL_QE_VENDOR_ID, 'hex')),
      userData: new Uint8Array(20),
      layout: request.layout ?? (version === 5 ? '1.5' : '1.0'),
      body: tdBody(request.reportData, request.body),
      attestationKey: platform.attestationKey,
      qeReport: qeReport(platform.facts.cpuSvn, platform.attestationKey.publicKey, authenticationData),
      pckKey: platform.pck.key,
      authenticationData,
      certificationPem: platform.certificationPem,
      certificationDataType: 6,
      innerCertificationDataType: 5,
    };
  }

  /** A signed quote, about 4.9 kB. */
  quote(request: QuoteRequest): Uint8Array {
    return assembleQuote(this.quoteParts(request));
  }

  /** Everything that goes into a collateral set, not yet signed; issued on the day before `nowMs`, valid 30 days. */
  collateralParts(request: CollateralRequest): CollateralParts {
    const issuedMs = Math.floor(request.nowMs / DAY_MS) * DAY_MS - DAY_MS;
    const frame: DocumentFrame = {
      issuedMs,
      nextUpdateMs: issuedMs + COLLATERAL_LIFE_MS,
      tcbEvaluationDataNumber: request.tcbEvaluationDataNumber ?? DEVELOPMENT_TCB_EVALUATION_DATA_NUMBER,
    };
    const { root, tcbSigner, platformCa, processorCa } = this.authorities;
    const pckCa = request.ca === 'processor' ? processorCa : platformCa;
    const signed = { signer: tcbSigner.key, issuerChain: [tcbSigner.certificate, root.certificate] };
    return {
      tcbInfo: { ...signed, content: tcbInfo(toHex(this.fmspc).toUpperCase(), '0000', frame) },
      qeIdentity: { ...signed, content: qeIdentity(frame) },
      pckCrl: { spec: revocationList(pckCa, frame), signer: pckCa.key },
      pckCrlIssuerChain: [pckCa.certificate, root.certificate],
      rootCaCrl: { spec: revocationList(root, frame), signer: root.key },
    };
  }

  /** A signed collateral set. */
  collateral(request: CollateralRequest): CollateralJson {
    return assembleCollateral(this.collateralParts(request));
  }
}

/** Makes a development PKI; see {@link DevelopmentPkiOptions}. */
export const createDevelopmentPki = (options: DevelopmentPkiOptions = {}): DevelopmentPki =>
  new DevelopmentPki(options);

function revocationList(issuer: Authority, frame: DocumentFrame): RevocationListSpec {
  return {
    issuer: issuer.spec.subject,
    authorityKeyIdentifier: issuer.key.keyIdentifier,
    thisUpdateMs: frame.issuedMs,
    nextUpdateMs: frame.nextUpdateMs,
    crlNumber: 1,
    revokedSerialNumbers: [],
  };
}
