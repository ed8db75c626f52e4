import { describe, expect, it } from 'vitest';
import { pemChain } from '../../mock-tdx/pki/pem.ts';
import { tryFromHex } from '../../src/bytes/hex.ts';
import { readPemChain } from '../../src/der/pem.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../src/tdx/collateral.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { genuineCollateral, quoteBytes, upToDatePairs } from '../support/tdx-vectors.ts';
import { haveVectors } from '../support/vectors.ts';

const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 1_000_000);

/** Tries damaged inputs; none may be accepted, none may give an untyped error. Keeps the slowest. */
class Attack {
  readonly #codes = new Map<string, number>();
  #slowestMs = 0;
  #slowest = '';
  #count = 0;

  try(name: string, verify: () => unknown): void {
    const startMs = performance.now();
    let code = 'ACCEPTED';
    try {
      verify();
    } catch (error) {
      code = error instanceof LatchkeyError ? error.code : `UNTYPED ${error}`;
    }
    const tookMs = performance.now() - startMs;
    if (tookMs > this.#slowestMs) [this.#slowestMs, this.#slowest] = [tookMs, `${name} (${code})`];
    this.#count += 1;
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    if (code === 'ACCEPTED' || code.startsWith('UNTYPED')) {
      expect.fail(`${name}: ${code} (seed ${seed})`);
    }
  }

  report(what: string): void {
    const codes = [...this.#codes].map(([code, count]) => `${code} ${count}`).join(', ');
    console.log(
      `${what}: seed ${seed}, ${this.#count} tries, slowest ${this.#slowestMs.toFixed(1)} ms ${this.#slowest}; ${codes}`,
    );
  }
}

function flipped(bytes: Uint8Array, index: number, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[index] = (copy[index] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

describe.skipIf(!haveVectors)('damaged evidence is refused', () => {
  it.each(upToDatePairs)('one bit flipped in every byte of quote $quote', ({ quote, collateral, nowMs }) => {
    const verifier = new QuoteVerifier();
    const bytes = quoteBytes(quote);
    const options = { collateral: genuineCollateral(collateral), nowMs };
    const trimmed = bytes.subarray(
      0,
      bytes.length - parseQuote(bytes, { trailing: 'allow-zero-padding' }).trailingByteLength,
    );
    expect(verifier.verify(trimmed, options).tcbStatus).toBe('UpToDate');
    const bits = seededBytes(seed, trimmed.length);
    const attack = new Attack();
    for (let index = 0; index < trimmed.length; index++) {
      const bit = bits[index] ?? 0;
      attack.try(`byte ${index} bit ${bit & 7}`, () =>
        verifier.verify(flipped(trimmed, index, bit), options),
      );
    }
    attack.report(`quote ${quote}`);
  });

  it.each(upToDatePairs)('quote $quote cut off at every byte', ({ quote }) => {
    const bytes = quoteBytes(quote);
    const attack = new Attack();
    for (let length = 0; length < bytes.length; length++) {
      attack.try(`${length} bytes`, () => parseQuote(bytes.subarray(0, length)));
    }
    attack.report(`truncated ${quote}`);
  });

  it('one bit flipped in every byte of every collateral document, decoded', { timeout: 120_000 }, () => {
    const [{ quote, collateral, nowMs }] = upToDatePairs;
    const verifier = new QuoteVerifier();
    const bytes = quoteBytes(quote);
    const set = genuineCollateral(collateral);
    const attack = new Attack();
    for (const { name, decoded, encode } of decodedParts(set)) {
      const bits = seededBytes(seed, decoded.length);
      for (let index = 0; index < decoded.length; index++) {
        const changed = { ...set, ...encode(flipped(decoded, index, bits[index] ?? 0)) };
        attack.try(`${name} byte ${index}`, () => verifier.verify(bytes, { collateral: changed, nowMs }));
      }
    }
    attack.report('collateral');
    expect(verifier.verify(bytes, { collateral: set, nowMs }).tcbStatus).toBe('UpToDate');
  });
});

interface DecodedPart {
  readonly name: string;
  readonly decoded: Uint8Array;
  encode(bytes: Uint8Array): Partial<CollateralDocuments>;
}

const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const toHexText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Documents by their bytes: JSON texts, DER of CRLs and certificates, raw signatures. */
function decodedParts(set: CollateralDocuments): readonly DecodedPart[] {
  const texts = (['tcb_info', 'qe_identity'] as const).map((name) => {
    return {
      name,
      decoded: Buffer.from(set[name]),
      encode: (bytes: Uint8Array) => ({ [name]: toText(bytes) }),
    };
  });
  const hexes = (['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'] as const).map(
    (name) => {
      const decoded = tryFromHex(set[name]) ?? new Uint8Array(0);
      return { name, decoded, encode: (bytes: Uint8Array) => ({ [name]: toHexText(bytes) }) };
    },
  );
  const chains = ['pck_crl_issuer_chain', 'tcb_info_issuer_chain', 'qe_identity_issuer_chain'] as const;
  const certificates = chains.flatMap((name) => {
    const ders = readPemChain(set[name], name, 2);
    return ders.map((decoded, position) => ({
      name: `${name}[${position}]`,
      decoded,
      encode: (bytes: Uint8Array) => ({
        [name]: pemChain(...ders.map((der, at) => (at === position ? bytes : der))),
      }),
    }));
  });
  return [...texts, ...hexes, ...certificates];
}
