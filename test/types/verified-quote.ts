/**
 * Compiled, not run: each line below `@ts-expect-error` must not compile, so that only a verifier makes these proofs.
 */
import { applyPolicy, defaultPolicy } from '../../src/tdx/policy.ts';
import { parseQuote, type Quote } from '../../src/tdx/quote.ts';
import { ChainVerifiedQuote, type QuoteVerifier, VerifiedQuote } from '../../src/tdx/verify-quote.ts';

declare const verifier: QuoteVerifier;
declare const verified: VerifiedQuote;
declare const chainVerified: ChainVerifiedQuote;
declare const quote: Quote;
declare const bytes: Uint8Array;

const needsProof = (proof: VerifiedQuote): VerifiedQuote => proof;
const needsChainProof = (proof: ChainVerifiedQuote): ChainVerifiedQuote => proof;
const needsQuote = (parsed: Quote): Quote => parsed;

// What the verifier gives is accepted.
needsProof(verifier.verify(bytes, { collateral: JSON.parse('{}'), nowMs: 0 }));
needsChainProof(verifier.verifyChainOnly(bytes, { nowMs: 0 }));
needsQuote(parseQuote(bytes));
applyPolicy(verified, defaultPolicy, 0);

// @ts-expect-error an object literal is no proof
needsProof({
  quote,
  platform: verified.platform,
  isIntelRooted: true,
  collateral: verified.collateral,
  tcbEvaluationDataNumber: 20,
  tcbStatus: 'UpToDate',
  advisoryIds: [],
  tcbDateMs: 0,
  levels: verified.levels,
  shortfalls: [],
  outOfDateSinceMs: undefined,
  currentTcb: undefined,
  toJSON: () => ({}),
});

// @ts-expect-error a spread with a better status is no proof
needsProof({ ...verified, tcbStatus: 'UpToDate' });

// @ts-expect-error nor is a spread that changes nothing
needsProof({ ...verified });

// @ts-expect-error nor is Object.assign over a new object
needsProof(Object.assign({}, { tcbStatus: verified.tcbStatus, quote: verified.quote }));

// @ts-expect-error the constructor wants a key that its module keeps
new VerifiedQuote(Symbol('QuoteVerifier'), chainVerified, verified.collateral, verified);

// @ts-expect-error a chain that is verified says nothing about the TCB
needsProof(chainVerified);

// @ts-expect-error a policy is not applied to a literal
applyPolicy({ tcbStatus: 'UpToDate' }, defaultPolicy, 0);

// @ts-expect-error a field of a proof cannot be changed
verified.tcbStatus = 'UpToDate';

// @ts-expect-error a spread is no proof of a chain
needsChainProof({ ...chainVerified });

// @ts-expect-error an object literal is no proof of a chain
needsChainProof({ quote, platform: verified.platform, isIntelRooted: true });

// @ts-expect-error the constructor wants a key that its module keeps
new ChainVerifiedQuote(Symbol('QuoteVerifier'), quote, undefined, undefined);

// @ts-expect-error a spread is no parsed quote
needsQuote({ ...quote });
