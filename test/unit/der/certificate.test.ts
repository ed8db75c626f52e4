import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { issueCertificate } from '../../../mock-tdx/pki/certificate.ts';
import * as writer from '../../../mock-tdx/pki/der-writer.ts';
import { issueRevocationList } from '../../../mock-tdx/pki/revocation-list.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { type Certificate, parseCertificate } from '../../../src/der/certificate.ts';
import { parseCrl } from '../../../src/der/crl.ts';
import { DerReader } from '../../../src/der/der-reader.ts';
import { codeOf } from '../../support/thrown.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(3) });
const { root, platformCa, tcbSigner } = pki.authorities;
const context = { code: 'CERTIFICATE_MALFORMED', document: 'test' } as const;

/** The parts of a certificate's signed body, whole elements. */
function bodyOf(der: Uint8Array): Uint8Array[] {
  const body = new DerReader(der, context).enter().enter();
  const parts: Uint8Array[] = [];
  while (body.nextTag !== undefined) parts.push(body.whole(body.nextTag));
  return parts;
}

/** A certificate with one part of its body replaced; the signature no longer matters. */
function withPart(der: Uint8Array, index: number, part: Uint8Array): Uint8Array {
  const parts = bodyOf(der);
  parts[index] = part;
  const outer = new DerReader(der, context).enter();
  outer.enter();
  return writer.sequence(writer.sequence(...parts), outer.whole(0x30), outer.whole(0x03));
}

const extension = (oid: string, value: Uint8Array): Uint8Array =>
  writer.sequence(writer.objectIdentifier(oid), writer.octetString(value));
/** Subject key identifier, CRL distribution points, authority key identifier: must be there, are not looked into. */
const identifiers = ['2.5.29.14', '2.5.29.31', '2.5.29.35'].map((oid) => extension(oid, new Uint8Array(2)));
/** A certificate with exactly these extensions. */
const withOnly = (...extensions: readonly Uint8Array[]): Uint8Array =>
  withPart(root.certificate, 7, writer.contextConstructed(3, writer.sequence(...extensions)));
const withExtensions = (...extensions: readonly Uint8Array[]): Uint8Array =>
  withOnly(...identifiers, ...extensions);
const keyUsage = (bytes: Uint8Array, unused = 0): Uint8Array =>
  extension('2.5.29.15', writer.bitString(bytes, unused));
const constraints = (value: Uint8Array): Uint8Array => extension('2.5.29.19', value);

const refusedAs = (der: Uint8Array): string => codeOf(() => parseCertificate(der, 'test'));

describe('certificates', () => {
  it.each([
    ['root', root.certificate, true],
    ['PCK CA', platformCa.certificate, true],
    ['TCB signer', tcbSigner.certificate, false],
    ['PCK leaf', pki.platform(0).pck.certificate, false],
  ] as const)('%s: the fields equal those that OpenSSL reads', (_, der, isCa) => {
    const ours = parseCertificate(der, 'test');
    const openssl = new X509Certificate(der);
    expect(ours.isCa).toBe(isCa);
    expect(openssl.ca).toBe(isCa);
    expect(ours.keyUsage).toEqual({ digitalSignature: !isCa, keyCertSign: isCa, cRLSign: isCa });
    expect(ours.serialNumber).toBe(openssl.serialNumber.toLowerCase().replace(/^(00)+/, ''));
    expect(openssl.subject).toContain(`CN=${ours.subject.commonName}`);
    expect(openssl.issuer).toContain(`CN=${ours.issuer.commonName}`);
    expect(ours.notBeforeMs).toBe(Date.parse(openssl.validFrom));
    expect(ours.notAfterMs).toBe(Date.parse(openssl.validTo));
    const issuer: Certificate = parseCertificate(
      ours.subject.commonName.includes('Certificate') ? platformCa.certificate : root.certificate,
      'issuer',
    );
    expect(issuer.publicKey.verify(ours.tbs, ours.signature)).toBe(true);
  });

  it('are v3, ecdsa-with-SHA256 and P-256 only', () => {
    expect(refusedAs(issueCertificate({ ...root.spec, version: 1 }, root.key))).toBe('CERTIFICATE_MALFORMED');
    const sha384 = '1.2.840.10045.4.3.3';
    expect(refusedAs(issueCertificate({ ...root.spec, signatureAlgorithm: sha384 }, root.key))).toBe(
      'CERTIFICATE_MALFORMED',
    );
    const key = (curve: string, point: Uint8Array) =>
      writer.sequence(
        writer.sequence(writer.objectIdentifier('1.2.840.10045.2.1'), writer.objectIdentifier(curve)),
        writer.bitString(point),
      );
    const point = concatBytes(Uint8Array.of(4), root.key.publicKey);
    const p256 = '1.2.840.10045.3.1.7';
    expect(refusedAs(withPart(root.certificate, 6, key(p256, point)))).toBe('none');
    expect(refusedAs(withPart(root.certificate, 6, key('1.3.132.0.34', point)))).toBe(
      'CERTIFICATE_MALFORMED',
    );
    expect(refusedAs(withPart(root.certificate, 6, key(p256, point.subarray(1))))).toBe(
      'CERTIFICATE_MALFORMED',
    );
    const offCurve = new Uint8Array(65).fill(1);
    offCurve[0] = 4;
    expect(refusedAs(withPart(root.certificate, 6, key(p256, offCurve)))).toBe('CERTIFICATE_MALFORMED');
  });

  it('have a serial number of at most 20 bytes', () => {
    expect(refusedAs(withPart(root.certificate, 1, writer.integer(new Uint8Array(20).fill(0x7f))))).toBe(
      'none',
    );
    expect(refusedAs(withPart(root.certificate, 1, writer.integer(new Uint8Array(21).fill(0x7f))))).toBe(
      'CERTIFICATE_MALFORMED',
    );
  });

  it('have all five extensions that Intel’s verifier requires, in any order', () => {
    const all = [...identifiers, keyUsage(Uint8Array.of(0x06), 1), constraints(writer.sequence())];
    expect(refusedAs(withOnly(...all))).toBe('none');
    expect(refusedAs(withOnly(...all.toReversed()))).toBe('none');
    for (const missing of all)
      expect(refusedAs(withOnly(...all.filter((one) => one !== missing)))).toBe('CERTIFICATE_MALFORMED');
  });

  it('have KeyUsage and BasicConstraints encoded in DER', () => {
    const good = keyUsage(Uint8Array.of(0x06), 1);
    const ca = (...parts: readonly Uint8Array[]) => constraints(writer.sequence(...parts));
    expect(refusedAs(withExtensions(good, ca(writer.boolean(true))))).toBe('none');
    expect(refusedAs(withExtensions(good, ca(writer.boolean(true), writer.integer(0))))).toBe('none');
    const casBelow = (...parts: readonly Uint8Array[]) =>
      parseCertificate(withExtensions(good, ca(...parts)), 'test').maxCasBelow;
    expect(casBelow(writer.boolean(true), writer.integer(2))).toBe(2);
    expect([casBelow(writer.boolean(true)), casBelow()]).toEqual([Infinity, Infinity]);
    expect(refusedAs(withExtensions(keyUsage(new Uint8Array(0)), ca()))).toBe('none');
    expect(refusedAs(withExtensions(good))).toBe('CERTIFICATE_MALFORMED');
    expect(refusedAs(withExtensions(ca()))).toBe('CERTIFICATE_MALFORMED');
    expect(refusedAs(withExtensions(good, ca(writer.boolean(false))))).toBe('CERTIFICATE_MALFORMED');
    expect(refusedAs(withExtensions(good, ca(writer.integer(0))))).toBe('CERTIFICATE_MALFORMED');
    expect(refusedAs(withExtensions(good, ca(writer.boolean(true), writer.integer(256))))).toBe(
      'CERTIFICATE_MALFORMED',
    );
  });

  it('have no trailing bytes', () => {
    expect(refusedAs(concatBytes(root.certificate, Uint8Array.of(0)))).toBe('CERTIFICATE_MALFORMED');
  });
});

describe('revocation lists', () => {
  const spec = {
    issuer: root.spec.subject,
    authorityKeyIdentifier: root.key.keyIdentifier,
    thisUpdateMs: Date.UTC(2026, 0, 1),
    nextUpdateMs: Date.UTC(2026, 1, 1),
    crlNumber: 7,
    revokedSerialNumbers: [Uint8Array.of(1, 2), Uint8Array.of(0xff, 3)],
  };
  const good = issueRevocationList(spec, root.key);
  const crlWithPart = (index: number, part: Uint8Array): Uint8Array => withPart(good, index, part);
  const codeOfCrl = (der: Uint8Array): string => codeOf(() => parseCrl(der, 'test'));
  const crlExtensions = (...extensions: readonly Uint8Array[]) =>
    crlWithPart(6, writer.contextConstructed(0, writer.sequence(...extensions)));
  const aki = extension('2.5.29.35', writer.sequence());
  const number = (value: Uint8Array) => extension('2.5.29.20', writer.integer(value));

  it('give serials, number and times', () => {
    const crl = parseCrl(good, 'test');
    expect([...crl.revokedSerials]).toEqual(['0102', 'ff03']);
    expect(crl).toMatchObject({
      crlNumber: 7n,
      thisUpdateMs: spec.thisUpdateMs,
      nextUpdateMs: spec.nextUpdateMs,
    });
    expect(
      parseCrl(issueRevocationList({ ...spec, revokedSerialNumbers: [] }, root.key), 'test').revokedSerials
        .size,
    ).toBe(0);
  });

  it('are v2, with a number and an authority key identifier', () => {
    expect(codeOfCrl(crlExtensions(aki, number(Uint8Array.of(9))))).toBe('none');
    expect(codeOfCrl(crlWithPart(0, writer.integer(0)))).toBe('CRL_MALFORMED');
    expect(codeOfCrl(crlExtensions(number(Uint8Array.of(9))))).toBe('CRL_MALFORMED');
    expect(codeOfCrl(crlExtensions(aki))).toBe('CRL_MALFORMED');
    expect(codeOfCrl(crlExtensions(aki, number(new Uint8Array(21).fill(1))))).toBe('CRL_MALFORMED');
    const isDelta = writer.sequence(
      writer.objectIdentifier('2.5.29.27'),
      writer.boolean(true),
      writer.octetString(writer.integer(1)),
    );
    expect(codeOfCrl(crlExtensions(aki, number(Uint8Array.of(9)), isDelta))).toBe('CRL_MALFORMED');
  });

  it('may have entries without extensions', () => {
    const entry = writer.sequence(writer.integer(5), writer.time(spec.thisUpdateMs));
    expect([...parseCrl(crlWithPart(5, writer.sequence(entry)), 'test').revokedSerials]).toEqual(['05']);
  });
});
