import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import type { Evidence } from '../../mock-tdx/tamper-kit/evidence.ts';
import { TamperBench } from '../../mock-tdx/tamper-kit/tamper-bench.ts';
import { tamperKit } from '../../mock-tdx/tamper-kit.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { insecureTrustRoot, QuoteVerifier, type VerifyOptions } from '../../src/tdx/verify-quote.ts';
import { endNetwork, formedNetwork } from '../support/formed-network.ts';
import { RememberingVerifier, SwiftPki } from '../support/remembered-quotes.ts';
import { attemptTheft, thefts } from '../support/simulated-network-thief.ts';
import { collateralWith, tcbInfoWith, worldNowMs } from '../support/tdx-world.ts';
import { codeOf } from '../support/thrown.ts';

// The same seed as the PKI of tdx-world.ts, so that its collateral fits.
const pki = new SwiftPki(new Uint8Array(32).fill(42));
const trustRoot = insecureTrustRoot(pki.rootPem);
const collateral = collateralWith(() => ({}));
const options: VerifyOptions = { collateral, nowMs: worldNowMs };
const quoteOf = (fill: number, platform = 0) =>
  pki.quote({ reportData: new Uint8Array(64).fill(fill), platform });

/** A verifier that has accepted these quotes, in full and by their chain. */
function warm(...quotes: readonly Uint8Array[]): RememberingVerifier {
  const verifier = new RememberingVerifier({ trustRoot });
  for (const quote of quotes) {
    verifier.verify(quote, options);
    verifier.verifyChainOnly(quote, { nowMs: worldNowMs });
  }
  return verifier;
}

/** What a verifier says of a quote: of its full and of its chain-only verification. */
const verdicts = (verifier: QuoteVerifier, quote: Uint8Array, given = options): readonly string[] => [
  codeOf(() => verifier.verify(quote, given)),
  codeOf(() => verifier.verifyChainOnly(quote, { nowMs: given.nowMs })),
];

/** The documents are parsed once: for the memory of the verifier, another object is another collateral. */
function documentsOnce({ collateral: json, ...evidence }: Evidence) {
  let known: CollateralDocuments | undefined;
  return {
    ...evidence,
    documents: () => {
      known ??= parseCollateralDocuments(json);
      return known;
    },
  };
}

describe('the verifier that verifies each quote once, beside the real one', () => {
  const real = new QuoteVerifier({ trustRoot });

  it('accepts a quote of the OpenSSL signer, as the real one does, and says the same of it', () => {
    const quote = quoteOf(1, 3);
    const verifier = warm(quote);
    const known = verifier.verify(quote, options);
    expect(JSON.stringify(known)).toBe(JSON.stringify(real.verify(quote, options)));
    expect(known.platform.ppid).toEqual(pki.platform(3).facts.ppid);
    expect(verifier.verify(quote.slice(), options)).toBe(known);
  });

  it('gives the verdict of the real one on a known quote with any byte altered', { timeout: 120_000 }, () => {
    const quote = quoteOf(1);
    const verifier = warm(quote);
    const chainStart = Buffer.from(quote).indexOf('-----BEGIN');
    for (let at = 0; at < quote.length; at++) {
      // Of the certificates every twentieth byte: each change makes the verifier read a new chain.
      if (at > chainStart && at % 20 !== 0) continue;
      const altered = quote.slice();
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect(verdicts(verifier, altered), `byte ${at}`).toEqual(verdicts(real, altered));
    }
  });

  it('refuses the signature of one known quote on another, and known parts of other platforms', () => {
    const [one, two, other] = [quoteOf(1), quoteOf(2), quoteOf(1, 1)];
    const verifier = warm(one, two, other);
    const signedLength = 48 + 584;
    for (const [signed, rest] of [
      [one, two],
      [two, one],
      [two, other],
    ] as const) {
      const spliced = new Uint8Array([...signed.subarray(0, signedLength), ...rest.subarray(signedLength)]);
      expect(verdicts(verifier, spliced)).toEqual(['QUOTE_SIGNATURE_INVALID', 'QUOTE_SIGNATURE_INVALID']);
    }
  });

  it('refuses a quote of another PKI over the same report data', () => {
    const foreign = new SwiftPki(new Uint8Array(32).fill(99)).quote({
      reportData: new Uint8Array(64).fill(1),
    });
    expect(verdicts(warm(quoteOf(1)), foreign)).toEqual(verdicts(real, foreign));
    expect(verdicts(real, foreign)).not.toContain('none');
  });

  it('judges a known quote again under other collateral, at another time, and under other demands', () => {
    const quote = quoteOf(1);
    const verifier = warm(quote);
    const outdated = tcbInfoWith((info) => ({ ...info, fmspc: '000000000000' }));
    const demands: readonly VerifyOptions[] = [
      { ...options, collateral: outdated },
      { ...options, nowMs: worldNowMs + 60 * 86_400_000 },
      { ...options, nowMs: worldNowMs - 60 * 86_400_000 },
      { ...options, minimumTcbEvaluationDataNumber: 21 },
    ];
    for (const demand of demands) {
      expect(verdicts(verifier, quote, demand)[0]).not.toBe('none');
      expect(verdicts(verifier, quote, demand)).toEqual(verdicts(real, quote, demand));
    }
  });

  it('gives the verdict of the real one on the whole tamper kit, twice', { timeout: 120_000 }, () => {
    const bench = new TamperBench(createDevelopmentPki({ seed: new Uint8Array(32).fill(4) }), worldNowMs);
    const kit = tamperKit.map(({ name, make }) => ({ name, ...documentsOnce(make(bench)) }));
    const verifiers = new Map<string, RememberingVerifier>();
    for (const round of [1, 2]) {
      for (const { name, quote, root, nowMs, documents } of kit) {
        const verifier =
          verifiers.get(root) ?? new RememberingVerifier({ trustRoot: insecureTrustRoot(root) });
        verifiers.set(root, verifier);
        const verdict = (judge: QuoteVerifier) =>
          codeOf(() => judge.verify(quote, { nowMs, collateral: documents() }));
        const expected = verdict(new QuoteVerifier({ trustRoot: verifier.trustRoot }));
        expect(verdict(verifier), `${name}, round ${round}`).toBe(expected);
      }
    }
  });
});

describe('a thief in a network whose quotes are verified once', () => {
  it.each(thefts)('gets no key with: %s', { timeout: 60_000 }, async (theft) => {
    const { net, first } = await formedNetwork(931, 6);
    const answers: number[] = [];
    net.world.wire.onExchange = ({ from, path, answer }) => {
      if (from === 'thief' && path === '/request-encryption-key') answers.push(answer.status);
    };
    await net.world.clock.until(attemptTheft(net, theft, first));
    expect(answers).toHaveLength(1);
    expect(answers[0]).not.toBe(200);
    await endNetwork(net);
  });
});
