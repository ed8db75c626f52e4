import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { certificationPem } from '../../../mock-tdx/pki/platform.ts';
import { Seed } from '../../../mock-tdx/pki/seed.ts';
import { SigningKey } from '../../../mock-tdx/pki/signing-key.ts';
import { joinQuote, signedRegion } from '../../../mock-tdx/quote/quote-parts.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import { parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
import { printable } from '../../../src/tdx/printable.ts';
import { parseQuote, Quote } from '../../../src/tdx/quote.ts';
import { TrustRoot } from '../../../src/tdx/trust-root.ts';
import {
  applyPolicy,
  ChainVerifiedQuote,
  defaultPolicy,
  platformOf,
  QuoteVerifier,
  VerifiedQuote,
  verifyQuote,
} from '../../../src/tdx/verify-quote.ts';
import {
  pki,
  plainCollateral,
  plainQuote,
  qeIdentityWith,
  quoteWith,
  trustRoot,
  verdictOf,
  verifyInWorld,
  worldNowMs,
} from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const strangers = createDevelopmentPki({ seed: new Uint8Array(32).fill(7) });
const strayKey = SigningKey.derive(new Seed(new Uint8Array(32).fill(2)), 'stray');

describe('good evidence', () => {
  it.each([
    [4, '1.0', 'platform'],
    [5, '1.0', 'platform'],
    [5, '1.5', 'platform'],
    [5, '1.5-extended', 'platform'],
    [4, '1.0', 'processor'],
  ] as const)('version %i, TD report %s, %s CA is accepted', (version, layout, ca) => {
    const quote = plainQuote({ version, layout, ca });
    const collateral = parseCollateralDocuments(pki.collateral({ nowMs: worldNowMs, ca }));
    const verified = verifyInWorld(quote, collateral);
    expect(verified).toMatchObject({
      tcbStatus: 'UpToDate',
      advisoryIds: [],
      shortfalls: [],
      isIntelRooted: false,
    });
    expect(verified.platform).toMatchObject({ ca, fmspc: pki.fmspc });
    expect(verified.platform.platformInstanceId === undefined).toBe(ca === 'processor');
    expect(verified.quote.body.mrServiceTd === undefined).toBe(layout === '1.0');
    expect(verified.quote.body.extension !== undefined).toBe(layout === '1.5-extended');
    expect(verified.tcbEvaluationDataNumber).toBe(20);
    expect(verified.collateral).toMatchObject({ ca, state: 'fresh', crlNumbers: { rootCa: 1n, pck: 1n } });
    const { fmspc, ppid, pceId } = verified.platform;
    expect(platformOf(verified.quote)).toEqual({ fmspc, ppid, pceId, ca });
  });

  it('gets the same verdict after a caller has changed the facts of an earlier quote', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const verify = () => verifier.verify(plainQuote(), { collateral: plainCollateral(), nowMs: worldNowMs });
    const { platform, collateral } = verify();
    const { ppid, fmspc, pceId, platformInstanceId } = platform;
    for (const bytes of [ppid, fmspc, pceId, platformInstanceId, collateral.fmspc, collateral.pceId])
      bytes?.fill(7);
    expect(verify().platform).toEqual(verifyInWorld().platform);
  });

  it('P10: QE authentication data may have any length', () => {
    for (const length of [0, 1, 64, 500]) {
      const quote = quoteWith(({ qeReport, attestationKey }) => {
        const authenticationData = new Uint8Array(length).fill(5);
        return {
          authenticationData,
          qeReport: { ...qeReport, reportData: bindingOf(attestationKey.publicKey, authenticationData) },
        };
      });
      expect(verdictOf(quote)).toBe('none');
    }
  });

  it('P7: the chain may end in a NUL byte or a line break, or neither', () => {
    for (const ending of ['\0', '\n', '\r\n\0', '']) {
      const quote = quoteWith(({ certificationPem }) => ({
        certificationPem: certificationPem.replace(/\n\0$/, '') + ending,
      }));
      expect(verdictOf(quote)).toBe('none');
    }
  });

  it('a parsed quote, a plain set and a frozen set give the same verdict, also the second time', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const collateral = plainCollateral();
    for (const set of [collateral, { ...collateral }, collateral, { ...collateral }]) {
      for (const quote of [plainQuote(), parseQuote(plainQuote())]) {
        expect(verifier.verify(quote, { collateral: set, nowMs: worldNowMs }).tcbStatus).toBe('UpToDate');
      }
    }
  });

  it('a set that is changed in place is judged again', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const set = { ...plainCollateral() };
    expect(verifier.verify(plainQuote(), { collateral: set, nowMs: worldNowMs }).tcbStatus).toBe('UpToDate');
    set.tcb_info_signature = '0'.repeat(128);
    expect(codeOf(() => verifier.verify(plainQuote(), { collateral: set, nowMs: worldNowMs }))).toBe(
      'TCB_INFO_SIGNATURE_INVALID',
    );
  });
});

describe('1a parsing', () => {
  it.each([
    ['P1 version 3', { version: 3 }, 'QUOTE_UNSUPPORTED'],
    ['P1 version 6', { version: 6 }, 'QUOTE_UNSUPPORTED'],
    ['P2 SGX', { teeType: 0 }, 'QUOTE_UNSUPPORTED'],
    ['P3 key type 3', { attestationKeyType: 3 }, 'QUOTE_UNSUPPORTED'],
    ['P4 vendor', { qeVendorId: new Uint8Array(16) }, 'QUOTE_UNSUPPORTED'],
    ['P7 outer certification type', { certificationDataType: 5 }, 'QUOTE_UNSUPPORTED'],
    ['P7 inner certification type 0', { innerCertificationDataType: 0 }, 'QUOTE_UNSUPPORTED'],
    ['P7 inner certification type 6', { innerCertificationDataType: 6 }, 'QUOTE_UNSUPPORTED'],
  ] as const)('%s', (_, change, code) => expect(verdictOf(quoteWith(() => change))).toBe(code));

  it.each([
    [{ version: 3 }, 'version', '3 (an SGX quote)'],
    [{ version: 6 }, 'version', '6'],
    [{ innerCertificationDataType: 6 }, 'inner certification data type', '6'],
  ])('a refusal names the field: %o', (change, field, observed) => {
    expect(thrownBy(() => parseQuote(quoteWith(() => change)))).toMatchObject({
      code: 'QUOTE_UNSUPPORTED',
      field,
      observed,
    });
  });

  it('P5: the body descriptor must have a known type and the size of that type', () => {
    const quote = plainQuote({ version: 5 });
    const patched = (offset: number, value: number): Uint8Array => {
      const copy = new Uint8Array(quote);
      copy[offset] = value;
      return copy;
    };
    expect(codeOf(() => parseQuote(patched(48, 1)))).toBe('QUOTE_UNSUPPORTED');
    expect(codeOf(() => parseQuote(patched(50, 0x89)))).toBe('QUOTE_MALFORMED');
    expect(codeOf(() => parseQuote(patched(48, 2)))).toBe('QUOTE_MALFORMED');
  });

  it('P8, P9: lengths must match exactly, and nothing may follow', () => {
    const quote = plainQuote();
    const longer = (offset: number): Uint8Array => {
      const copy = new Uint8Array(quote.length + 1);
      copy.set(quote);
      new DataView(copy.buffer).setUint32(
        offset,
        new DataView(copy.buffer).getUint32(offset, true) + 1,
        true,
      );
      return copy;
    };
    expect(codeOf(() => parseQuote(longer(632)))).toBe('QUOTE_MALFORMED');
    expect(codeOf(() => parseQuote(longer(632 + 4 + 64 + 64 + 2)))).toBe('QUOTE_TRUNCATED');
    expect(codeOf(() => parseQuote(Buffer.concat([quote, Buffer.of(0)])))).toBe('QUOTE_TRAILING_BYTES');
    expect(codeOf(() => parseQuote(new Uint8Array(16_385)))).toBe('QUOTE_TOO_LARGE');
  });

  it('a quote is a private copy, and only parseQuote makes one', () => {
    const bytes = new Uint8Array(plainQuote());
    const quote = parseQuote(bytes);
    bytes.fill(0);
    expect(verifyInWorld().quote.signedBytes).toEqual(quote.signedBytes);
    expect(Object.isFrozen(quote)).toBe(true);
    const Forged = Quote as unknown as new (key: symbol, parts: unknown) => Quote;
    expect(() => new Forged(Symbol('parseQuote'), {})).toThrow(TypeError);
  });

  it('P5: each field of an extended TD report is read from its offset', () => {
    const sizes = { vmid: 1, tdId: 32, devInfo: 48, initServTdHash: 48, initServTdAttributes: 8 };
    const more = {
      initCpuSvn: 16,
      initTeeTcbSvn: 16,
      initTeeFmspc: 12,
      curServTdHash: 48,
      curServTdAttributes: 8,
    };
    const extension = Object.fromEntries(
      Object.entries({ ...sizes, ...more }).map(([name, size], index) => [
        name,
        new Uint8Array(size).fill(index + 1),
      ]),
    );
    const quote = parseQuote(
      // The names and sizes above are those of the type.
      plainQuote({ version: 5, layout: '1.5-extended', body: { extension: extension as never } }),
    );
    expect(quote.bodyType).toBe(4);
    expect(quote.signedBytes).toHaveLength(48 + 6 + 885);
    expect(quote.body.extension).toEqual(extension);
    expect(quote.body.teeTcbSvn2).toHaveLength(16);
  });

  it('P5: the size of an extended TD report is 885', () => {
    const quote = new Uint8Array(plainQuote({ version: 5 }));
    quote[48] = 4;
    expect(codeOf(() => parseQuote(quote))).toBe('QUOTE_MALFORMED');
  });

  describe('P7: certification data of type 1 to 4 names the platform only', () => {
    const naming = (innerCertificationDataType: number): Uint8Array =>
      quoteWith(() => ({ innerCertificationDataType, certificationData: new Uint8Array(36).fill(3) }));
    const chain = pki.platform().certificationPem;
    const withChain = (pck_certificate_chain: string) =>
      parseCollateralDocuments({ ...plainCollateral(), pck_certificate_chain });

    it.each([1, 2, 3, 4])('type %i is verified with the PCK chain of the collateral', (type) => {
      expect(verifyInWorld(naming(type), withChain(chain)).tcbStatus).toBe('UpToDate');
      expect(thrownBy(() => verifyInWorld(naming(type)))).toMatchObject({
        code: 'QUOTE_UNSUPPORTED',
        hint: expect.stringContaining('pck_certificate_chain'),
      });
    });

    it('the given chain is verified like the chain in a quote', () => {
      const { pck } = strangers.platform();
      const { root, platformCa } = pki.authorities;
      expect(verdictOf(naming(3), withChain(strangers.platform().certificationPem))).toBe('ROOT_NOT_TRUSTED');
      const forged = certificationPem(pck.certificate, platformCa.certificate, root.certificate);
      expect(verdictOf(naming(3), withChain(forged))).toBe('CERTIFICATE_SIGNATURE_INVALID');
      expect(verdictOf(naming(3), withChain(pki.platform(1).certificationPem))).toBe(
        'QE_REPORT_SIGNATURE_INVALID',
      );
      expect(verdictOf(naming(3), withChain('ü'))).toBe('CERTIFICATE_MALFORMED');
      expect(codeOf(() => withChain('x'.repeat(16_385)))).toBe('COLLATERAL_MALFORMED');
    });

    it('a quote with its own chain is verified with its own chain', () => {
      expect(verdictOf(plainQuote(), withChain(strangers.platform().certificationPem))).toBe('none');
    });

    it('without collateral the chain is given as an option', () => {
      const verifier = new QuoteVerifier({ trustRoot });
      const { platform } = verifier.verifyChainOnly(naming(2), {
        nowMs: worldNowMs,
        pckCertificateChain: chain,
      });
      expect(platform.fmspc).toEqual(pki.fmspc);
      expect(codeOf(() => verifier.verifyChainOnly(naming(2), { nowMs: worldNowMs }))).toBe(
        'QUOTE_UNSUPPORTED',
      );
      expect(codeOf(() => platformOf(parseQuote(naming(2))))).toBe('QUOTE_UNSUPPORTED');
    });
  });

  it('C2: the root may come first, as Intel’s verifier sorts a chain; any other order is refused', () => {
    const { pck } = pki.platform();
    const { root, platformCa } = pki.authorities;
    const quoteOf = (...certificates: readonly Uint8Array[]) =>
      quoteWith(() => ({ certificationPem: certificationPem(...certificates) }));
    const rootFirst = quoteOf(root.certificate, platformCa.certificate, pck.certificate);
    expect(verdictOf(rootFirst)).toBe('none');
    expect(platformOf(parseQuote(rootFirst)).fmspc).toEqual(pki.fmspc);
    expect(verdictOf(quoteOf(root.certificate, pck.certificate, platformCa.certificate))).toBe(
      'CERTIFICATE_CHAIN_INVALID',
    );
    expect(verdictOf(quoteOf(pck.certificate, root.certificate, platformCa.certificate))).toBe(
      'ROOT_NOT_TRUSTED',
    );
  });

  it('a value that is neither a quote nor bytes is a TypeError that names the expected type', () => {
    // What JavaScript callers may do.
    const verify = verifyQuote as (...parts: unknown[]) => unknown;
    const options = { collateral: plainCollateral(), nowMs: worldNowMs };
    for (const [quote, kind] of [
      [undefined, 'undefined'],
      [null, 'null'],
      ['00', 'string'],
      [{}, 'object'],
    ]) {
      const error = thrownBy(() => verify(quote, options));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toBe(`a quote must be a Uint8Array, got ${kind}`);
    }
    const error = thrownBy(() => verify(plainQuote()));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(
      'a verification needs options { collateral, nowMs }, got undefined',
    );
    const verifier = new QuoteVerifier({ trustRoot });
    for (const wrong of [undefined, null, 7])
      expect(() => verifier.verify(plainQuote(), wrong as never)).toThrow(
        new TypeError(`a verification needs options { collateral, nowMs }, got ${wrong}`),
      );
  });

  it('a verified quote prints as JSON: bytes as hex, big numbers as text, no raw evidence', () => {
    const json = JSON.parse(JSON.stringify(verifyInWorld(plainQuote({ version: 5 }))));
    expect(json).toMatchObject({
      tcbStatus: 'UpToDate',
      platform: { fmspc: 'de7e10000000' },
      collateral: { crlNumbers: { rootCa: '1', pck: '1' } },
      quote: { version: 5, bodyType: 3, body: { teeTcbSvn2: '05010800000000000000000000000000' } },
      currentTcb: { tcbStatus: 'UpToDate' },
    });
    expect(Object.keys(json.quote)).toEqual(['version', 'bodyType', 'body']);
    expect([json.advisoryIds, json.shortfalls]).toEqual([[], []]);
  });

  it('lists print as lists, and null as null', () => {
    expect(printable({ list: [1n, null, Uint8Array.of(10)], none: null })).toEqual({
      list: ['1', null, '0a'],
      none: null,
    });
  });

  it('a copy of a proof is not accepted as a proof', () => {
    const verified = verifyInWorld();
    const chainVerified = new QuoteVerifier({ trustRoot }).verifyChainOnly(plainQuote(), {
      nowMs: worldNowMs,
    });
    expect([VerifiedQuote.isProof(verified), ChainVerifiedQuote.isProof(chainVerified)]).toEqual([
      true,
      true,
    ]);
    const copies = [{ ...verified }, structuredClone({ tcbStatus: 'UpToDate' }), Object.create(verified)];
    for (const copy of [...copies, { ...chainVerified }, null, undefined, 'UpToDate', chainVerified]) {
      expect(VerifiedQuote.isProof(copy)).toBe(false);
      // What only a cast lets TypeScript do.
      expect(() => applyPolicy(copy as never, defaultPolicy, worldNowMs)).toThrow(TypeError);
    }
    for (const copy of [{ ...chainVerified }, Object.create(chainVerified), null, undefined, 'text', 7])
      expect(ChainVerifiedQuote.isProof(copy)).toBe(false);
  });

  it('proofs and roots cannot be constructed by other code', () => {
    for (const Proof of [VerifiedQuote, ChainVerifiedQuote, TrustRoot] as unknown as (new (
      ...parts: unknown[]
    ) => unknown)[]) {
      expect(() => new Proof(Symbol('QuoteVerifier'), {}, {}, {})).toThrow(
        /is made by QuoteVerifier only|^use TrustRoot/,
      );
    }
  });
});

describe('1d quoting enclave and signatures', () => {
  it('Q1: the QE report is signed by the PCK key', () =>
    expect(verdictOf(quoteWith(() => ({ pckKey: strayKey })))).toBe('QE_REPORT_SIGNATURE_INVALID'));

  it('Q1, Q2, Q8: signatures count without collateral too', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const verdict = (quote: Uint8Array) =>
      codeOf(() => verifier.verifyChainOnly(quote, { nowMs: worldNowMs }));
    const parts = pki.quoteParts({ reportData: new Uint8Array(64) });
    const signed = signedRegion(parts);
    expect(verdict(joinQuote(signed, parts.attestationKey.sign(signed), parts))).toBe('none');
    expect(verdict(joinQuote(signed, strayKey.sign(signed), parts))).toBe('QUOTE_SIGNATURE_INVALID');
    expect(verdict(quoteWith(() => ({ pckKey: strayKey })))).toBe('QE_REPORT_SIGNATURE_INVALID');
    expect(verdict(quoteWith(() => ({ attestationKey: strayKey })))).toBe('QE_REPORT_DATA_MISMATCH');
  });

  it('Q2, Q3: the QE report vouches for this key and nothing else', () => {
    expect(verdictOf(quoteWith(() => ({ attestationKey: strayKey })))).toBe('QE_REPORT_DATA_MISMATCH');
    const tail = quoteWith(({ qeReport }) => {
      const reportData = new Uint8Array(qeReport.reportData);
      reportData[63] = 1;
      return { qeReport: { ...qeReport, reportData } };
    });
    expect(verdictOf(tail)).toBe('QE_REPORT_DATA_MISMATCH');
  });

  it.each([
    ['Q4 MRSIGNER', { mrSigner: new Uint8Array(32) }],
    ['Q4 ISVPRODID', { isvProdId: 3 }],
    ['Q5 MISCSELECT', { miscSelect: 1 }],
    ['Q5 ATTRIBUTES', { attributes: new Uint8Array(16) }],
    ['Q6 DEBUG', { attributes: Uint8Array.of(0x17, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0) }],
  ] as const)('%s', (_, change) => {
    const quote = quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, ...change } }));
    expect(verdictOf(quote)).toBe('QE_IDENTITY_MISMATCH');
  });

  it('Q6: a debug enclave is refused even when the mask of the identity ignores the flag', () => {
    const blind = qeIdentityWith(() => ({ attributesMask: '0'.repeat(32), attributes: '0'.repeat(32) }));
    const debug = quoteWith(({ qeReport }) => ({
      qeReport: { ...qeReport, attributes: new Uint8Array(16).fill(2, 0, 1) },
    }));
    expect(verdictOf(plainQuote(), blind)).toBe('none');
    expect(verdictOf(debug, blind)).toBe('QE_IDENTITY_MISMATCH');
  });

  it('Q8: the attestation key must be on the curve, and must have signed the quote', () => {
    const parts = pki.quoteParts({ reportData: new Uint8Array(64) });
    const signed = signedRegion(parts);
    expect(verdictOf(joinQuote(signed, strayKey.sign(signed), parts))).toBe('QUOTE_SIGNATURE_INVALID');
    const offCurve = quoteWith(({ qeReport, authenticationData }) => {
      const publicKey = new Uint8Array(64).fill(1);
      const attestationKey = Object.assign(Object.create(strayKey), {
        publicKey,
        sign: () => new Uint8Array(64),
      });
      return {
        attestationKey,
        qeReport: { ...qeReport, reportData: bindingOf(publicKey, authenticationData) },
      };
    });
    expect(verdictOf(offCurve)).toBe('ATTESTATION_KEY_INVALID');
  });

  it('1g: a high-S signature is accepted, because Intel does not normalise signatures', () => {
    const statuses = Array.from({ length: 8 }, (_, index) =>
      verdictOf(plainQuote({ reportData: new Uint8Array(64).fill(index) })),
    );
    expect(new Set(statuses)).toEqual(new Set(['none']));
  });
});

describe('verifyQuote with a policy', () => {
  it('verifies and applies the policy', () => {
    const verifier = new QuoteVerifier({
      trustRoot,
      limits: { collateralSets: 1, pckChains: 1, attestationKeys: 1 },
    });
    const options = { collateral: plainCollateral(), nowMs: worldNowMs, verifier };
    expect(verifyQuote(plainQuote(), options).tcbStatus).toBe('UpToDate');
    const debug = plainQuote({ body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } });
    expect(codeOf(() => verifyQuote(debug, options))).toBe('TD_DEBUG');
    const { verifier: _, ...underIntel } = options;
    expect(codeOf(() => verifyQuote(plainQuote(), underIntel))).toBe('ROOT_NOT_TRUSTED');
    expect(() => new QuoteVerifier({ trustRoot, limits: { pckChains: 0 } })).toThrow(RangeError);
    expect(thrownBy(() => verifyQuote(debug, options))).toMatchObject({
      family: 'refusal',
      field: 'TDATTRIBUTES',
    });
  });

  it('removes the oldest entry when a cache is full, and gives the same verdicts', () => {
    const verifier = new QuoteVerifier({
      trustRoot,
      limits: { collateralSets: 1, pckChains: 2, attestationKeys: 1 },
    });
    for (const platform of [0, 1, 0, 2, 0, 1]) {
      const options = { collateral: { ...plainCollateral() }, nowMs: worldNowMs };
      expect(verifier.verify(plainQuote({ platform }), options).tcbStatus).toBe('UpToDate');
    }
  });
});

function bindingOf(key: Uint8Array, authenticationData: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(sha256(key, authenticationData));
  return bytes;
}
