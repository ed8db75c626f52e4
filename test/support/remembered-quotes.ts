import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { DevelopmentPki, type QuoteRequest } from '../../mock-tdx/development-pki.ts';
import { Seed } from '../../mock-tdx/pki/seed.ts';
import { joinQuote, signedRegion } from '../../mock-tdx/quote/quote-parts.ts';
import { copyBytes } from '../../src/bytes/copy-bytes.ts';
import { Memo } from '../../src/bytes/memo.ts';
import { sha256Hex } from '../../src/crypto/sha2.ts';
import { parseQuote, type Quote } from '../../src/tdx/quote.ts';
import {
  type ChainOptions,
  type ChainVerifiedQuote,
  QuoteVerifier,
  type VerifiedQuote,
  type VerifyOptions,
} from '../../src/tdx/verify-quote.ts';

const MAX_REMEMBERED = 2_048;
const DAY_MS = 86_400_000;

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/**
 * A development PKI that signs quotes with OpenSSL, some twenty times faster than its base. Same keys, same quotes; but
 * nonces are random, so two quotes over the same report data differ in their signature.
 */
export class SwiftPki extends DevelopmentPki {
  readonly #seed: Seed;
  readonly #keys = new Map<number, KeyObject>();

  /** @param seed 32 bytes. */
  constructor(seed: Uint8Array) {
    super({ seed });
    this.#seed = new Seed(seed);
  }

  override quote(request: QuoteRequest): Uint8Array {
    // The key of another CA or of changed facts is not kept here.
    if (request.ca !== undefined || request.facts !== undefined) return super.quote(request);
    const parts = this.quoteParts(request);
    const signed = signedRegion(parts);
    const key = this.#attestationKey(request.platform ?? 0, parts.attestationKey.publicKey);
    return joinQuote(signed, copyBytes(sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' })), parts);
  }

  #attestationKey(platform: number, publicKey: Uint8Array): KeyObject {
    const known = this.#keys.get(platform);
    if (known !== undefined) return known;
    const secret = p256.utils.randomSecretKey(this.#seed.bytes(`key/attestation/platform/${platform}`, 48));
    const [x, y] = [publicKey.subarray(0, 32), publicKey.subarray(32)];
    const jwk = { kty: 'EC', crv: 'P-256', d: base64url(secret), x: base64url(x), y: base64url(y) };
    const key = createPrivateKey({ format: 'jwk', key: jwk });
    this.#keys.set(platform, key);
    return key;
  }
}

interface Remembered<Result> {
  readonly result: Result;
  readonly options: VerifyOptions | undefined;
  /** Milliseconds since 1970: when it was verified, and until when the verdict cannot change. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * The real verifier, which verifies each quote once: the same bytes under the same collateral get the same verdict
 * again. Only good verdicts are remembered, so it accepts nothing that the real verifier has not accepted.
 */
export class RememberingVerifier extends QuoteVerifier {
  readonly #verified = new Memo<Remembered<VerifiedQuote>>(MAX_REMEMBERED);
  readonly #signed = new Memo<Remembered<ChainVerifiedQuote>>(MAX_REMEMBERED);
  /** Digests of quotes that were parsed before. */
  readonly #digests = new WeakMap<Quote, string>();

  override verify(quote: Quote | Uint8Array, options: VerifyOptions): VerifiedQuote {
    const parsed = quote instanceof Uint8Array ? parseQuote(quote) : quote;
    const digest = this.#digest(parsed);
    const known = this.#verified.find(digest);
    if (known !== undefined && isWithin(known, options.nowMs) && sameOptions(known.options, options))
      return known.result;
    const result = super.verify(parsed, options);
    const untilMs = result.collateral.validUntilMs;
    this.#verified.set(digest, { result, options, fromMs: options.nowMs, untilMs });
    return result;
  }

  override verifyChainOnly(quote: Quote | Uint8Array, options: ChainOptions): ChainVerifiedQuote {
    const parsed = quote instanceof Uint8Array ? parseQuote(quote) : quote;
    if (options.pckCertificateChain !== undefined) return super.verifyChainOnly(parsed, options);
    const digest = this.#digest(parsed);
    const known = this.#signed.find(digest);
    if (known !== undefined && isWithin(known, options.nowMs)) return known.result;
    const result = super.verifyChainOnly(parsed, options);
    // The certificates of a development PKI are valid until 2049.
    const untilMs = options.nowMs + DAY_MS;
    this.#signed.set(digest, { result, options: undefined, fromMs: options.nowMs, untilMs });
    return result;
  }

  /** Names a quote by all of its bytes. */
  #digest(quote: Quote): string {
    const known = this.#digests.get(quote);
    if (known !== undefined) return known;
    const { signedBytes, signature, attestationKey, qe, certification, trailingByteLength } = quote;
    const lengths = `${certification.type},${qe.authenticationData.length},${certification.data.length},${trailingByteLength}`;
    const { report, reportSignature, authenticationData } = qe;
    const parts = [signedBytes, signature, attestationKey, report, reportSignature, authenticationData];
    const digest = sha256Hex(Buffer.concat([Buffer.from(lengths), ...parts, certification.data]));
    this.#digests.set(quote, digest);
    return digest;
  }
}

const isWithin = ({ fromMs, untilMs }: Remembered<unknown>, nowMs: number): boolean =>
  nowMs >= fromMs && nowMs <= untilMs;

const sameOptions = (known: VerifyOptions | undefined, options: VerifyOptions): boolean =>
  known?.collateral === options.collateral &&
  (known.minimumTcbEvaluationDataNumber ?? 0) === (options.minimumTcbEvaluationDataNumber ?? 0) &&
  (known.collateralGraceMs ?? 0) === (options.collateralGraceMs ?? 0);
