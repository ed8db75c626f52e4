import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { QuoteVerifier as DcapQvlVerifier } from '@phala/dcap-qvl';
import { createDevelopmentPki, type DevelopmentPki } from '../mock-tdx/development-pki.ts';
import { Seed } from '../mock-tdx/pki/seed.ts';
import { SigningKey } from '../mock-tdx/pki/signing-key.ts';
import { qeReport } from '../mock-tdx/quote/qe-report.ts';
import { assembleQuote } from '../mock-tdx/quote/quote-parts.ts';
import {
  insecureTrustRoot,
  parseCollateralDocuments,
  parseQuote,
  QuoteVerifier,
} from '../src/tdx/verify-quote.ts';
import { type Bench, type Measured, type Report, summarize } from './harness.ts';

const SEED = new Uint8Array(32).fill(11);
const ROUNDS_MS = 8000;
const BLOCK_MS = 100;
const SETTLING_CALLS = 5;
const NOW_MS = Date.UTC(2026, 10, 21);

/** How fast quotes are verified, against two ECDSA verifications and two SHA-256, and against @phala/dcap-qvl. */
export const bench: Bench = {
  name: 'tdx',
  async run(report: Report) {
    const cases = makeCases();
    const measured = measureTogether(cases, ROUNDS_MS);
    for (const [name, result] of measured) report.result(name, result);
    const p50 = (name: keyof typeof cases): number => measured.get(name)?.p50Ms ?? Number.NaN;
    report.target('warm, relative to the floor (medians)', p50('floor') / p50('warm'), { atLeast: 0.85 });
    report.target('warm, times @phala/dcap-qvl (medians)', p50('@phala/dcap-qvl') / p50('warm'), {
      atLeast: 30,
    });
    report.target('cold, times the floor (medians)', p50('cold') / p50('floor'), { atMost: 15 });
  },
};

/**
 * Takes turns in short blocks, so that a busy machine slows all cases alike; a block begins with a few calls that do
 * not count, because the case before has filled the caches.
 */
function measureTogether(
  cases: Readonly<Record<string, (turn: number) => unknown>>,
  milliseconds: number,
): ReadonlyMap<string, Measured> {
  const durations = new Map(Object.keys(cases).map((name) => [name, [] as number[]]));
  const start = performance.now();
  let turn = 0;
  for (let round = 0; performance.now() - start < milliseconds; round++) {
    for (const [name, operation] of Object.entries(cases)) {
      const blockEnd = performance.now() + BLOCK_MS;
      for (let call = 0; call === 0 || performance.now() < blockEnd; call++) {
        const before = performance.now();
        operation(turn++);
        const isSettled = call >= SETTLING_CALLS || name === '@phala/dcap-qvl';
        if (round > 0 && isSettled) durations.get(name)?.push(performance.now() - before);
      }
    }
  }
  return new Map([...durations].map(([name, all]) => [name, summarize(all, sumOf(all))]));
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

function makeCases() {
  const pki = createDevelopmentPki({ seed: SEED });
  const trustRoot = insecureTrustRoot(pki.rootPem);
  const json = pki.collateral({ nowMs: NOW_MS });
  const collateral = parseCollateralDocuments(json);
  const options = { collateral, nowMs: NOW_MS };
  const quote = pki.quote({ reportData: new Uint8Array(64) });
  const reportData = (turn: number): Uint8Array => new Uint8Array(64).fill(turn);
  // Quotes are new ones each turn; with room for one entry, two that take turns always miss the cache.
  const fresh = [0, 1, 2, 3].map((turn) => pki.quote({ reportData: reportData(turn) }));
  const otherKeys = ['a', 'b'].map((label) => quoteWithAttestationKey(pki, label));
  const platforms = [1, 2].map((platform) => pki.quote({ reportData: reportData(0), platform }));
  const warm = new QuoteVerifier({ trustRoot });
  const smallKeys = new QuoteVerifier({ trustRoot, limits: { attestationKeys: 1 } });
  const smallChains = new QuoteVerifier({ trustRoot, limits: { attestationKeys: 1, pckChains: 1 } });
  const dcapQvl = DcapQvlVerifier.newWithRootCa(Buffer.from(pki.authorities.root.certificate));
  return {
    floor: floorOf(quote),
    warm: (turn) => warm.verify(pick(fresh, turn), options),
    'new attestation key': (turn) => smallKeys.verify(pick(otherKeys, turn), options),
    'new platform': (turn) => smallChains.verify(pick(platforms, turn), options),
    cold: () => new QuoteVerifier({ trustRoot }).verify(quote, { collateral: json, nowMs: NOW_MS }),
    '@phala/dcap-qvl': () => dcapQvl.verify(quote, json, NOW_MS / 1000),
  } satisfies Record<string, (turn: number) => unknown>;
}

function pick<Value>(values: readonly Value[], turn: number): Value {
  const value = values[turn % values.length];
  if (value === undefined) throw new RangeError('nothing to pick from');
  return value;
}

function quoteWithAttestationKey(pki: DevelopmentPki, label: string): Uint8Array {
  const parts = pki.quoteParts({ reportData: new Uint8Array(64) });
  const attestationKey = SigningKey.derive(new Seed(SEED), `bench/${label}`);
  const report = qeReport(parts.qeReport.cpuSvn, attestationKey.publicKey, parts.authenticationData);
  return assembleQuote({ ...parts, attestationKey, qeReport: report });
}

/** The least work of every verifier of a quote: two signatures, and two digests of the same sizes. */
function floorOf(bytes: Uint8Array): () => boolean {
  const quote = parseQuote(bytes);
  const key = importKey(quote.attestationKey);
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return () => {
    const first = verify('sha256', quote.signedBytes, options, quote.signature);
    const second = verify('sha256', quote.signedBytes, options, quote.signature);
    createHash('sha256').update(quote.attestationKey).update(quote.qe.authenticationData).digest();
    createHash('sha256').update(quote.certificateChain).digest();
    if (!first || !second) throw new Error('the floor must verify');
    return first && second;
  };
}

function importKey(xy: Uint8Array): KeyObject {
  const x = Buffer.from(xy.subarray(0, 32)).toString('base64url');
  const y = Buffer.from(xy.subarray(32)).toString('base64url');
  return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } });
}
