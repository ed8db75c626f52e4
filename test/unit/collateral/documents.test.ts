import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pem } from '../../../mock-tdx/pki/pem.ts';
import { crlAsHex } from '../../../src/collateral/crl-encoding.ts';
import { rawMembers } from '../../../src/collateral/raw-members.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('raw members of a JSON object', () => {
  it('are the exact texts, in any order and spacing', () => {
    const tcbInfo = '{"id":"TDX", "text":"a \\"}{\\\\", "levels":[{"x":[1,2]},{}]}';
    const members = rawMembers(` { "signature" : "ab" ,\n"tcbInfo":${tcbInfo} } `);
    expect([...(members ?? [])]).toEqual([
      ['signature', '"ab"'],
      ['tcbInfo', tcbInfo],
    ]);
  });

  it.each(['', 'null', '[]', '"x"', '{', '{"a":1', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}'])(
    'are not found in %s',
    (text) => {
      expect(rawMembers(text)).toBeUndefined();
    },
  );

  it('agree with JSON.parse for every object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(4), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        const members = [...(rawMembers(text) ?? [])].map(([name, raw]) => [name, JSON.parse(raw)]);
        expect(members).toEqual(Object.entries(JSON.parse(text)));
      }),
      { seed: 20_261_121, numRuns: 300 },
    );
  });
});

describe('a CRL in the encodings of PCS and PCCS', () => {
  const der = Uint8Array.of(0x30, 0x82, 0x00, 0x01, 0x05);
  it.each([
    ['DER', der],
    ['hex', bytesOf('3082000105')],
    ['upper-case hex with a line break', bytesOf('3082000105\n'.toUpperCase())],
    ['PEM', bytesOf(pem('X509 CRL', der))],
  ])('%s is read', (_, body) => {
    expect(crlAsHex(body)).toBe('3082000105');
  });

  it.each([
    ['nothing', ''],
    ['half a digit', '308'],
    ['hex of something else', 'deadbeef'],
    ['PEM of something else', pem('X509 CRL', Uint8Array.of(1, 2, 3))],
    ['a certificate', pem('CERTIFICATE', der)],
    ['HTML', '<html></html>'],
  ])('%s is refused', (_, text) => {
    expect(crlAsHex(bytesOf(text))).toBeUndefined();
  });
});
