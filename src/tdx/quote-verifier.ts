import { utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { Memo, memoKey } from '../bytes/memo.ts';
import { P256PublicKey } from '../crypto/p256.ts';
import { sha256Hex } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type CollateralDocuments, parsedCollateral } from './collateral.ts';
import {
  type CollateralExpectation,
  type CollateralFacts,
  type EvaluationNumbers,
  requireExpected,
} from './collateral-summary.ts';
import {
  type PckChain,
  PckChains,
  type PckChainText,
  peekPckChain,
  RootIssuedCertificates,
} from './pck-chain.ts';
import { frozenWithJson, printable, printableFields } from './printable.ts';
import { parseQuote, Quote } from './quote.ts';
import { CERTIFICATION_TYPE_PCK_CHAIN } from './quote-layout.ts';
import {
  type QeReport,
  readQeReport,
  requireAttestationKeyBinding,
  requireQeIdentity,
} from './quoting-enclave.ts';
import type { PckCaType } from './sgx-extension.ts';
import { requireCrlIssuer, requireNotRevoked } from './signed-crl.ts';
import { evaluateTcb, type MatchedLevels, type TcbInput, type TcbVerdict } from './tcb-level.ts';
import { requireTdxModule } from './tdx-module.ts';
import { TrustRoot } from './trust-root.ts';
import { requireCurrent } from './validity.ts';
import { CollateralVerifier, type VerifiedCollateral } from './verified-collateral.ts';

/** Sizes of a verifier's caches of verified evidence; all caches are keyed by content. */
export interface VerifierLimits {
  /** Collateral sets; default 64. */
  readonly collateralSets?: number;
  /** PCK chains, one per platform and TCB; default 4,096. */
  readonly pckChains?: number;
  /** Imported attestation keys, which carry no trust; default 1,024. */
  readonly attestationKeys?: number;
}

/** Options of one verification. */
export interface VerifyOptions {
  readonly collateral: CollateralDocuments;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Lowest acceptable TCB evaluation data number; default 0. */
  readonly minimumTcbEvaluationDataNumber?: number;
  /** How long CRLs, TCB info and QE identity may be used past their `nextUpdate`; default 0. Never certificates. */
  readonly collateralGraceMs?: number;
}

/** Options of a verification without collateral. */
export interface ChainOptions {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** PEM of the platform's PCK chain, for quotes that do not carry it. */
  readonly pckCertificateChain?: string;
}

/** The facts about the machine in its PCK certificate. */
export interface PlatformFacts {
  /** 16 bytes: the platform's id. */
  readonly ppid: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  readonly ca: PckCaType;
}

/** Platform facts that a verified PCK certificate vouches for. */
export interface VerifiedPlatformFacts extends PlatformFacts {
  /** Lower-case hex without leading zeros. */
  readonly pckSerialNumber: string;
  /** 16 bytes; only platform CAs state it. */
  readonly platformInstanceId: Uint8Array | undefined;
}

const proofKey = Symbol('QuoteVerifier');

/** Proof that a quote's signatures lead to the trust root; says nothing about revocation and TCB. */
export class ChainVerifiedQuote {
  /** A private field makes the type nominal: neither a literal nor a spread has it. */
  readonly #proof = true;
  readonly quote: Quote;
  readonly platform: VerifiedPlatformFacts;
  /** False when the chain ends in an injected root. */
  readonly isIntelRooted: boolean;

  constructor(key: typeof proofKey, quote: Quote, { leaf, caType, sgx }: PckChain, root: TrustRoot) {
    if (key !== proofKey) throw new TypeError('a ChainVerifiedQuote is made by QuoteVerifier only');
    this.quote = quote;
    // Copies: a caller may change them, and the chain in the verifier's cache must not change.
    this.platform = frozenWithJson({
      ppid: copyBytes(sgx.ppid),
      fmspc: copyBytes(sgx.fmspc),
      pceId: copyBytes(sgx.pceId),
      ca: caType,
      pckSerialNumber: leaf.serialNumber,
      platformInstanceId: sgx.platform && copyBytes(sgx.platform.instanceId),
    });
    this.isIntelRooted = root.isIntel;
    Object.freeze(this);
  }

  /** Whether a value is such a proof: the check at run time that the type makes at compile time. */
  static isProof(value: unknown): value is ChainVerifiedQuote {
    return #proof in Object(value);
  }

  /** For `JSON.stringify`: bytes as lower-case hex; without the quote's raw parts. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { quote, platform, isIntelRooted } = this;
    const { version, bodyType, body } = quote;
    return { quote: printable({ version, bodyType, body }), platform: printable(platform), isIntelRooted };
  }
}

/**
 * Proof that Intel's whole verification of a quote succeeded, with the TCB status that it found. A policy decides
 * whether that status, the attributes and the measurements are acceptable.
 */
export class VerifiedQuote implements TcbVerdict {
  /** As in {@link ChainVerifiedQuote}. */
  readonly #proof = true;
  readonly #input: TcbInput;
  readonly quote: Quote;
  readonly platform: VerifiedPlatformFacts;
  /** False when the chain ends in an injected root. */
  readonly isIntelRooted: boolean;
  readonly collateral: CollateralFacts;
  readonly tcbEvaluationDataNumber: number;
  readonly tcbStatus: TcbVerdict['tcbStatus'];
  readonly advisoryIds: TcbVerdict['advisoryIds'];
  readonly tcbDateMs: number;
  readonly levels: TcbVerdict['levels'];
  readonly shortfalls: TcbVerdict['shortfalls'];
  readonly outOfDateSinceMs: TcbVerdict['outOfDateSinceMs'];
  readonly currentTcb: TcbVerdict['currentTcb'];

  constructor(
    key: typeof proofKey,
    signed: ChainVerifiedQuote,
    collateral: CollateralFacts,
    input: TcbInput,
  ) {
    if (key !== proofKey) throw new TypeError('a VerifiedQuote is made by QuoteVerifier only');
    const tcb = evaluateTcb(input);
    this.#input = input;
    this.quote = signed.quote;
    this.platform = signed.platform;
    this.isIntelRooted = signed.isIntelRooted;
    this.collateral = collateral;
    this.tcbEvaluationDataNumber = collateral.tcbEvaluationDataNumber;
    this.tcbStatus = tcb.tcbStatus;
    this.advisoryIds = tcb.advisoryIds;
    this.tcbDateMs = tcb.tcbDateMs;
    this.levels = tcb.levels;
    this.shortfalls = tcb.shortfalls;
    this.outOfDateSinceMs = tcb.outOfDateSinceMs;
    this.currentTcb = tcb.currentTcb;
    Object.freeze(this);
  }

  /** Whether a value is such a proof: the check at run time that the type makes at compile time. */
  static isProof(value: unknown): value is VerifiedQuote {
    return #proof in Object(value);
  }

  /**
   * The levels that the launch of this TD reaches when one document is that of another verdict.
   * @returns `undefined` where that document has none for it.
   */
  levelsBy(document: keyof EvaluationNumbers, other: VerifiedQuote): MatchedLevels | undefined {
    const body = { ...this.#input.body, teeTcbSvn2: undefined };
    try {
      return evaluateTcb({ ...this.#input, body, [document]: other.#input[document] }).levels;
    } catch (error) {
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  /** For `JSON.stringify`: bytes as lower-case hex, CRL numbers as decimal text; without the quote's raw parts. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { quote, ...facts } = this;
    const { version, bodyType, body } = quote;
    return { quote: printable({ version, bodyType, body }), ...printableFields(facts) };
  }
}

/**
 * Verifies TDX quotes as Intel's own library does, and stricter where that is lenient. It keeps what it verified
 * before in bounded caches: a quote of a known platform under known collateral costs two ECDSA verifications.
 */
export class QuoteVerifier {
  readonly trustRoot: TrustRoot;
  readonly #chains: PckChains;
  readonly #collateral: CollateralVerifier;
  readonly #attestationKeys: Memo<P256PublicKey>;

  constructor(options: { readonly trustRoot?: TrustRoot; readonly limits?: VerifierLimits } = {}) {
    const { collateralSets = 64, pckChains = 4096, attestationKeys = 1024 } = options.limits ?? {};
    this.trustRoot = options.trustRoot ?? TrustRoot.intel;
    const issued = new RootIssuedCertificates(this.trustRoot, 64);
    this.#chains = new PckChains(this.trustRoot, issued, pckChains);
    this.#collateral = new CollateralVerifier(this.trustRoot, issued, collateralSets);
    this.#attestationKeys = new Memo(attestationKeys);
  }

  /**
   * Verifies a quote with its platform's collateral. Bytes are parsed strictly, without trailing padding.
   * @throws EvidenceError with the code of the first fact that does not hold; TypeError when an argument is not what
   *   it has to be; RangeError when `nowMs` is not a time.
   */
  verify(quote: Quote | Uint8Array, options: VerifyOptions): VerifiedQuote {
    requireOptions(options);
    const { nowMs, collateralGraceMs = 0 } = options;
    const parsed = asQuote(quote);
    const documents = parsedCollateral(options.collateral);
    const collateral = this.#collateral.verify(documents);
    requireCurrent(collateral.validities, nowMs, collateralGraceMs);
    requireNotRevoked(collateral.rootCrl, [collateral.pckCa, ...collateral.tcbSigning]);
    const chain = this.#chains.verify(chainTextOf(parsed, documents.pck_certificate_chain));
    requireCurrent(chain.validities, nowMs);
    requireNotRevoked(collateral.rootCrl, [chain.ca]);
    requireCrlIssuer(collateral.pckCrl, chain.leaf.issuer);
    requireNotRevoked(collateral.pckCrl, [chain.leaf]);
    requireExpected(collateral, {
      fmspc: chain.sgx.fmspc,
      pceId: chain.sgx.pceId,
      minimumTcbEvaluationDataNumber: options.minimumTcbEvaluationDataNumber ?? 0,
    });
    const qe = readQeReport(parsed.qe.report);
    requireQeIdentity(qe, collateral.qeIdentity);
    requireTdxModule(parsed.body, collateral.tcbInfo);
    this.#requireQuoteSignatures(parsed, chain, qe);
    const { tcbInfo, qeIdentity } = collateral;
    const signed = new ChainVerifiedQuote(proofKey, parsed, chain, this.trustRoot);
    return new VerifiedQuote(proofKey, signed, collateralFacts(collateral, nowMs), {
      body: parsed.body,
      sgx: chain.sgx,
      qeIsvSvn: qe.isvSvn,
      tcbInfo,
      qeIdentity,
    });
  }

  /**
   * Verifies only what needs no collateral: chain, dates of the certificates, and the quote's own signatures. A
   * revoked or outdated platform passes.
   * @throws EvidenceError with the code of the first fact that does not hold.
   */
  verifyChainOnly(quote: Quote | Uint8Array, options: ChainOptions): ChainVerifiedQuote {
    const { nowMs, pckCertificateChain } = options;
    const parsed = asQuote(quote);
    const chain = this.#chains.verify(chainTextOf(parsed, pckCertificateChain));
    requireCurrent(chain.validities, nowMs);
    this.#requireQuoteSignatures(parsed, chain, readQeReport(parsed.qe.report));
    return new ChainVerifiedQuote(proofKey, parsed, chain, this.trustRoot);
  }

  /**
   * Verifies a collateral set by itself: signatures, dates, revocation of its issuers, and what the caller expects.
   * @throws EvidenceError with the code of the first fact that does not hold.
   */
  checkCollateral(
    documents: CollateralDocuments,
    options: CollateralExpectation & { readonly nowMs: number; readonly collateralGraceMs?: number },
  ): CollateralFacts {
    const collateral = this.#collateral.verify(parsedCollateral(documents));
    requireCurrent(collateral.validities, options.nowMs, options.collateralGraceMs ?? 0);
    requireNotRevoked(collateral.rootCrl, [collateral.pckCa, ...collateral.tcbSigning]);
    requireExpected(collateral, options);
    return collateralFacts(collateral, options.nowMs);
  }

  /** QE report ← PCK key, attestation key ← QE report, quote ← attestation key; never cached. */
  #requireQuoteSignatures(quote: Quote, chain: PckChain, qe: QeReport): void {
    requireAttestationKeyBinding(quote, qe);
    if (!chain.leaf.publicKey.verify(quote.qe.report, quote.qe.reportSignature)) {
      const message = 'the QE report is not signed by the key of the PCK certificate';
      throw new EvidenceError('QE_REPORT_SIGNATURE_INVALID', message, { field: 'QE report signature' });
    }
    if (!this.#attestationKey(quote).verify(quote.signedBytes, quote.signature)) {
      const message = 'the quote is not signed by its attestation key';
      throw new EvidenceError('QUOTE_SIGNATURE_INVALID', message, { field: 'quote signature' });
    }
  }

  #attestationKey({ attestationKey }: Quote): P256PublicKey {
    return this.#attestationKeys.get(memoKey(attestationKey), () => {
      const key = P256PublicKey.fromRaw(attestationKey);
      if (key !== undefined) return key;
      const message = 'the attestation key is not a point on P-256';
      throw new EvidenceError('ATTESTATION_KEY_INVALID', message, { field: 'attestation key' });
    });
  }
}

/**
 * The claims of a quote about its platform, for fetching the right collateral. **Nothing is verified**: a hint.
 * @throws EvidenceError when the PCK certificate cannot be read.
 */
export function platformOf(quote: Quote): PlatformFacts {
  const { sgx, caType } = peekPckChain(quote.certificateChain);
  return frozenWithJson({ ppid: sgx.ppid, fmspc: sgx.fmspc, pceId: sgx.pceId, ca: caType });
}

/** For JavaScript callers: TypeScript ones cannot leave the options out. @throws TypeError. */
export function requireOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw new TypeError(`a verification needs options { collateral, nowMs }, got ${String(options)}`);
}

/** The chain in the quote; for a quote that carries none, the one that was given with it. */
function chainTextOf(quote: Quote, given: string | undefined): PckChainText {
  if (quote.certification.type === CERTIFICATION_TYPE_PCK_CHAIN || given === undefined) {
    return { pem: quote.certificateChain, digest: quote.certificateChainDigest };
  }
  const pem = utf8(given);
  return { pem, digest: sha256Hex(pem) };
}

const asQuote = (quote: Quote | Uint8Array): Quote => (quote instanceof Quote ? quote : parseQuote(quote));

const collateralFacts = ({ summary, inGrace }: VerifiedCollateral, nowMs: number): CollateralFacts =>
  nowMs > summary.validUntilMs ? inGrace : summary;
