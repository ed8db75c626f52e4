import { issueCertificate } from '../pki/certificate.ts';
import { sequence } from '../pki/der-writer.ts';
import { type SgxFacts, sgxExtension } from '../pki/sgx-extension.ts';
import type { Evidence } from './evidence.ts';
import { DAY_MS, type TamperBench } from './tamper-bench.ts';
import { accepted, refused, type TamperCase, tamperCase } from './tamper-case.ts';

const unsigned = refused('CRL_SIGNATURE_INVALID');
const malformed = refused('CRL_MALFORMED');
const otherIssuer = refused('CRL_ISSUER_MISMATCH');
const expired = refused('CRL_EXPIRED');
const early = refused('CRL_NOT_YET_VALID');
const revoked = refused('CERTIFICATE_REVOKED');

const SECOND_SERIAL = Uint8Array.of(0x42, 0x42, 0x42);

/** The QE identity comes from a signer of its own, issued by the root like the other. */
function withSecondSigner(bench: TamperBench, revokedSerialNumbers: readonly Uint8Array[]): Evidence {
  const { root, tcbSigner, processorCa } = bench.pki.authorities;
  // Any key will do; what matters is that the root issued a TCB signing certificate for it.
  const { key } = processorCa;
  const spec = { ...tcbSigner.spec, serialNumber: SECOND_SERIAL, publicKey: key.publicKey };
  const issuerChain = [issueCertificate(spec, root.key), root.certificate];
  return bench.collateral((parts) => ({
    ...parts,
    qeIdentity: { ...parts.qeIdentity, signer: key, issuerChain },
    rootCaCrl: { ...parts.rootCaCrl, spec: { ...parts.rootCaCrl.spec, revokedSerialNumbers } },
  }));
}

/** Table 1b, C10 to C15: revocation. */
const listCases: readonly TamperCase[] = [
  tamperCase(
    'pck-crl-signed-by-another',
    'C10',
    'The PCK CRL names the PCK CA, but a PCK key signed it.',
    (bench) => bench.pckCrl({}, bench.pki.platform().pck.key),
    unsigned,
  ),
  tamperCase(
    'root-crl-signed-by-another',
    'C10',
    'The root CRL names the root, but the PCK CA signed it.',
    (bench) => bench.rootCaCrl({}, bench.pki.authorities.platformCa.key),
    unsigned,
  ),
  tamperCase(
    'pck-crl-names-another-issuer',
    'C11',
    'The PCK CA signed a CRL in the name of the root.',
    (bench) => bench.pckCrl({ issuer: bench.pki.authorities.root.spec.subject }),
    otherIssuer,
  ),
  tamperCase(
    'crls-exchanged',
    'C11',
    'Root CRL and PCK CRL have changed places.',
    (bench) => bench.documents((set) => ({ ...set, root_ca_crl: set.pck_crl, pck_crl: set.root_ca_crl })),
    otherIssuer,
  ),
  tamperCase(
    'pck-crl-without-number',
    'C11',
    'The PCK CRL has no crlNumber.',
    (bench) => bench.pckCrl({ crlNumber: 'absent' }),
    malformed,
  ),
  tamperCase(
    'root-crl-without-authority-key',
    'C11',
    'The root CRL has no authority key identifier.',
    (bench) => bench.rootCaCrl({ authorityKeyIdentifier: 'absent' }),
    malformed,
  ),
  tamperCase(
    'pck-crl-expired',
    'C12',
    'The nextUpdate of the PCK CRL was yesterday.',
    (bench) => bench.pckCrl({ nextUpdateMs: bench.nowMs - DAY_MS }),
    expired,
  ),
  tamperCase(
    'root-crl-expired',
    'C12',
    'The nextUpdate of the root CRL was yesterday.',
    (bench) => bench.rootCaCrl({ nextUpdateMs: bench.nowMs - DAY_MS }),
    expired,
  ),
  tamperCase(
    'pck-crl-of-tomorrow',
    'C12',
    'The thisUpdate of the PCK CRL is tomorrow.',
    (bench) => bench.pckCrl({ thisUpdateMs: bench.nowMs + DAY_MS }),
    early,
  ),
  tamperCase(
    'root-crl-of-tomorrow',
    'C12',
    'The thisUpdate of the root CRL is tomorrow.',
    (bench) => bench.rootCaCrl({ thisUpdateMs: bench.nowMs + DAY_MS }),
    early,
  ),
  tamperCase(
    'pck-crl-empty',
    'C13',
    'The PCK CRL is empty text.',
    (bench) => bench.documents((set) => ({ ...set, pck_crl: '' })),
    malformed,
  ),
  tamperCase(
    'pck-crl-garbage',
    'C13',
    'The PCK CRL is hex of something else.',
    (bench) => bench.documents((set) => ({ ...set, pck_crl: 'deadbeef' })),
    malformed,
  ),
  tamperCase(
    'root-crl-garbage',
    'C13',
    'The root CRL is hex of something else.',
    (bench) => bench.documents((set) => ({ ...set, root_ca_crl: 'deadbeef' })),
    malformed,
  ),
  tamperCase(
    'pck-crl-trailing-bytes',
    'C13',
    'Two bytes follow the PCK CRL.',
    (bench) => bench.documents((set) => ({ ...set, pck_crl: `${set.pck_crl}0500` })),
    malformed,
  ),
  tamperCase(
    'pck-crl-not-hex',
    'C13',
    'The PCK CRL is not hex.',
    (bench) => bench.documents((set) => ({ ...set, pck_crl: 'zz' })),
    refused('COLLATERAL_MALFORMED'),
  ),
  tamperCase(
    'root-crl-absent',
    'C13',
    'There is no root CRL.',
    (bench) => bench.documents(({ root_ca_crl: _, ...set }) => set),
    refused('COLLATERAL_MALFORMED'),
  ),
  tamperCase(
    'pck-leaf-revoked',
    'C14',
    'The PCK CRL names the PCK certificate.',
    (bench) => bench.pckCrl({ revokedSerialNumbers: [bench.pki.platform().pck.spec.serialNumber] }),
    revoked,
  ),
  tamperCase(
    'pck-ca-revoked',
    'C14',
    'The root CRL names the PCK CA.',
    (bench) =>
      bench.rootCaCrl({ revokedSerialNumbers: [bench.pki.authorities.platformCa.spec.serialNumber] }),
    revoked,
  ),
  tamperCase(
    'tcb-signer-revoked',
    'C14',
    'The root CRL names the TCB signing certificate.',
    (bench) => bench.rootCaCrl({ revokedSerialNumbers: [bench.pki.authorities.tcbSigner.spec.serialNumber] }),
    revoked,
  ),
  tamperCase(
    'second-tcb-signer',
    'C14',
    'TCB info and QE identity have a signer each, both good.',
    (bench) => withSecondSigner(bench, []),
    accepted(),
  ),
  tamperCase(
    'second-tcb-signer-revoked',
    'C14',
    'TCB info and QE identity have a signer each, and the root CRL names that of the QE identity.',
    (bench) => withSecondSigner(bench, [SECOND_SERIAL]),
    revoked,
  ),
  tamperCase(
    'second-pck-ca-certificate-revoked',
    'C14',
    'The quote has another certificate of the PCK CA than the collateral, and the root CRL names that one.',
    (bench) => ({
      ...bench.rootCaCrl({ revokedSerialNumbers: [SECOND_SERIAL] }),
      quote: bench.pckCa({ serialNumber: SECOND_SERIAL }).quote,
    }),
    revoked,
  ),
  tamperCase(
    'pck-leaf-revoked-among-many',
    'C14',
    'The PCK certificate is the last of two hundred in the PCK CRL.',
    (bench) => {
      const others = Array.from({ length: 199 }, (_, index) => Uint8Array.of(0x70, index));
      return bench.pckCrl({
        revokedSerialNumbers: [...others, bench.pki.platform().pck.spec.serialNumber],
      });
    },
    revoked,
  ),
  tamperCase(
    'another-platform-revoked',
    'C14',
    'The PCK CRL names the PCK certificate of another platform only.',
    (bench) => bench.pckCrl({ revokedSerialNumbers: [bench.pki.platform(1).pck.spec.serialNumber] }),
    accepted(),
  ),
  tamperCase(
    'pck-crl-of-processor-ca',
    'C15',
    'A good CRL of the Processor CA for a platform of the Platform CA.',
    (bench) => bench.evidence({ collateral: bench.pki.collateral({ nowMs: bench.nowMs, ca: 'processor' }) }),
    otherIssuer,
  ),
  tamperCase(
    'processor-ca',
    'C15',
    'A platform of the Processor CA with its CRL.',
    (bench) => ({
      ...bench.asked({ ca: 'processor' }),
      collateral: bench.pki.collateral({ nowMs: bench.nowMs, ca: 'processor' }),
    }),
    accepted(),
  ),
];

const invalidExtension = refused('PCK_EXTENSION_INVALID');
const withFacts =
  (changes: Partial<SgxFacts>): TamperCase['make'] =>
  (bench) =>
    bench.pckLeaf({ sgxExtension: sgxExtension({ ...bench.pki.platform().facts, ...changes }) });

/** Table 1b, C16: the SGX extension of the PCK certificate. */
const extensionCases: readonly TamperCase[] = [
  tamperCase(
    'sgx-extension-absent',
    'C16',
    'The PCK certificate has no SGX extension.',
    (bench) => {
      const { sgxExtension: _, ...spec } = bench.pki.platform().pck.spec;
      return bench.pckLeafSpec(spec);
    },
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-empty',
    'C16',
    'The SGX extension has no entries.',
    (bench) => bench.pckLeaf({ sgxExtension: sequence() }),
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-of-processor',
    'C16',
    'Five entries under the Platform CA, which writes seven.',
    (bench) => {
      const { platformInstanceId: _, ...facts } = bench.pki.platform().facts;
      return bench.pckLeaf({ sgxExtension: sgxExtension(facts) });
    },
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-ppid-15',
    'C16',
    'A PPID of 15 bytes.',
    withFacts({ ppid: new Uint8Array(15) }),
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-fmspc-5',
    'C16',
    'An FMSPC of 5 bytes.',
    withFacts({ fmspc: new Uint8Array(5) }),
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-pceid-3',
    'C16',
    'A PCEID of 3 bytes.',
    withFacts({ pceId: new Uint8Array(3) }),
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-17-components',
    'C16',
    'Seventeen TCB components.',
    withFacts({ componentSvns: new Array<number>(17).fill(9) }),
    invalidExtension,
  ),
  tamperCase(
    'sgx-extension-svn-256',
    'C16',
    'A component SVN of 256, which is 0 for a reader that keeps one byte.',
    withFacts({ componentSvns: [256, ...new Array<number>(15).fill(9)] }),
    invalidExtension,
  ),
];

/** Table 1b, C10 to C16. */
export const revocationCases: readonly TamperCase[] = [...listCases, ...extensionCases];
