import { QuoteVerifier as DcapQvlVerifier, verify as dcapQvlVerify } from '@phala/dcap-qvl';
import { describe, expect, it } from 'vitest';
import { createAuthorities } from '../../mock-tdx/pki/authorities.ts';
import { Seed } from '../../mock-tdx/pki/seed.ts';
import { applyPolicy, parsePolicy } from '../../src/tdx/policy.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { casePolicy, genuineCollateral, genuineQuote, quoteBytes, tdxCases } from '../support/tdx-vectors.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  quoteWith,
  verdictOf,
  worldNowMs,
} from '../support/tdx-world.ts';
import { haveVectors } from '../support/vectors.ts';

/** `status advisory…`, or `refused`. */
function ours(quote: string, collateral: string, nowMs: number): string {
  try {
    const options = { collateral: genuineCollateral(collateral), nowMs };
    const verified = new QuoteVerifier().verify(genuineQuote(quote), options);
    applyPolicy(verified, parsePolicy(casePolicy), nowMs);
    return [verified.tcbStatus, ...verified.advisoryIds].join(' ');
  } catch {
    return 'refused';
  }
}

function theirs(quote: string, collateral: string, nowMs: number): string {
  try {
    const report = dcapQvlVerify(quoteBytes(quote), { ...genuineCollateral(collateral) }, nowMs / 1000);
    return [report.status, ...[...report.advisory_ids].sort()].join(' ');
  } catch {
    return 'refused';
  }
}

/**
 * It compares all 16 TDX SVNs, also the two that the TDX module's own levels judge, so that a module of a newer
 * version looks older: this genuine quote falls to a lower level.
 */
const knownDifferences: Readonly<Record<string, string>> = {
  '00b2526ab190 I_00806f_2025_09': 'OutOfDate INTEL-SA-00960 INTEL-SA-00982 INTEL-SA-00986',
  '00b2526ab190 FBgcp_00806f_2026_07':
    'OutOfDate INTEL-SA-00960 INTEL-SA-00982 INTEL-SA-00986 INTEL-SA-01010 INTEL-SA-01036 INTEL-SA-01076 INTEL-SA-01079 INTEL-SA-01099 INTEL-SA-01103 INTEL-SA-01111',
};

describe.skipIf(!haveVectors)('@phala/dcap-qvl 0.3.9 on genuine quotes', () => {
  it.each(haveVectors ? tdxCases() : [])('$quote with $collateral', ({ quote, collateral, now }) => {
    const nowMs = Date.parse(now);
    const known = knownDifferences[`${quote} ${collateral}`];
    const [our, their] = [ours(quote, collateral, nowMs), theirs(quote, collateral, nowMs)];
    if (known === undefined) expect(our).toBe(their);
    else {
      expect(their).toBe(known);
      expect(our).not.toBe(known);
    }
  });
});

describe('@phala/dcap-qvl 0.3.9 accepts pairs that are refused here', () => {
  const { root, platformCa } = pki.authorities;
  const { pck } = pki.platform(0);
  const stranger = createAuthorities(new Seed(new Uint8Array(32).fill(9)));
  const theirVerifier = DcapQvlVerifier.newWithRootCa(Buffer.from(root.certificate));
  const accepts = (quote: Uint8Array, collateral: object): boolean => {
    try {
      // It takes the plain JSON object; the broken ones here are broken on purpose.
      theirVerifier.verify(quote, { ...collateral } as never, worldNowMs / 1000);
      return true;
    } catch {
      return false;
    }
  };
  const forgedCrl = collateralWith(({ pckCrl }) => ({ pckCrl: { ...pckCrl, signer: stranger.root.key } }));
  const expiredCrl = collateralWith(({ pckCrl }) => {
    return { pckCrl: { ...pckCrl, spec: { ...pckCrl.spec, nextUpdateMs: worldNowMs - 1000 } } };
  });
  const tcbInfoByPck = collateralWith(({ tcbInfo }) => {
    const issuerChain = [pck.certificate, platformCa.certificate, root.certificate];
    return { tcbInfo: { ...tcbInfo, signer: pck.key, issuerChain } };
  });
  const emptyCrl = { ...plainCollateral(), pck_crl: '' };
  const unsignedModule = plainQuote({ body: { mrSignerSeam: new Uint8Array(48).fill(1) } });
  const seamAttributes = plainQuote({ body: { seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } });
  const unknownModule = plainQuote({
    body: { teeTcbSvn: Uint8Array.from({ length: 16 }, (_, at) => [5, 2, 8][at] ?? 0) },
  });
  const otherVendor = quoteWith(() => ({ qeVendorId: new Uint8Array(16) }));

  it('both accept the good pair', () => {
    expect(accepts(plainQuote(), plainCollateral())).toBe(true);
    expect(verdictOf()).toBe('none');
  });

  it.each([
    ['C10 a PCK CRL signed by nobody', plainQuote(), forgedCrl, 'CRL_SIGNATURE_INVALID'],
    ['C12 an expired PCK CRL', plainQuote(), expiredCrl, 'CRL_EXPIRED'],
    ['C13 an empty PCK CRL', plainQuote(), emptyCrl, 'CRL_MALFORMED'],
    ['C5 TCB info signed by a PCK key', plainQuote(), tcbInfoByPck, 'CERTIFICATE_MALFORMED'],
    ['1e a TDX module that Intel did not sign', unsignedModule, plainCollateral(), 'TDX_MODULE_MISMATCH'],
    ['1e SEAMATTRIBUTES that are not zero', seamAttributes, plainCollateral(), 'TDX_MODULE_MISMATCH'],
    ['1e a TDX module that nobody knows', unknownModule, plainCollateral(), 'TDX_MODULE_MISMATCH'],
    ['P4 another QE vendor', otherVendor, plainCollateral(), 'QUOTE_UNSUPPORTED'],
  ] as const)('%s', (_, quote, collateral, code) => {
    expect(verdictOf(quote, collateral)).toBe(code);
    expect(accepts(quote, collateral)).toBe(true);
  });
});
