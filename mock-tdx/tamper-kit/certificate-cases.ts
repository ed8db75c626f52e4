import { commonNames } from '../pki/certificate.ts';
import { oids } from '../pki/oids.ts';
import { certificationPem } from '../pki/platform.ts';
import { DAY_MS } from './tamper-bench.ts';
import { accepted, refused, type TamperCase } from './tamper-case.ts';

const signature = refused('CERTIFICATE_SIGNATURE_INVALID');
const chain = refused('CERTIFICATE_CHAIN_INVALID');
const malformed = refused('CERTIFICATE_MALFORMED');
const untrusted = refused('ROOT_NOT_TRUSTED');

/** Table 1b, C1 to C5: issuers of the certificates. */
const chainCases: readonly TamperCase[] = [
  {
    name: 'pck-leaf-signed-by-itself',
    row: 'C1',
    about: 'The PCK certificate names its CA, but signed itself.',
    make: (bench) => bench.pckLeaf({}, bench.pki.platform().pck.key),
    expected: signature,
  },
  {
    name: 'pck-ca-signed-by-itself',
    row: 'C1',
    about: 'The PCK CA names the root, but signed itself.',
    make: (bench) => bench.pckCa({}, bench.pki.authorities.platformCa.key),
    expected: signature,
  },
  {
    name: 'tcb-signer-signed-by-itself',
    row: 'C1',
    about: 'The TCB signing certificate names the root, but signed itself.',
    make: (bench) => bench.tcbSigner({}, bench.pki.authorities.tcbSigner.key),
    expected: signature,
  },
  {
    name: 'pck-chain-without-root',
    row: 'C2',
    about: 'Leaf and CA only.',
    make(bench) {
      const { pck, ca } = bench.pki.platform();
      return bench.pckChain(pck.certificate, ca.certificate);
    },
    expected: chain,
  },
  {
    name: 'pck-chain-with-extra-certificate',
    row: 'C2',
    about: 'A fourth certificate behind the root.',
    make(bench) {
      const { pck, ca } = bench.pki.platform();
      const { root, tcbSigner } = bench.pki.authorities;
      return bench.pckChain(pck.certificate, ca.certificate, root.certificate, tcbSigner.certificate);
    },
    expected: malformed,
  },
  {
    name: 'pck-chain-swapped',
    row: 'C2',
    about: 'CA before leaf.',
    make(bench) {
      const { pck, ca } = bench.pki.platform();
      return bench.pckChain(ca.certificate, pck.certificate, bench.pki.authorities.root.certificate);
    },
    expected: chain,
  },
  {
    name: 'pck-chain-root-first',
    row: 'C2',
    about: 'Root, CA, leaf: the order has no meaning for Intel’s verifier.',
    make(bench) {
      const { pck, ca } = bench.pki.platform();
      return bench.pckChain(bench.pki.authorities.root.certificate, ca.certificate, pck.certificate);
    },
    expected: accepted(),
  },
  {
    name: 'tcb-chain-root-first',
    row: 'C2',
    about: 'Root, TCB signer.',
    make(bench) {
      const { root, tcbSigner } = bench.pki.authorities;
      return bench.tcbChain(root.certificate, tcbSigner.certificate);
    },
    expected: accepted(),
  },
  {
    name: 'tcb-chain-without-root',
    row: 'C2',
    about: 'The issuer chain of TCB info and QE identity is the signer alone.',
    make: (bench) => bench.tcbChain(bench.pki.authorities.tcbSigner.certificate),
    expected: chain,
  },
  {
    name: 'tcb-chain-with-extra-certificate',
    row: 'C2',
    about: 'A PCK CA stands between the TCB signer and the root.',
    make(bench) {
      const { tcbSigner, platformCa, root } = bench.pki.authorities;
      return bench.tcbChain(tcbSigner.certificate, platformCa.certificate, root.certificate);
    },
    expected: malformed,
  },
  {
    name: 'chains-exchanged',
    row: 'C2',
    about: 'The issuer chains of TCB info and PCK CRL have changed places.',
    make: (bench) =>
      bench.documents((set) => ({
        ...set,
        tcb_info_issuer_chain: set.pck_crl_issuer_chain,
        pck_crl_issuer_chain: set.tcb_info_issuer_chain,
      })),
    expected: chain,
  },
  {
    name: 'quote-of-another-root',
    row: 'C3',
    about: 'A quote of another PKI with the same names, with our collateral.',
    make: (bench) => bench.evidence({ quote: bench.stranger.quote({ reportData: new Uint8Array(64) }) }),
    expected: untrusted,
  },
  {
    name: 'collateral-of-another-root',
    row: 'C3',
    about: 'Our quote with the collateral of another PKI with the same names.',
    make: (bench) => bench.evidence({ collateral: bench.stranger.collateral({ nowMs: bench.nowMs }) }),
    expected: untrusted,
  },
  {
    name: 'everything-of-another-root',
    row: 'C3',
    about: 'A perfect quote with perfect collateral, under a root that is not trusted.',
    make: (bench) =>
      bench.evidence({
        quote: bench.stranger.quote({ reportData: new Uint8Array(64) }),
        collateral: bench.stranger.collateral({ nowMs: bench.nowMs }),
      }),
    expected: untrusted,
  },
  {
    name: 'leaf-and-ca-of-another-root-behind-ours',
    row: 'C3',
    about: "A stranger's leaf and CA with the trusted root as their third certificate.",
    make(bench) {
      const { pck, ca } = bench.stranger.platform();
      return bench.quote((parts) => ({
        ...parts,
        pckKey: pck.key,
        certificationPem: certificationPem(
          pck.certificate,
          ca.certificate,
          bench.pki.authorities.root.certificate,
        ),
      }));
    },
    expected: signature,
  },
  {
    name: 'leaf-names-another-issuer',
    row: 'C4',
    about: "Signed by the Platform CA's key, naming the Processor CA.",
    make: (bench) => bench.pckLeaf({ issuer: commonNames.processorCa }),
    expected: chain,
  },
  {
    name: 'tcb-info-signed-by-pck',
    row: 'C5',
    about: 'TCB info signed by a PCK key under the PCK chain: every owner of a platform has such a key.',
    make: (bench) =>
      bench.collateral((parts) => {
        const { pck, ca } = bench.pki.platform();
        const issuerChain = [pck.certificate, ca.certificate, bench.pki.authorities.root.certificate];
        return { ...parts, tcbInfo: { ...parts.tcbInfo, signer: pck.key, issuerChain } };
      }),
    expected: malformed,
  },
  {
    name: 'tcb-info-signed-by-pck-ca',
    row: 'C5',
    about: 'TCB info signed by the PCK CA, which is directly below the root.',
    make: (bench) =>
      bench.collateral((parts) => {
        const { platformCa, root } = bench.pki.authorities;
        const issuerChain = [platformCa.certificate, root.certificate];
        return { ...parts, tcbInfo: { ...parts.tcbInfo, signer: platformCa.key, issuerChain } };
      }),
    expected: chain,
  },
  {
    name: 'qe-identity-signed-by-pck-ca',
    row: 'C5',
    about: 'QE identity signed by the PCK CA.',
    make: (bench) =>
      bench.collateral((parts) => {
        const { platformCa, root } = bench.pki.authorities;
        const issuerChain = [platformCa.certificate, root.certificate];
        return { ...parts, qeIdentity: { ...parts.qeIdentity, signer: platformCa.key, issuerChain } };
      }),
    expected: chain,
  },
  {
    name: 'pck-leaf-named-tcb-signing',
    row: 'C5',
    about: 'The leaf of the quote is named as a TCB signer.',
    make: (bench) => bench.pckLeaf({ subject: commonNames.tcbSigning }),
    expected: chain,
  },
  {
    name: 'tcb-signer-named-pck',
    row: 'C5',
    about: 'The TCB signer is named as a PCK certificate.',
    make: (bench) => bench.tcbSigner({ subject: commonNames.pck }),
    expected: chain,
  },
];

/** Table 1b, C6 to C9: what the certificates allow, and when. */
const contentCases: readonly TamperCase[] = [
  {
    name: 'intermediate-not-a-ca',
    row: 'C6',
    about: 'The PCK CA says CA:FALSE; Intel’s own verifier accepts it.',
    make: (bench) => bench.pckCa({ certificateAuthority: false }),
    expected: chain,
  },
  {
    name: 'intermediate-without-basic-constraints',
    row: 'C6',
    about: 'The PCK CA has no BasicConstraints.',
    make: (bench) => bench.pckCa({ certificateAuthority: 'absent' }),
    expected: malformed,
  },
  {
    name: 'intermediate-may-not-sign',
    row: 'C6',
    about: 'The PCK CA has the key usage of a leaf.',
    make: (bench) => bench.pckCa({ keyUsage: 'signer' }),
    expected: chain,
  },
  {
    name: 'root-allows-no-ca-below',
    row: 'C6',
    about: 'The trusted root has a path length of 0, so that no PCK CA may stand below it.',
    make: (bench) => bench.underRoot({ certificateAuthority: { pathLength: 0 } }),
    expected: chain,
  },
  {
    name: 'leaf-is-a-ca',
    row: 'C6',
    about: 'The PCK certificate says CA:TRUE; Intel’s own verifier accepts it.',
    make: (bench) => bench.pckLeaf({ certificateAuthority: { pathLength: 0 } }),
    expected: chain,
  },
  {
    name: 'tcb-signer-is-a-ca',
    row: 'C6',
    about: 'The TCB signing certificate says CA:TRUE.',
    make: (bench) => bench.tcbSigner({ certificateAuthority: { pathLength: 0 } }),
    expected: chain,
  },
  {
    name: 'leaf-of-x509-v1',
    row: 'C7',
    about: 'The PCK certificate says version 1.',
    make: (bench) => bench.pckLeaf({ version: 0 }),
    expected: malformed,
  },
  {
    name: 'leaf-of-another-algorithm',
    row: 'C7',
    about: 'The PCK certificate says ecdsa-with-SHA384.',
    make: (bench) => bench.pckLeaf({ signatureAlgorithm: oids.ecdsaWithSha384 }),
    expected: malformed,
  },
  {
    name: 'leaf-key-not-on-curve',
    row: 'C7',
    about: 'The public key of the PCK certificate is not a point on P-256.',
    make: (bench) => bench.pckLeaf({ publicKey: new Uint8Array(64).fill(1) }),
    expected: malformed,
  },
  ...(['leaf', 'ca', 'signer'] as const).flatMap((who): TamperCase[] => {
    const label = { leaf: 'pck-leaf', ca: 'pck-ca', signer: 'tcb-signer' }[who];
    return [
      {
        name: `${label}-expired`,
        row: 'C8',
        about: 'Its notAfter was yesterday.',
        make(bench) {
          const notAfterMs = bench.nowMs - DAY_MS;
          if (who === 'leaf') return bench.pckLeaf({ notAfterMs });
          return who === 'ca' ? bench.pckCa({ notAfterMs }) : bench.tcbSigner({ notAfterMs });
        },
        expected: refused('CERTIFICATE_EXPIRED'),
      },
      {
        name: `${label}-not-yet-valid`,
        row: 'C9',
        about: 'Its notBefore is tomorrow; Intel’s own verifier accepts it.',
        make(bench) {
          const notBeforeMs = bench.nowMs + DAY_MS;
          if (who === 'leaf') return bench.pckLeaf({ notBeforeMs });
          return who === 'ca' ? bench.pckCa({ notBeforeMs }) : bench.tcbSigner({ notBeforeMs });
        },
        expected: refused('CERTIFICATE_NOT_YET_VALID'),
      },
    ];
  }),
];

/** Table 1b, C1 to C9: the certificates. */
export const certificateCases: readonly TamperCase[] = [...chainCases, ...contentCases];
