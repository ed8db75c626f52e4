import { QuoteVerifier } from '@phala/dcap-qvl';
import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { type TamperLine, tamperLines } from '../../mock-tdx/tamper-kit.ts';

/** What @phala/dcap-qvl 0.3.9 accepts although a complete verification must refuse it, and why. */
const wronglyAccepted: Readonly<Record<string, readonly string[]>> = {
  'does not compare the QE vendor': ['qe-vendor-id-other'],
  'does not compare lengths and types in the quote': [
    'v5-body-size-600',
    'outer-certification-type-99',
    'signature-data-slack',
    'pck-chain-length-short',
    'trailing-bytes',
    'too-large',
  ],
  'does not compare names, roles, flags and shape of certificates': [
    'pck-chain-without-root',
    'leaf-names-another-issuer',
    'tcb-info-signed-by-pck',
    'pck-leaf-named-tcb-signing',
    'tcb-signer-named-pck',
    'intermediate-not-a-ca',
    'intermediate-without-basic-constraints',
    'intermediate-may-not-sign',
    'root-allows-no-ca-below',
    'leaf-of-x509-v1',
  ],
  'does not verify CRLs, and takes one that it cannot read for empty': [
    'pck-crl-signed-by-another',
    'root-crl-signed-by-another',
    'pck-crl-names-another-issuer',
    'crls-exchanged',
    'pck-crl-without-number',
    'root-crl-without-authority-key',
    'pck-crl-expired',
    'root-crl-expired',
    'pck-crl-of-tomorrow',
    'root-crl-of-tomorrow',
    'pck-crl-empty',
    'pck-crl-garbage',
    'root-crl-garbage',
    'pck-crl-trailing-bytes',
    'pck-crl-not-hex',
    'root-crl-absent',
    'pck-crl-of-processor-ca',
  ],
  'reads only some fields of the SGX extension': [
    'sgx-extension-of-processor',
    'sgx-extension-ppid-15',
    'sgx-extension-pceid-3',
    'sgx-extension-svn-256',
  ],
  'does not validate TCB info and QE identity completely': [
    'tcb-info-type-1',
    'tcb-level-15-components',
    'tcb-level-twice',
    'tcb-level-unknown-status',
    'tcb-level-svn-256',
    'tcb-info-of-another-pceid',
    'qe-identity-version-3',
    'qe-level-configuration-needed',
    'qe-level-not-reached-configuration-needed',
  ],
  'does not compare the second half of the QE report data': ['qe-report-data-tail'],
  'masks both sides of the QE attributes': ['qe-identity-beyond-its-mask'],
  'has no check of the TDX module': [
    'module-version-unknown',
    'module-identity-twice',
    'module-of-another-signer',
    'module-identity-of-another-signer',
    'module-attributes',
    'module-attributes-masked',
    'module-level-reached-of-unknown-status',
  ],
  'does not look at the TCB that is loaded now': [
    'loaded-module-unknown',
    'loaded-module-below-every-level',
    'loaded-tcb-below-every-platform-level',
    'loaded-module-revoked',
  ],
  'compares CPUSVN instead of the components': ['components-below-every-level'],
  'leaves XFAM and Key Locker to its caller': [
    'key-locker',
    'xfam-zero',
    'xfam-without-sse',
    'xfam-reserved-bit',
  ],
};

/** What it refuses or judges otherwise although Intel's rule is clear, and why. */
const wronglyJudged: Readonly<Record<string, readonly string[]>> = {
  'knows authentication data of 32 bytes only': ['authentication-data-empty', 'authentication-data-64'],
  'trusts the order of levels in the JSON': ['tcb-levels-shuffled'],
  'compares CPUSVN instead of the components': ['sgx-components-older', 'cpusvn-is-not-compared'],
  'compares all TDX components whatever the module version, and knows no module levels': [
    'module-version-3',
    'module-out-of-date',
    'hardening-and-module-out-of-date',
    'configuration-and-module-out-of-date',
    'advisories-of-all-three',
    'relaunch-advised',
    'relaunch-advised-configuration-needed',
    'relaunch-would-not-help-module',
    'relaunch-would-not-help-microcode',
    'relaunch-unknown-to-report-1.0',
    'relaunch-with-qe-out-of-date',
    'relaunch-advised-for-microcode',
    'relaunch-advised-for-module-version-0',
    'relaunch-would-not-help-newest-module-level',
  ],
  'refuses attributes that our policy can allow': ['lass-allowed', 'migratable-allowed'],
  'trusts the order of certificates in a chain': ['pck-chain-root-first', 'tcb-chain-root-first'],
  'takes a PCK chain beside the quote instead of that in the quote': ['pck-chain-twice'],
  'does not know the extended TD report': ['v5-extended-report-covered'],
  'takes the worse of two statuses instead of converging them': ['configuration-and-qe-out-of-date'],
};

/** It has no policy: what only our policy refuses says nothing about it. */
const ofThePolicy = [
  'TCB_STATUS_REFUSED',
  'ADVISORY_REFUSED',
  'MEASUREMENT_REFUSED',
  'TCB_EVALUATION_TOO_OLD',
];

const bytes = (hex: string | undefined): number[] => [...Buffer.from(hex ?? '', 'hex')];

/** Its TCB status, or `undefined` when it refuses. */
function judge({ quote, collateral, now, root }: TamperLine): string | undefined {
  // The kit's sets are collateral JSON, of which a defect may lack a field.
  const set = collateral as Readonly<Record<string, string | undefined>>;
  const translated = {
    ...set,
    tcb_info_signature: bytes(set['tcb_info_signature']),
    qe_identity_signature: bytes(set['qe_identity_signature']),
    root_ca_crl: bytes(set['root_ca_crl']),
    pck_crl: bytes(set['pck_crl']),
  };
  const rootDer = Buffer.from(root.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  try {
    const verified = new QuoteVerifier(rootDer).verify(
      Buffer.from(quote, 'base64'),
      // Its types want every field, and defects leave some out.
      translated as unknown as Parameters<QuoteVerifier['verify']>[1],
      Math.floor(Date.parse(now) / 1000),
    );
    return verified.status;
  } catch {
    return undefined;
  }
}

describe('the tamper kit applied to @phala/dcap-qvl', () => {
  const lines = [
    ...tamperLines(createDevelopmentPki({ seed: new Uint8Array(32).fill(4) }), Date.UTC(2026, 10, 21, 12)),
  ].filter(({ policy, expected }) =>
    expected.ok ? policy?.['requireSeptVeDisable'] !== false : !ofThePolicy.includes(expected.code),
  );

  it('dcap-qvl wrongly accepts exactly the listed cases', () => {
    const found = lines.filter((line) => !line.expected.ok && judge(line) !== undefined).map(({ id }) => id);
    expect(found.sort()).toEqual(Object.values(wronglyAccepted).flat().sort());
  });

  it('dcap-qvl agrees on every case that must be accepted, except for its known errors', () => {
    const found = lines
      .filter((line) => line.expected.ok && judge(line) !== line.expected.tcbStatus)
      .map(({ id }) => id);
    expect(found.sort()).toEqual(Object.values(wronglyJudged).flat().sort());
  });
});
