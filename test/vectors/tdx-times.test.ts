import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/der/certificate.ts';
import { parseCrl } from '../../src/der/crl.ts';
import { readPemChain } from '../../src/der/pem.ts';
import { parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { QuoteVerifier, verifyQuote } from '../../src/tdx/verify-quote.ts';
import { genuineCollateral, genuineQuote, upToDatePairs } from '../support/tdx-vectors.ts';
import { codeOf } from '../support/thrown.ts';
import { haveVectors } from '../support/vectors.ts';

interface Edge {
  readonly document: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly family: string;
}

/** Every window of a pair, read from the documents themselves. */
function edgesOf(pair: (typeof upToDatePairs)[number]): readonly Edge[] {
  const set = genuineCollateral(pair.collateral);
  const pck = Buffer.from(genuineQuote(pair.quote).certificateChain).toString('latin1').replace(/\0$/, '');
  const chains = {
    pck,
    crl: set.pck_crl_issuer_chain,
    tcb: set.tcb_info_issuer_chain,
    qe: set.qe_identity_issuer_chain,
  };
  const edges: Edge[] = [];
  for (const [name, pem] of Object.entries(chains)) {
    for (const der of readPemChain(pem, name, 3)) {
      const { subject, notBeforeMs, notAfterMs } = parseCertificate(der, name);
      const document = `${name} ${subject.commonName}`;
      edges.push({ document, fromMs: notBeforeMs, untilMs: notAfterMs, family: 'CERTIFICATE' });
    }
  }
  for (const hex of [set.root_ca_crl, set.pck_crl]) {
    const { issuer, thisUpdateMs, nextUpdateMs } = parseCrl(Buffer.from(hex, 'hex'), 'CRL');
    edges.push({ document: issuer.commonName, fromMs: thisUpdateMs, untilMs: nextUpdateMs, family: 'CRL' });
  }
  for (const [text, family] of [
    [set.tcb_info, 'TCB_INFO'],
    [set.qe_identity, 'QE_IDENTITY'],
  ] as const) {
    const dates = JSON.parse(text) as { issueDate: string; nextUpdate: string };
    const [fromMs, untilMs] = [Date.parse(dates.issueDate), Date.parse(dates.nextUpdate)];
    edges.push({ document: family, fromMs, untilMs, family });
  }
  return edges;
}

describe.skipIf(!haveVectors)('validity edges', () => {
  it.each(upToDatePairs)('$quote: one second around each edge', (pair) => {
    const verifier = new QuoteVerifier();
    const quote = genuineQuote(pair.quote);
    const collateral = genuineCollateral(pair.collateral);
    const edges = edgesOf(pair);
    expect(edges.length).toBeGreaterThanOrEqual(13);
    const at = (nowMs: number): string => codeOf(() => verifier.verify(quote, { collateral, nowMs }));
    for (const edge of edges) {
      for (const nowMs of [edge.fromMs, edge.untilMs].flatMap((ms) => [
        ms - 1000,
        ms - 1,
        ms,
        ms + 1,
        ms + 1000,
      ])) {
        const early = edges
          .filter(({ fromMs }) => nowMs < fromMs)
          .map(({ family }) => `${family}_NOT_YET_VALID`);
        const late = edges.filter(({ untilMs }) => nowMs > untilMs).map(({ family }) => `${family}_EXPIRED`);
        const expected = [...early, ...late];
        const name = `${edge.document} at ${new Date(nowMs).toISOString()}`;
        if (expected.length === 0) expect(at(nowMs), name).toBe('none');
        else expect(expected, name).toContain(at(nowMs));
      }
    }
  });

  it('a grace extends the validity of re-issued documents, and never of a certificate', () => {
    const [{ quote, collateral }] = upToDatePairs;
    const documents = genuineCollateral(collateral);
    const verifier = new QuoteVerifier();
    const { validUntilMs } = verifier.checkCollateral(documents, { nowMs: upToDatePairs[0].nowMs });
    const verify = (nowMs: number, collateralGraceMs: number) =>
      verifier.verify(genuineQuote(quote), { collateral: documents, nowMs, collateralGraceMs });
    expect(verify(validUntilMs, 0).collateral.state).toBe('fresh');
    expect(verify(validUntilMs + 1000, 1000).collateral.state).toBe('grace');
    expect(codeOf(() => verify(validUntilMs + 1001, 1000))).toBe('CRL_EXPIRED');
    const year2060 = Date.UTC(2060, 0, 1);
    expect(codeOf(() => verify(year2060, year2060))).toBe('CERTIFICATE_EXPIRED');
    expect(() => verify(Number.NaN, 0)).toThrow(RangeError);
    expect(codeOf(() => verify(validUntilMs + 1, Number.NaN))).toBe('CRL_EXPIRED');
  });

  it('a verified set is refused after its end of validity, and also when the clock is set back', () => {
    const [{ quote, collateral, nowMs }] = upToDatePairs;
    const options = { collateral: parseCollateralDocuments(genuineCollateral(collateral)), nowMs };
    expect(verifyQuote(genuineQuote(quote), options).tcbStatus).toBe('UpToDate');
    const later = { ...options, nowMs: Date.UTC(2026, 0, 1) };
    expect(codeOf(() => verifyQuote(genuineQuote(quote), later))).toBe('CRL_EXPIRED');
    const earlier = { ...options, nowMs: Date.UTC(2025, 0, 1) };
    expect(codeOf(() => verifyQuote(genuineQuote(quote), earlier))).toMatch(/NOT_YET_VALID$/);
  });
});
