import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../../src/bytes/concat.ts';
import type { QeReport } from '../quote/qe-report.ts';
import { joinQuote, signedRegion } from '../quote/quote-parts.ts';
import type { Evidence } from './evidence.ts';
import type { TamperBench } from './tamper-bench.ts';
import { accepted, anyStatus, refused, type TamperCase, tamperCase } from './tamper-case.ts';

/** Offset of the attestation key after the signed region: after length and signature. */
const ATTESTATION_KEY_AT = 4 + 64;

const qeReport = (bench: TamperBench, change: (report: QeReport) => Partial<QeReport>): Evidence =>
  bench.quote((parts) => ({ ...parts, qeReport: { ...parts.qeReport, ...change(parts.qeReport) } }));

/** The other signature that ECDSA accepts for the same message: (r, n - s). */
function twinOf(signature: Uint8Array): Uint8Array {
  const { r, s } = p256.Signature.fromBytes(signature);
  return new p256.Signature(r, p256.Point.CURVE().n - s).toBytes();
}

const bindingBroken = refused('QE_REPORT_DATA_MISMATCH');
const otherEnclave = refused('QE_IDENTITY_MISMATCH');
const badQuoteSignature = refused('QUOTE_SIGNATURE_INVALID');

const enclaveCases: readonly TamperCase[] = [
  tamperCase(
    'qe-report-signed-by-another',
    'Q1',
    'The QE report is signed by the attestation key instead of the PCK.',
    (bench) => bench.quote((parts) => ({ ...parts, pckKey: parts.attestationKey })),
    refused('QE_REPORT_SIGNATURE_INVALID'),
  ),
  tamperCase(
    'qe-report-of-another-platform',
    'Q1',
    'The QE report and its signature come from another genuine platform.',
    (bench) => bench.quote((parts) => ({ ...parts, pckKey: bench.parts({ platform: 1 }).pckKey })),
    refused('QE_REPORT_SIGNATURE_INVALID'),
  ),
  tamperCase(
    'attestation-key-of-another',
    'Q2',
    'The quote is signed by a key that the QE does not vouch for.',
    (bench) =>
      bench.quote((parts) => ({ ...parts, attestationKey: bench.parts({ platform: 1 }).attestationKey })),
    bindingBroken,
  ),
  tamperCase(
    'authentication-data-changed',
    'Q2',
    'Other authentication data than the QE vouches for.',
    (bench) => bench.quote((parts) => ({ ...parts, authenticationData: new Uint8Array(32) })),
    bindingBroken,
  ),
  tamperCase(
    'qe-report-data-tail',
    'Q3',
    'The last byte of the QE report data is not zero; Intel’s own verifier accepts it.',
    (bench) => qeReport(bench, ({ reportData }) => ({ reportData: reportData.with(63, 1) })),
    bindingBroken,
  ),
  tamperCase(
    'qe-of-another-signer',
    'Q4',
    'Any enclave on a genuine platform can get its report signed; only Intel’s may make quotes.',
    (bench) => qeReport(bench, () => ({ mrSigner: new Uint8Array(32).fill(7) })),
    otherEnclave,
  ),
  tamperCase(
    'qe-of-another-product',
    'Q4',
    'ISVPRODID 1 is the SGX quoting enclave.',
    (bench) => qeReport(bench, () => ({ isvProdId: 1 })),
    otherEnclave,
  ),
  tamperCase(
    'qe-misc-select',
    'Q5',
    'A MISCSELECT bit is set.',
    (bench) => qeReport(bench, () => ({ miscSelect: 1 })),
    otherEnclave,
  ),
  tamperCase(
    'qe-without-provision-key',
    'Q5',
    'The attributes lack a bit that the identity demands.',
    (bench) => qeReport(bench, ({ attributes }) => ({ attributes: attributes.with(0, 0x05) })),
    otherEnclave,
  ),
  tamperCase(
    'qe-other-xfrm',
    'Q5',
    'XFRM differs, which the mask leaves free.',
    (bench) => qeReport(bench, ({ attributes }) => ({ attributes: attributes.with(8, 0x07) })),
    accepted(),
  ),
  tamperCase(
    'qe-identity-beyond-its-mask',
    'Q5',
    'The identity demands a bit outside of its own mask, which no enclave can fulfil.',
    (bench) => bench.qeIdentity((content) => ({ ...content, attributes: `15${'0'.repeat(30)}` })),
    otherEnclave,
  ),
  tamperCase(
    'qe-debug',
    'Q6',
    'The QE runs in debug mode: its host reads the attestation key.',
    (bench) => qeReport(bench, ({ attributes }) => ({ attributes: attributes.with(0, 0x17) })),
    otherEnclave,
  ),
  {
    name: 'qe-debug-masked',
    row: 'Q6',
    about: 'The QE runs in debug mode, and the mask of the identity does not look.',
    make(bench) {
      const { quote } = qeReport(bench, ({ attributes }) => ({ attributes: attributes.with(0, 0x17) }));
      const attributesMask = `F9FFFFFFFFFFFFFF${'0'.repeat(16)}`;
      return { ...bench.qeIdentity((content) => ({ ...content, attributesMask })), quote };
    },
    expected: otherEnclave,
  },
  tamperCase(
    'qe-out-of-date',
    'Q7',
    'The QE reaches only the second level of its identity.',
    (bench) => qeReport(bench, () => ({ isvSvn: 5 })),
    accepted('OutOfDate', ['INTEL-SA-01245']),
    anyStatus,
  ),
  tamperCase(
    'qe-revoked',
    'Q7',
    'The QE reaches only a revoked level.',
    (bench) => qeReport(bench, () => ({ isvSvn: 3 })),
    refused('TCB_REVOKED', 'Revoked'),
    anyStatus,
  ),
  tamperCase(
    'qe-below-every-level',
    'Q7',
    'The QE reaches no level.',
    (bench) => qeReport(bench, () => ({ isvSvn: 1 })),
    refused('TCB_NOT_SUPPORTED'),
  ),
];

const quoteSignatureCases: readonly TamperCase[] = [
  tamperCase(
    'report-data-changed',
    'Q8',
    'One bit of the report data was flipped after signing.',
    (bench) =>
      bench.quoteBytes((quote) => {
        const at = 48 + 520;
        return quote.with(at, (quote[at] ?? 0) ^ 1);
      }),
    badQuoteSignature,
  ),
  tamperCase(
    'header-user-data-changed',
    'Q8',
    'The header belongs to the signed region too.',
    (bench) => bench.quoteBytes((quote) => quote.with(28, 0xff)),
    badQuoteSignature,
  ),
  tamperCase(
    'quote-signature-zero',
    'Q8',
    'r and s are zero, which a careless verifier takes for anything.',
    (bench) => {
      const parts = bench.parts();
      return bench.evidence({ quote: joinQuote(signedRegion(parts), new Uint8Array(64), parts) });
    },
    badQuoteSignature,
  ),
  tamperCase(
    'quote-signature-twin',
    'Q8',
    'The twin signature (r, n - s) is valid ECDSA; Intel does not normalise its own either.',
    (bench) => {
      const parts = bench.parts();
      const signed = signedRegion(parts);
      return bench.evidence({ quote: joinQuote(signed, twinOf(parts.attestationKey.sign(signed)), parts) });
    },
    accepted(),
  ),
  tamperCase(
    'attestation-key-not-on-curve',
    'Q8',
    'The QE vouches for 64 bytes that are no point on P-256.',
    (bench) => {
      const key = new Uint8Array(64).fill(1);
      const parts = bench.parts();
      const digest = sha256(concatBytes(key, parts.authenticationData));
      const report = { ...parts.qeReport, reportData: concatBytes(digest, new Uint8Array(32)) };
      const { quote } = bench.quote(() => ({ ...parts, qeReport: report }));
      const patched = new Uint8Array(quote);
      patched.set(key, signedRegion(parts).length + ATTESTATION_KEY_AT);
      return bench.evidence({ quote: patched });
    },
    refused('ATTESTATION_KEY_INVALID'),
  ),
];

/** Table 1d: the quoting enclave and the quote's signature. */
export const signatureCases: readonly TamperCase[] = [...enclaveCases, ...quoteSignatureCases];
