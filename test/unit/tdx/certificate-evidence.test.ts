import { describe, expect, it } from 'vitest';
import { authority } from '../../../mock-tdx/pki/authorities.ts';
import type { CertificateSpec } from '../../../mock-tdx/pki/certificate.ts';
import * as writer from '../../../mock-tdx/pki/der-writer.ts';
import { pem, pemChain } from '../../../mock-tdx/pki/pem.ts';
import { Seed } from '../../../mock-tdx/pki/seed.ts';
import { SigningKey } from '../../../mock-tdx/pki/signing-key.ts';
import { DerReader } from '../../../src/der/der-reader.ts';
import { parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
import { insecureTrustRoot, TrustRoot } from '../../../src/tdx/trust-root.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  quoteWith,
  trustRoot,
  verdictOf,
  verifyInWorld,
  worldNowMs,
} from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const { root, platformCa, processorCa, tcbSigner } = pki.authorities;
const strayKey = SigningKey.derive(new Seed(new Uint8Array(32).fill(2)), 'stray');
const reissued = (spec: CertificateSpec, changes: Partial<CertificateSpec>, key = root.key): Uint8Array =>
  authority(key, key, { ...spec, ...changes }).certificate;

describe('1b certificates and CRLs', () => {
  const chainOf = (...ders: readonly Uint8Array[]) =>
    quoteWith(() => ({ certificationPem: pemChain(...ders) }));
  const pck = pki.platform(0).pck;

  it('C2: a quote’s chain has exactly three certificates, an issuer chain two', () => {
    expect(verdictOf(chainOf(pck.certificate, root.certificate))).toBe('CERTIFICATE_CHAIN_INVALID');
    expect(
      verdictOf(chainOf(pck.certificate, platformCa.certificate, root.certificate, root.certificate)),
    ).toBe('CERTIFICATE_MALFORMED');
    expect(
      verdictOf(
        plainQuote(),
        collateralWith(() => ({ pckCrlIssuerChain: [platformCa.certificate] })),
      ),
    ).toBe('CERTIFICATE_CHAIN_INVALID');
  });

  it('C2: a chain without any certificate is refused', () => {
    expect(verdictOf(quoteWith(() => ({ certificationPem: '' })))).toBe('CERTIFICATE_CHAIN_INVALID');
    expect(verdictOf(plainQuote(), { ...plainCollateral(), tcb_info_issuer_chain: '' })).toBe(
      'CERTIFICATE_CHAIN_INVALID',
    );
  });

  it('C8, C9: the dates of a PCK certificate count, with current collateral and without any', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    for (const [changes, code] of [
      [{ notAfterMs: worldNowMs - 1000 }, 'CERTIFICATE_EXPIRED'],
      [{ notBeforeMs: worldNowMs + 1000 }, 'CERTIFICATE_NOT_YET_VALID'],
    ] as const) {
      const leaf = reissued(pck.spec, changes, platformCa.key);
      const quote = chainOf(leaf, platformCa.certificate, root.certificate);
      expect(verdictOf(quote)).toBe(code);
      expect(codeOf(() => verifier.verifyChainOnly(quote, { nowMs: worldNowMs }))).toBe(code);
    }
  });

  it('C3: the root is the pinned one, byte by byte', () => {
    const again = reissued(root.spec, { notAfterMs: root.spec.notAfterMs - 1000 });
    expect(verdictOf(chainOf(pck.certificate, platformCa.certificate, again))).toBe('ROOT_NOT_TRUSTED');
    expect(
      codeOf(() =>
        new QuoteVerifier().verify(plainQuote(), { collateral: plainCollateral(), nowMs: worldNowMs }),
      ),
    ).toBe('ROOT_NOT_TRUSTED');
    expect(codeOf(() => new QuoteVerifier().verifyChainOnly(plainQuote(), { nowMs: worldNowMs }))).toBe(
      'ROOT_NOT_TRUSTED',
    );
    expect(
      new QuoteVerifier({ trustRoot }).verifyChainOnly(plainQuote(), { nowMs: worldNowMs }).isIntelRooted,
    ).toBe(false);
  });

  it('C1, C4: names and signatures of the chain', () => {
    const stray = reissued(platformCa.spec, {}, strayKey);
    expect(verdictOf(chainOf(pck.certificate, stray, root.certificate))).toBe(
      'CERTIFICATE_SIGNATURE_INVALID',
    );
    expect(verdictOf(chainOf(pck.certificate, processorCa.certificate, root.certificate))).toBe(
      'CERTIFICATE_CHAIN_INVALID',
    );
    const leaf = reissued(pck.spec, {}, strayKey);
    expect(verdictOf(chainOf(leaf, platformCa.certificate, root.certificate))).toBe(
      'CERTIFICATE_SIGNATURE_INVALID',
    );
  });

  it('C5, C6: roles are checked by name, CA flag and key usage', () => {
    for (const changes of [
      { subject: 'Intel SGX PCK Certificate' },
      { certificateAuthority: false },
      { keyUsage: 'signer' },
      { keyUsage: 'certificatesOnly' },
      { keyUsage: 'crlsOnly' },
    ] as const) {
      const ca = reissued(platformCa.spec, changes);
      expect(verdictOf(chainOf(pck.certificate, ca, root.certificate))).toBe('CERTIFICATE_CHAIN_INVALID');
    }
    const caLeaf = reissued(pck.spec, { certificateAuthority: { pathLength: 0 } }, platformCa.key);
    expect(verdictOf(chainOf(caLeaf, platformCa.certificate, root.certificate))).toBe(
      'CERTIFICATE_CHAIN_INVALID',
    );
    const silentLeaf = reissued(pck.spec, { keyUsage: 'ca' }, platformCa.key);
    expect(verdictOf(chainOf(silentLeaf, platformCa.certificate, root.certificate))).toBe(
      'CERTIFICATE_CHAIN_INVALID',
    );
    const byPck = collateralWith(({ tcbInfo }) => ({
      tcbInfo: {
        ...tcbInfo,
        signer: platformCa.key,
        issuerChain: [platformCa.certificate, root.certificate],
      },
    }));
    expect(verdictOf(plainQuote(), byPck)).toBe('CERTIFICATE_CHAIN_INVALID');
    const signerAsCa = chainOf(pck.certificate, tcbSigner.certificate, root.certificate);
    expect(thrownBy(() => verifyInWorld(signerAsCa))).toMatchObject({
      field: 'PCK CA certificate: common name',
    });
    expect(thrownBy(() => verifyInWorld(plainQuote(), byPck))).toMatchObject({
      field: 'TCB signing certificate: common name',
    });
  });

  it('C6: a root that allows no CA below it cannot have issued a PCK CA', () => {
    const rootFor = (pathLength: number) => reissued(root.spec, { certificateAuthority: { pathLength } });
    const verdict = (rootDer: Uint8Array) => {
      const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(rootDer) });
      const quote = chainOf(pck.certificate, platformCa.certificate, rootDer);
      return codeOf(() => verifier.verifyChainOnly(quote, { nowMs: worldNowMs }));
    };
    expect(verdict(rootFor(0))).toBe('CERTIFICATE_CHAIN_INVALID');
    expect([verdict(rootFor(1)), verdict(rootFor(5))]).toEqual(['none', 'none']);
    const unlimitedCa = reissued(platformCa.spec, { certificateAuthority: { pathLength: 9 } });
    expect(verdictOf(chainOf(pck.certificate, unlimitedCa, root.certificate))).toBe('none');
  });

  it('C10, C11, C13: CRLs need the right key and name, and are DER in hex', () => {
    expect(
      verdictOf(
        plainQuote(),
        collateralWith(({ pckCrl }) => ({ pckCrl: { ...pckCrl, signer: strayKey } })),
      ),
    ).toBe('CRL_SIGNATURE_INVALID');
    const byRoot = collateralWith(({ pckCrl }) => ({
      pckCrl: { ...pckCrl, signer: root.key, spec: { ...pckCrl.spec, issuer: root.spec.subject } },
    }));
    expect(verdictOf(plainQuote(), byRoot)).toBe('CRL_ISSUER_MISMATCH');
    for (const [pck_crl, code] of [
      ['', 'CRL_MALFORMED'],
      ['deadbeef', 'CRL_MALFORMED'],
      ['xyz', 'COLLATERAL_MALFORMED'],
    ] as const) {
      expect(verdictOf(plainQuote(), parseCollateralDocuments({ ...plainCollateral(), pck_crl }))).toBe(code);
    }
  });

  it('C14: revoked leaf, CA and TCB signer are refused, also when they were verified before', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const at = (collateral = plainCollateral()) =>
      codeOf(() => verifier.verify(plainQuote(), { collateral, nowMs: worldNowMs }));
    expect(at()).toBe('none');
    const pckRevoked = collateralWith(({ pckCrl }) => ({
      pckCrl: { ...pckCrl, spec: { ...pckCrl.spec, revokedSerialNumbers: [pck.spec.serialNumber] } },
    }));
    expect(at(pckRevoked)).toBe('CERTIFICATE_REVOKED');
    for (const { spec } of [platformCa, tcbSigner]) {
      const rootRevokes = collateralWith(({ rootCaCrl }) => ({
        rootCaCrl: { ...rootCaCrl, spec: { ...rootCaCrl.spec, revokedSerialNumbers: [spec.serialNumber] } },
      }));
      expect(at(rootRevokes)).toBe('CERTIFICATE_REVOKED');
      expect(codeOf(() => verifier.checkCollateral(rootRevokes, { nowMs: worldNowMs }))).toBe(
        'CERTIFICATE_REVOKED',
      );
    }
    expect(at()).toBe('none');
  });

  it('C14: a quote under a revoked PCK CA is refused, also with the collateral of its successor', () => {
    const serialNumber = Uint8Array.of(9);
    const successor = reissued(platformCa.spec, { publicKey: strayKey.publicKey, serialNumber });
    const revoking = (...revokedSerialNumbers: readonly Uint8Array[]) =>
      collateralWith(({ pckCrl, rootCaCrl }) => ({
        pckCrl: { ...pckCrl, signer: strayKey },
        pckCrlIssuerChain: [successor, root.certificate],
        rootCaCrl: { ...rootCaCrl, spec: { ...rootCaCrl.spec, revokedSerialNumbers } },
      }));
    expect(verdictOf(plainQuote(), revoking())).toBe('none');
    expect(verdictOf(plainQuote(), revoking(platformCa.spec.serialNumber))).toBe('CERTIFICATE_REVOKED');
    expect(verdictOf(plainQuote(), revoking(serialNumber))).toBe('CERTIFICATE_REVOKED');
  });

  it('C15: the PCK CRL is that of the PCK’s own CA', () => {
    const processorSet = parseCollateralDocuments(pki.collateral({ nowMs: worldNowMs, ca: 'processor' }));
    expect(verdictOf(plainQuote(), processorSet)).toBe('CRL_ISSUER_MISMATCH');
  });

  it('C16: the SGX extension is complete and of its CA’s kind', () => {
    const noExtension: CertificateSpec = { ...pck.spec };
    delete (noExtension as { sgxExtension?: Uint8Array }).sgxExtension;
    const bare = authority(platformCa.key, platformCa.key, noExtension).certificate;
    expect(verdictOf(chainOf(bare, platformCa.certificate, root.certificate))).toBe('PCK_EXTENSION_INVALID');
    const wrongOrder = Buffer.from(pck.spec.sgxExtension ?? [])
      .toString('hex')
      .replace('f84d010d0103', 'f84d010d0104');
    expect(wrongOrder).not.toBe(Buffer.from(pck.spec.sgxExtension ?? []).toString('hex'));
    const misplaced = reissued(
      pck.spec,
      { sgxExtension: new Uint8Array(Buffer.from(wrongOrder, 'hex')) },
      platformCa.key,
    );
    expect(verdictOf(chainOf(misplaced, platformCa.certificate, root.certificate))).toBe(
      'PCK_EXTENSION_INVALID',
    );
    const processorPck = pki.platform(0, 'processor').pck;
    const short = reissued(processorPck.spec, { issuer: platformCa.spec.subject }, platformCa.key);
    expect(verdictOf(chainOf(short, platformCa.certificate, root.certificate))).toBe('PCK_EXTENSION_INVALID');
    const unknownType = Buffer.from(pck.spec.sgxExtension ?? [])
      .toString('hex')
      .replace('0a0101', '0a0103');
    const sgxExtension = new Uint8Array(Buffer.from(unknownType, 'hex'));
    const strange = reissued(pck.spec, { sgxExtension }, platformCa.key);
    expect(verdictOf(chainOf(strange, platformCa.certificate, root.certificate))).toBe(
      'PCK_EXTENSION_INVALID',
    );
    expect(verdictOf(plainQuote({ facts: { ppid: new Uint8Array(15) } }))).toBe('PCK_EXTENSION_INVALID');
  });

  it('C16: the entries of the SGX extension are found by OID; a repeated or unknown entry is refused', () => {
    const spec = pck.spec.sgxExtension ?? new Uint8Array();
    const context = { code: 'PCK_EXTENSION_INVALID', document: 'test' } as const;
    const list = new DerReader(spec, context).enter();
    const entries: Uint8Array[] = [];
    while (list.hasMore) entries.push(list.whole(0x30));
    const verdict = (parts: readonly Uint8Array[]) =>
      verdictOf(
        chainOf(
          reissued(pck.spec, { sgxExtension: writer.sequence(...parts) }, platformCa.key),
          platformCa.certificate,
          root.certificate,
        ),
      );
    expect(verdict(entries)).toBe('none');
    expect(verdict(entries.toReversed())).toBe('none');
    const other = (oid: string) => writer.sequence(writer.objectIdentifier(oid), writer.octetString(spec));
    const ppid = (...more: readonly Uint8Array[]) =>
      writer.sequence(
        writer.objectIdentifier('1.2.840.113741.1.13.1.1'),
        writer.octetString(new Uint8Array(16)),
        ...more,
      );
    expect(verdict([ppid(), ...entries.slice(1)])).toBe('none');
    // As long as the OID of the PPID, with the same end.
    const foreign = writer.sequence(
      writer.objectIdentifier('1.2.840.113741.1.13.2.1'),
      writer.octetString(new Uint8Array(16)),
    );
    expect(verdict([foreign, ...entries.slice(1)])).toBe('PCK_EXTENSION_INVALID');
    for (const parts of [
      [ppid(writer.integer(1)), ...entries.slice(1)],
      [...entries, entries[0] ?? spec],
      [...entries, other('1.2.840.113741.1.13.1.8')],
      [...entries.slice(1), other('1.2.840.113741.1.13.1.8')],
      [...entries.slice(1), other('1.2.840.113741.1.13.2.1')],
    ])
      expect(verdict(parts)).toBe('PCK_EXTENSION_INVALID');
  });

  it('C2: PEM may have either line ending and empty lines between, but no other text', () => {
    const chain = pemChain(pck.certificate, platformCa.certificate, root.certificate);
    const verdict = (certificationPem: string) => verdictOf(quoteWith(() => ({ certificationPem })));
    const gap = '-----END CERTIFICATE-----\n';
    for (const good of [
      chain.replaceAll('\n', '\r\n'),
      chain.replaceAll(gap, `${gap}\n\n`),
      `\n${chain}\0`,
      chain.trimEnd(),
    ])
      expect(verdict(good)).toBe('none');
    for (const bad of [
      ` ${chain}`,
      chain.replaceAll(gap, `${gap} `),
      `${chain}x`,
      `${chain}\0x`,
      chain.replace('MII', 'MI\0I'),
      chain.replaceAll('\n', '\n '),
      encodeURIComponent(chain),
      '\n',
    ])
      expect(verdict(bad)).toMatch(/^CERTIFICATE_(MALFORMED|CHAIN_INVALID)$/);
  });

  it('C2: a flipped bit in a line break, in a framing line or in the last NUL is refused', () => {
    const quote = plainQuote();
    const verifier = new QuoteVerifier({ trustRoot });
    const options = { collateral: plainCollateral(), nowMs: worldNowMs };
    const chainAt = Buffer.from(quote).indexOf('-----BEGIN');
    expect([chainAt > 0, quote.at(-1)]).toEqual([true, 0]);
    let tries = 0;
    for (let at = chainAt; at < quote.length; at++) {
      const byte = quote[at] ?? 0;
      if (/[A-Za-z0-9+/]/.test(String.fromCharCode(byte))) continue;
      for (let bit = 0; bit < 8; bit++, tries++) {
        const flipped = quote.with(at, byte ^ (1 << bit));
        expect(
          codeOf(() => verifier.verify(flipped, options)),
          `byte ${at} bit ${bit}`,
        ).not.toBe('none');
      }
    }
    expect(tries).toBeGreaterThan(500);
  });

  it('C2: issuer chains may end in a NUL byte, as C strings do; a NUL elsewhere is refused', () => {
    const good = plainCollateral();
    const [signer = '', ...rest] = good.tcb_info_issuer_chain.split(/(?<=-----END CERTIFICATE-----\n)/);
    const verdict = (tcb_info_issuer_chain: string) =>
      verdictOf(plainQuote(), { ...good, tcb_info_issuer_chain });
    expect(verdict(`${good.tcb_info_issuer_chain}\0`)).toBe('none');
    for (const chain of [`${signer}\0${rest.join('')}`, `\0${signer}${rest.join('')}`, '\0', signer])
      expect(verdict(chain)).toMatch(/^CERTIFICATE_(MALFORMED|CHAIN_INVALID)$/);
    // Intel's verifier goes by the names in the certificates: the root may come first.
    expect(verdict([...rest, signer].join(''))).toBe('none');
  });

  it('an injected root is one self-signed CA certificate', () => {
    const cases = [
      pem('CERTIFICATE', platformCa.certificate),
      pem('CERTIFICATE', tcbSigner.certificate),
      pemChain(root.certificate, root.certificate),
      '',
      'junk',
      reissued(root.spec, {}, strayKey),
      new Uint8Array(3),
    ];
    for (const input of cases) expect(codeOf(() => insecureTrustRoot(input))).toBe('TRUST_ROOT_INVALID');
    expect(thrownBy(() => insecureTrustRoot(''))).toMatchObject({
      observed: expect.stringContaining('not exactly one certificate'),
    });
    // Signed by itself, and still not a root of Intel's shape.
    for (const changes of [
      { subject: platformCa.spec.subject, issuer: platformCa.spec.subject },
      { certificateAuthority: false, keyUsage: 'signer' },
      { keyUsage: 'crlsOnly' },
    ] as const)
      expect(thrownBy(() => insecureTrustRoot(reissued(root.spec, changes)))).toMatchObject({
        code: 'TRUST_ROOT_INVALID',
        cause: expect.objectContaining({ code: 'CERTIFICATE_CHAIN_INVALID' }),
      });
    expect(insecureTrustRoot(root.certificate).isIntel).toBe(false);
    expect(TrustRoot.intel.isIntel).toBe(true);
    expect(TrustRoot.intel).toBe(TrustRoot.intel);
  });
});
