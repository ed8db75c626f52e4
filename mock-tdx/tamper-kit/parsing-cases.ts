import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../../src/bytes/concat.ts';
import type { CollateralJson } from '../collateral/collateral-parts.ts';
import type { DevelopmentPki } from '../development-pki.ts';
import { joinQuote, type QuoteParts, signedRegion } from '../quote/quote-parts.ts';
import type { TamperBench } from './tamper-bench.ts';
import { accepted, refused, type TamperCase } from './tamper-case.ts';

/** Offset of the length of the signature data in a version 4 quote. */
const SIGNATURE_DATA_LENGTH_AT = 48 + 584;

const patched = (bytes: Uint8Array, offset: number, ...values: readonly number[]): Uint8Array => {
  const copy = new Uint8Array(bytes);
  copy.set(values, offset);
  return copy;
};

function withU32(bytes: Uint8Array, offset: number, change: (value: number) => number): Uint8Array {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  view.setUint32(offset, change(view.getUint32(offset, true)), true);
  return copy;
}

/** The QE vouches for other authentication data; the binding holds. */
function withAuthenticationData(parts: QuoteParts, authenticationData: Uint8Array): QuoteParts {
  const digest = sha256(concatBytes(parts.attestationKey.publicKey, authenticationData));
  const reportData = concatBytes(digest, new Uint8Array(32));
  return { ...parts, authenticationData, qeReport: { ...parts.qeReport, reportData } };
}

/** Certification data that names the platform: PPID, CPUSVN, PCESVN and PCEID, or the PPID encrypted. */
const namingPlatform = (parts: QuoteParts, innerCertificationDataType: number): QuoteParts => ({
  ...parts,
  innerCertificationDataType,
  certificationData: new Uint8Array(innerCertificationDataType === 1 ? 36 : 404).fill(0x5a),
});

/** Good collateral with the PCK chain of a platform of this PKI in it. */
const withPckChain = (bench: TamperBench, pki: DevelopmentPki): CollateralJson => ({
  ...bench.evidence().collateral,
  pck_certificate_chain: pki.platform().certificationPem,
});

/** Covers each field of an extended TD report: the first VM only, anything else in the other fields. */
const extendedReportPolicy = {
  vmid: ['00'],
  tdId: 'any',
  devInfo: 'any',
  initServTdHash: 'any',
  initServTdAttributes: 'any',
  initCpuSvn: 'any',
  initTeeTcbSvn: 'any',
  initTeeFmspc: 'any',
  curServTdHash: 'any',
  curServTdAttributes: 'any',
} as const;

/** Table 1a: the layout of the quote. */
export const parsingCases: readonly TamperCase[] = [
  {
    name: 'version-3',
    row: 'P1',
    about: 'Version 3 is an SGX quote.',
    make: (bench) => bench.quote((parts) => ({ ...parts, version: 3 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'version-6',
    row: 'P1',
    about: 'A version of the future.',
    make: (bench) => bench.quote((parts) => ({ ...parts, version: 6 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'tee-type-sgx',
    row: 'P2',
    about: 'TEE type 0 is SGX.',
    make: (bench) => bench.quote((parts) => ({ ...parts, teeType: 0 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'attestation-key-type-3',
    row: 'P3',
    about: 'Key type 3 is ECDSA P-384.',
    make: (bench) => bench.quote((parts) => ({ ...parts, attestationKeyType: 3 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'qe-vendor-id-other',
    row: 'P4',
    about: 'The quoting enclave is of another vendor.',
    make: (bench) => bench.quote((parts) => ({ ...parts, qeVendorId: new Uint8Array(16) })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'v5-body-type-sgx',
    row: 'P5',
    about: 'Version 5 with body type 1, an SGX enclave report.',
    make: (bench) => bench.signedBytes((signed) => patched(signed, 48, 1), { version: 5 }),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'v5-body-size-600',
    row: 'P5',
    about: 'Version 5 whose size field is not that of its body type.',
    make: (bench) => bench.signedBytes((signed) => withU32(signed, 50, () => 600), { version: 5 }),
    expected: refused('QUOTE_MALFORMED'),
  },
  {
    name: 'v5-body-type-confused',
    row: 'P5',
    about: 'Version 5 that calls a TD report 1.5 a TD report 1.0.',
    make: (bench) => bench.signedBytes((signed) => patched(signed, 48, 2), { version: 5 }),
    expected: refused('QUOTE_MALFORMED'),
  },
  {
    name: 'v5-extended-report',
    row: 'P5',
    about: 'Version 5 with an extended TD report 1.5, which the default policy does not cover.',
    make: (bench) => bench.asked({ version: 5, layout: '1.5-extended' }),
    expected: refused('EXTENDED_REPORT_REFUSED', 'UpToDate'),
  },
  {
    name: 'v5-extended-report-covered',
    row: 'P5',
    about: 'Version 5 with an extended TD report 1.5, under a policy that covers each of its fields.',
    make: (bench) => bench.asked({ version: 5, layout: '1.5-extended' }),
    expected: accepted(),
    policy: { extendedReport: extendedReportPolicy },
  },
  {
    name: 'v5-extended-report-of-nested-vm',
    row: 'P5',
    about: 'An extended TD report of another VM of the TD than the policy accepts.',
    make: (bench) =>
      bench.asked({
        version: 5,
        layout: '1.5-extended',
        body: { extension: { ...bench.parts().body.extension, vmid: Uint8Array.of(1) } },
      }),
    expected: refused('EXTENDED_REPORT_REFUSED', 'UpToDate'),
    policy: { extendedReport: extendedReportPolicy },
  },
  {
    name: 'v5-body-type-5',
    row: 'P5',
    about: 'Version 5 with a body type that does not exist.',
    make: (bench) => bench.signedBytes((signed) => patched(signed, 48, 5), { version: 5 }),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'v5-report-called-extended',
    row: 'P5',
    about: 'Version 5 that calls a TD report 1.5 an extended one.',
    make: (bench) => bench.signedBytes((signed) => patched(signed, 48, 4), { version: 5 }),
    expected: refused('QUOTE_MALFORMED'),
  },
  {
    name: 'v5-signed-without-tail',
    row: 'P6',
    about: 'Version 5 signed over the first 696 bytes only, as a known faulty verifier expects.',
    make(bench) {
      const parts = bench.parts({ version: 5 });
      const signed = signedRegion(parts);
      return bench.evidence({
        quote: joinQuote(signed, parts.attestationKey.sign(signed.slice(0, 696)), parts),
      });
    },
    expected: refused('QUOTE_SIGNATURE_INVALID'),
  },
  {
    name: 'v5-signed-without-descriptor',
    row: 'P6',
    about: 'Version 5 whose signature leaves the body descriptor out.',
    make(bench) {
      const parts = bench.parts({ version: 5 });
      const signed = signedRegion(parts);
      const covered = concatBytes(signed.slice(0, 48), signed.slice(54));
      return bench.evidence({ quote: joinQuote(signed, parts.attestationKey.sign(covered), parts) });
    },
    expected: refused('QUOTE_SIGNATURE_INVALID'),
  },
  {
    name: 'outer-certification-type-99',
    row: 'P7',
    about: 'Outer certification data of an unknown type.',
    make: (bench) => bench.quote((parts) => ({ ...parts, certificationDataType: 99 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'inner-certification-type-0',
    row: 'P7',
    about: 'Inner certification data of a type that does not exist.',
    make: (bench) => bench.quote((parts) => ({ ...parts, innerCertificationDataType: 0 })),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  {
    name: 'inner-certification-type-3',
    row: 'P7',
    about: 'Inner certification data that names the platform, and no PCK chain beside the quote.',
    make: (bench) => bench.quote((parts) => namingPlatform(parts, 3)),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
  ...[1, 2, 3, 4].map(
    (type): TamperCase => ({
      name: `inner-certification-type-${type}-with-chain`,
      row: 'P7',
      about: `Inner certification data of type ${type}, and the PCK chain in the collateral.`,
      make: (bench) => ({
        ...bench.quote((parts) => namingPlatform(parts, type)),
        collateral: withPckChain(bench, bench.pki),
      }),
      expected: accepted(),
    }),
  ),
  {
    name: 'inner-certification-type-3-with-chain-of-another-root',
    row: 'P7',
    about: 'Inner certification data that names the platform, and the PCK chain of another PKI.',
    make: (bench) => ({
      ...bench.quote((parts) => namingPlatform(parts, 3)),
      collateral: withPckChain(bench, bench.stranger),
    }),
    expected: refused('ROOT_NOT_TRUSTED'),
  },
  {
    name: 'pck-chain-twice',
    row: 'P7',
    about: 'The quote carries its chain; that of another PKI in the collateral has no effect.',
    make: (bench) => bench.evidence({ collateral: withPckChain(bench, bench.stranger) }),
    expected: accepted(),
  },
  {
    name: 'signature-data-slack',
    row: 'P8',
    about: 'The signature data is one byte longer than its parts.',
    make: (bench) =>
      bench.quoteBytes((quote) =>
        concatBytes(
          withU32(quote, SIGNATURE_DATA_LENGTH_AT, (length) => length + 1),
          new Uint8Array(1),
        ),
      ),
    expected: refused('QUOTE_MALFORMED'),
  },
  {
    name: 'pck-chain-length-short',
    row: 'P8',
    about: 'The length of the PCK chain leaves its last bytes over.',
    make(bench) {
      const chainLength = bench.parts().certificationPem.length;
      return bench.quoteBytes((quote) =>
        withU32(quote, quote.length - chainLength - 4, (length) => length - 10),
      );
    },
    expected: refused('QUOTE_MALFORMED'),
  },
  {
    name: 'trailing-bytes',
    row: 'P9',
    about: '39 bytes behind the quote, as one provider left them; no signature covers them.',
    make: (bench) => bench.quoteBytes((quote) => concatBytes(quote, new Uint8Array(39).fill(0xa5))),
    expected: refused('QUOTE_TRAILING_BYTES'),
  },
  {
    name: 'authentication-data-empty',
    row: 'P10',
    about: 'QE authentication data may have any length: none.',
    make: (bench) => bench.quote((parts) => withAuthenticationData(parts, new Uint8Array())),
    expected: accepted(),
  },
  {
    name: 'authentication-data-64',
    row: 'P10',
    about: 'QE authentication data may have any length: 64 bytes.',
    make: (bench) => bench.quote((parts) => withAuthenticationData(parts, new Uint8Array(64).fill(1))),
    expected: accepted(),
  },
  {
    name: 'signature-data-length-huge',
    row: 'P11',
    about: 'A length of 4 GiB.',
    make: (bench) => bench.quoteBytes((quote) => withU32(quote, SIGNATURE_DATA_LENGTH_AT, () => 0xffff_ffff)),
    expected: refused('QUOTE_TRUNCATED'),
  },
  {
    name: 'truncated',
    row: 'P11',
    about: 'The second half is missing.',
    make: (bench) => bench.quoteBytes((quote) => quote.slice(0, quote.length / 2)),
    expected: refused('QUOTE_TRUNCATED'),
  },
  {
    name: 'too-large',
    row: 'P11',
    about: 'Padded to 64 kB.',
    make: (bench) => bench.quoteBytes((quote) => concatBytes(quote, new Uint8Array(65_536))),
    expected: refused('QUOTE_TOO_LARGE'),
  },
  {
    name: 'v5-sgx-tee-with-td-body',
    row: 'P12',
    about: 'TEE type SGX with a TD report as body.',
    make: (bench) => bench.quote((parts) => ({ ...parts, teeType: 0 }), { version: 5 }),
    expected: refused('QUOTE_UNSUPPORTED'),
  },
];
