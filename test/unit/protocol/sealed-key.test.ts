import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockHash, KeyId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { decodeKeyGrant, encodeKeyGrant, type KeyGrant } from '../../../src/protocol/sealed-key.ts';
import { codeOf } from '../../support/thrown.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const integer = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const secret = bytes(32).map((value) => new SecretBytes(value));
const grants: fc.Arbitrary<KeyGrant> = fc.record({
  key: secret,
  keyId: bytes(16).map((value) => KeyId.of(value)),
  created: fc.boolean(),
  createdAtMs: integer,
  recoveryToken: fc.option(secret, { nil: undefined }),
  serverTimeMs: integer,
  finalized: fc.record({ number: integer, hash: bytes(32).map((value) => BlockHash.of(value)) }),
  lineage: fc.option(
    fc.record({
      reserved: fc.record({ number: integer, boot: bytes(16) }),
      shown: fc.record({ number: integer, bootId: bytes(16) }),
      head: fc.option(
        fc.record({
          incarnation: fc.record({ number: integer, bootId: bytes(16) }),
          sequence: integer,
          digest: bytes(32),
        }),
        { nil: undefined },
      ),
      slots: fc.array(
        bytes(16).map((value) => SlotId.of(value)),
        { maxLength: 32 },
      ),
      closed: fc.boolean(),
    }),
    { nil: undefined },
  ),
  extensions: fc
    .dictionary(
      fc.stringMatching(/^[a-z][A-Za-z0-9]{0,31}$/),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      {
        maxKeys: 8,
      },
    )
    .map((entries) => new Map(Object.entries(entries))),
});

const bare = ({ key, recoveryToken, extensions, ...rest }: KeyGrant) => ({
  ...rest,
  extensions: Object.fromEntries([...extensions].map(([name, value]) => [name, [...value]])),
  key: [...key.reveal()],
  recoveryToken: recoveryToken === undefined ? undefined : [...recoveryToken.reveal()],
});

const sample: KeyGrant = fc.sample(grants, { numRuns: 1, seed: 7 })[0] ?? failed();
function failed(): never {
  throw new TypeError('no sample');
}
const text = new TextDecoder().decode(
  encodeKeyGrant({ ...sample, lineage: undefined, recoveryToken: undefined }),
);
const codeOfText = (changed: string): string =>
  codeOf(() => decodeKeyGrant(new TextEncoder().encode(changed)));

describe('the plaintext of a sealed key', () => {
  it('is decoded unchanged', () => {
    fc.assert(
      fc.property(grants, (grant) => {
        expect(bare(decodeKeyGrant(encodeKeyGrant(grant)))).toEqual(bare(grant));
      }),
    );
  });

  it('is JSON for every key', () => {
    fc.assert(
      fc.property(grants, (grant) => {
        const json: unknown = JSON.parse(new TextDecoder().decode(encodeKeyGrant(grant)));
        expect(json).toMatchObject({ key: `0x${Buffer.from(grant.key.reveal()).toString('hex')}` });
      }),
    );
  });

  it('may be JSON with spaces, another order of fields and upper-case hex', () => {
    const full = new TextDecoder().decode(encodeKeyGrant(sample));
    const parsed = JSON.parse(full) as Record<string, unknown>;
    const spaced = JSON.stringify(parsed, null, 2);
    const reversed = JSON.stringify(Object.fromEntries(Object.entries(parsed).reverse()));
    const upper = full.replace(/"key":"0x([0-9a-f]+)"/, (_, hex: string) => `"key":"0x${hex.toUpperCase()}"`);
    for (const other of [spaced, reversed, upper]) {
      expect(bare(decodeKeyGrant(new TextEncoder().encode(other)))).toEqual(bare(sample));
    }
  });

  it('may have any bytes in its key, and accepts hex digits only', () => {
    for (let byte = 0; byte < 256; byte++) {
      const key = new SecretBytes(new Uint8Array(32).fill(byte));
      expect(decodeKeyGrant(encodeKeyGrant({ ...sample, key })).key.reveal()).toEqual(key.reveal());
    }
    const at = text.indexOf('"0x') + 3;
    for (let ascii = 0; ascii < 256; ascii++) {
      const plaintext = new TextEncoder().encode(text);
      plaintext[at] = ascii;
      const isDigit = /^[0-9a-fA-F]$/.test(String.fromCharCode(ascii));
      if (isDigit)
        expect(decodeKeyGrant(plaintext).key.reveal()[0] ?? 0).toBe(
          Number.parseInt(String.fromCharCode(ascii) + text.charAt(at + 1), 16),
        );
      else
        expect(
          codeOf(() => decodeKeyGrant(plaintext)),
          `${ascii}`,
        ).toBe('FIELD_INVALID');
    }
  });

  it('is not wiped by decoding', () => {
    const plaintext = encodeKeyGrant(sample);
    const before = [...plaintext];
    decodeKeyGrant(plaintext);
    expect([...plaintext]).toEqual(before);
  });

  it('is parsed only after its secrets are removed', () => {
    const seen: string[] = [];
    const parse = JSON.parse;
    JSON.parse = (text: string) => {
      seen.push(text);
      return parse(text);
    };
    try {
      decodeKeyGrant(
        encodeKeyGrant({ ...sample, recoveryToken: new SecretBytes(new Uint8Array(32).fill(0xab)) }),
      );
    } finally {
      JSON.parse = parse;
    }
    expect(seen.length).toBe(1);
    expect(seen[0]).not.toContain('abababab');
    expect(seen[0]).not.toContain(Buffer.from(sample.key.reveal()).toString('hex'));
  });

  it('does not change the key when it is encoded', () => {
    const before = [...sample.key.reveal()];
    encodeKeyGrant(sample);
    expect([...sample.key.reveal()]).toEqual(before);
  });

  it('with an unknown field, a missing one, a short key or no JSON is refused', () => {
    expect(codeOfText(text)).toBe('none');
    expect(codeOfText(text.replace('{', '{"more":1,'))).toBe('FIELD_INVALID');
    expect(codeOfText(text.replace(/"keyId":"[^"]*",/, ''))).toBe('FIELD_INVALID');
    expect(codeOfText(text.replace('{"key":"0x..', '{"key":"0x'))).toBe('none');
    expect(codeOfText(text.replace(/\{"key":"0x../, '{"key":"0x'))).toBe('FIELD_INVALID');
    expect(codeOfText(text.replace('{"key":"0x', '{"key":"0xab'))).toBe('FIELD_INVALID');
    // Sixty-four digits, at the place that a prefix which is not found would point to.
    expect(codeOfText(text.replace('{"key":"0x', '{"key": "'))).toBe('FIELD_INVALID');
    expect(codeOfText(text.slice(0, -1))).toBe('FIELD_INVALID');
    expect(codeOf(() => decodeKeyGrant(Uint8Array.of(0xff, 0xfe)))).toBe('FIELD_INVALID');
  });
});
