import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuoteStream } from '../../src/cli/quote/stream.ts';
import { parseCertificate } from '../../src/der/certificate.ts';
import { parseCrl } from '../../src/der/crl.ts';
import { readPemChain } from '../../src/der/pem.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { defaultPolicy, parsePolicy } from '../../src/tdx/policy.ts';
import { parseQeIdentity } from '../../src/tdx/qe-identity.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { parseTcbInfo } from '../../src/tdx/tcb-info.ts';
import { platformOf, QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { genuineCollateral, quoteBytes, upToDatePairs } from '../support/tdx-vectors.ts';
import { haveVectors } from '../support/vectors.ts';

const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 1_000_000);
const runs = { seed, numRuns: 400 } as const;

/** Runs something that may refuse, but only in our own words. */
function isTyped(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (error instanceof LatchkeyError) return true;
    throw error;
  }
}

function isRefused(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    if (error instanceof LatchkeyError) return true;
    throw error;
  }
}

const bytes = fc.uint8Array({ maxLength: 600 });
console.log(`garbage: seed ${seed}`);

describe('garbage', () => {
  it('random bytes are never a quote, a certificate or a CRL', () => {
    fc.assert(
      fc.property(
        bytes,
        (input) =>
          isRefused(() => parseQuote(input)) &&
          isRefused(() => parseCertificate(input, 'garbage')) &&
          isRefused(() => parseCrl(input, 'garbage')),
      ),
      runs,
    );
  });

  it('random text and JSON are refused with a typed error', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 200 }), fc.json({ maxDepth: 4 })),
        (text) =>
          isTyped(() => readPemChain(text, 'garbage', 3)) &&
          isRefused(() => parseTcbInfo(text)) &&
          isRefused(() => parseQeIdentity(text)),
      ),
      runs,
    );
    fc.assert(
      fc.property(
        fc.anything({ withNullPrototype: true, withBigInt: false }),
        (value) => isTyped(() => parseCollateralDocuments(value)) && isTyped(() => parsePolicy(value)),
      ),
      runs,
    );
  });

  it('every line of a stream gets an answer, with any content', () => {
    const stream = new QuoteStream({
      verifier: new QuoteVerifier(),
      policy: defaultPolicy,
      collateral: undefined,
      nowMs: () => 0,
      acceptsRootFromInput: true,
    });
    const names = fc.constantFrom(
      'id',
      'quote',
      'collateral',
      'now',
      'root',
      'policy',
      '__proto__',
      'constructor',
    );
    const object = fc.dictionary(names, fc.jsonValue()).map((value) => JSON.stringify(value));
    const line = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      object.map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(line, (input) => {
        const answer = stream.answer({ tooLong: false, bytes: input });
        return (
          answer['ok'] === false && answer['code'] !== 'INTERNAL' && JSON.stringify(answer).includes('"id":')
        );
      }),
      runs,
    );
  });
});

describe.skipIf(!haveVectors)('spliced genuine quotes', () => {
  it('a quote with a part replaced, doubled or removed is never accepted', () => {
    const verifier = new QuoteVerifier();
    const genuine = upToDatePairs.map(({ quote, collateral, nowMs }) => {
      return { bytes: quoteBytes(quote), options: { collateral: genuineCollateral(collateral), nowMs } };
    });
    const [v4, v5] = genuine;
    if (v4 === undefined || v5 === undefined) throw new Error('two genuine quotes are needed');
    const at = fc.nat({ max: v4.bytes.length - 1 });
    fc.assert(
      fc.property(at, at, fc.constantFrom('cut', 'double', 'other', 'zero'), (a, b, how) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b) + 1];
        const middle = v4.bytes.subarray(from, to);
        const put = {
          cut: [],
          double: [middle, middle],
          other: [v5.bytes.subarray(from, to)],
          zero: [new Uint8Array(to - from)],
        };
        const spliced = Buffer.concat([v4.bytes.subarray(0, from), ...put[how], v4.bytes.subarray(to)]);
        if (spliced.equals(v4.bytes)) return true;
        isTyped(() => platformOf(parseQuote(spliced)));
        return isRefused(() => verifier.verify(spliced, v4.options));
      }),
      runs,
    );
    expect(verifier.verify(v4.bytes, v4.options).tcbStatus).toBe('UpToDate');
  });
});
