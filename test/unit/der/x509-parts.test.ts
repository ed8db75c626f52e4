import { describe, expect, it } from 'vitest';
import * as der from '../../../mock-tdx/pki/der-writer.ts';
import { pem } from '../../../mock-tdx/pki/pem.ts';
import { DerReader } from '../../../src/der/der-reader.ts';
import { readEcdsaSignature } from '../../../src/der/ecdsa-signature.ts';
import { readExtensions } from '../../../src/der/extensions.ts';
import { readName } from '../../../src/der/name.ts';
import { readPemChain } from '../../../src/der/pem.ts';
import { readTimeMs } from '../../../src/der/time.ts';
import { codeOf } from '../../support/thrown.ts';

const context = { code: 'CERTIFICATE_MALFORMED', document: 'test document' } as const;
const read = (bytes: Uint8Array): DerReader => new DerReader(bytes, context);
const isRefused = (call: () => unknown): void => expect(codeOf(call)).toBe('CERTIFICATE_MALFORMED');
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const utcTime = (value: string): DerReader => read(der.element(0x17, text(value)));
const generalizedTime = (value: string): DerReader => read(der.element(0x18, text(value)));

describe('Time (RFC 5280 section 4.1.2.5)', () => {
  it('UTCTime is for the years 1950 to 2049, GeneralizedTime for later years', () => {
    expect(readTimeMs(utcTime('260131235959Z'))).toBe(Date.UTC(2026, 0, 31, 23, 59, 59));
    expect(readTimeMs(utcTime('500101000000Z'))).toBe(Date.UTC(1950, 0, 1));
    expect(readTimeMs(utcTime('491231235959Z'))).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(readTimeMs(generalizedTime('20500228120000Z'))).toBe(Date.UTC(2050, 1, 28, 12));
    expect(readTimeMs(utcTime('240229000000Z'))).toBe(Date.UTC(2024, 1, 29));
  });

  it.each([
    '260431000000Z',
    '230229000000Z',
    '261301000000Z',
    '260001000000Z',
    '260100000000Z',
    '260101240000Z',
    '260101006000Z',
    '260101000060Z',
    '2601010000Z',
    '260101000000+',
    '26010100000:Z',
    '26010100000/Z',
    '',
  ])('refuses UTCTime %s', (value) => isRefused(() => readTimeMs(utcTime(value))));

  it.each(['20260101000000Z', '20500101000000.5Z', '205001010000Z'])('refuses GeneralizedTime %s', (value) =>
    isRefused(() => readTimeMs(generalizedTime(value))),
  );
});

describe('Name', () => {
  const attribute = (oid: string, value: Uint8Array) =>
    der.set(der.sequence(der.objectIdentifier(oid), value));
  const commonName = attribute('2.5.4.3', der.utf8String('Intel SGX Root CA'));

  it('gives its bytes and its one common name', () => {
    const name = der.sequence(commonName, attribute('2.5.4.6', der.printableString('US')));
    expect(readName(read(name))).toEqual({ der: name, commonName: 'Intel SGX Root CA' });
  });

  it.each(['a\nb', 'a\u001b[2Kb', 'a\u009bb', 'a\u202eb', 'é', 'a\u007f'])(
    'refuses the common name %j, because it could garble a terminal or a log',
    (value) => isRefused(() => readName(read(der.sequence(attribute('2.5.4.3', der.utf8String(value)))))),
  );

  it('refuses no common name, two common names, and a set of two attributes', () => {
    isRefused(() => readName(read(der.sequence())));
    isRefused(() => readName(read(der.sequence(commonName, commonName))));
    const one = der.sequence(der.objectIdentifier('2.5.4.3'), der.utf8String('a'));
    isRefused(() => readName(read(der.sequence(der.set(one, one)))));
  });
});

describe('ECDSA-Sig-Value (RFC 5480)', () => {
  it('pads short scalars and refuses long ones', () => {
    const signature = readEcdsaSignature(
      read(der.sequence(der.integer(1), der.integer(new Uint8Array(32).fill(0xff)))),
    );
    expect(signature).toHaveLength(64);
    expect(signature[31]).toBe(1);
    expect(signature[0]).toBe(0);
    isRefused(() =>
      readEcdsaSignature(read(der.sequence(der.integer(new Uint8Array(33).fill(1)), der.integer(1)))),
    );
    isRefused(() => readEcdsaSignature(read(der.sequence(der.integer(1), der.integer(1), der.integer(1)))));
  });
});

describe('Extensions (RFC 5280 section 4.2)', () => {
  const extension = (oid: string, isCritical: boolean) =>
    der.sequence(
      der.objectIdentifier(oid),
      ...(isCritical ? [der.boolean(true)] : []),
      der.octetString(text(oid)),
    );
  const readAll = (...extensions: readonly Uint8Array[]) =>
    readExtensions(read(der.sequence(...extensions)), new Set(['2.5.29.15']));

  it('maps them by OID', () => {
    const map = readAll(extension('2.5.29.15', true), extension('1.2.3', false));
    expect([...map]).toEqual([
      ['2.5.29.15', text('2.5.29.15')],
      ['1.2.3', text('1.2.3')],
    ]);
  });

  it('refuses an explicit FALSE, which DER omits', () => {
    const explicit = der.sequence(
      der.objectIdentifier('1.2.3'),
      der.boolean(false),
      der.octetString(text('x')),
    );
    isRefused(() => readAll(explicit));
  });

  it('refuses a repeated extension, and an unknown critical extension', () => {
    isRefused(() => readAll(extension('1.2.3', false), extension('1.2.3', false)));
    isRefused(() => readAll(extension('1.2.3', true)));
  });
});

describe('PEM chains (RFC 7468)', () => {
  const certificate = der.sequence(der.octetString(new Uint8Array(100).fill(9)));
  const one = pem('CERTIFICATE', certificate);

  it('are split when only line breaks separate the certificates', () => {
    expect(readPemChain(one + one, 'chain', 2)).toEqual([certificate, certificate]);
    expect(readPemChain(`${one}\r\n\n${one.replaceAll('\n', '\r\n')}`, 'chain', 2)).toHaveLength(2);
    expect(readPemChain(one.trimEnd(), 'chain', 2)).toHaveLength(1);
    expect(readPemChain('', 'chain', 2)).toEqual([]);
  });

  it.each([
    ['too many', one + one + one],
    ['text before', `subject=x\n${one}`],
    ['text between', `${one}x${one}`],
    ['another kind', pem('X509 CRL', certificate)],
    ['cut off', one.slice(0, -10)],
    ['not base64', one.replace('MG', 'M=')],
    ['not canonical base64', one.replace(/.(=*\n-----END)/, '/$1')],
  ])('refuses %s', (_, input) => isRefused(() => readPemChain(input, 'chain', 2)));
});
