import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { azureHclReport } from '../../../src/tdx/hcl-report.ts';
import { mrConfigIdOf, requireMrConfigId } from '../../../src/tdx/mr-config-id.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { parseBase64Quote, parseHexQuote, parsePaddedQuote } from '../../../src/tdx/quote-text.ts';
import { platformOf, QuoteVerifier } from '../../../src/tdx/quote-verifier.ts';
import { plainQuote, trustRoot, verifyInWorld, worldNowMs } from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const quote = plainQuote();
const hex = Buffer.from(quote).toString('hex');
const base64 = Buffer.from(quote).toString('base64');

describe('a quote as text', () => {
  it('is read from hex and base64, with line breaks', () => {
    const lines = (text: string): string => `${text.replace(/(.{64})/g, '$1\n')}\n`;
    for (const text of [hex, hex.toUpperCase(), `0x${hex}`, lines(hex)])
      expect(parseHexQuote(text).signedBytes).toEqual(parseQuote(quote).signedBytes);
    expect(parseBase64Quote(lines(base64)).signedBytes).toEqual(parseQuote(quote).signedBytes);
  });

  it('is never guessed', () => {
    expect(codeOf(() => parseHexQuote(base64))).toBe('QUOTE_MALFORMED');
    expect(codeOf(() => parseBase64Quote(hex))).not.toBe('none');
    expect(codeOf(() => parseBase64Quote(base64.slice(0, -1)))).toBe('QUOTE_MALFORMED');
    expect(codeOf(() => parseHexQuote(`${hex}00`))).toBe('QUOTE_TRAILING_BYTES');
  });

  it('may be followed by zero bytes only where that was asked for', () => {
    const padded = Buffer.concat([quote, Buffer.alloc(10)]);
    expect(parsePaddedQuote(padded).trailingByteLength).toBe(10);
    padded[padded.length - 1] = 1;
    expect(codeOf(() => parsePaddedQuote(padded))).toBe('QUOTE_TRAILING_BYTES');
  });
});

describe('an HCL report of Azure', () => {
  const report = (type: number): Buffer => {
    const bytes = Buffer.alloc(2600);
    bytes.write('HCLA', 0, 'latin1');
    bytes[32 + 1184 + 8] = type;
    return bytes;
  };

  it.each([
    [4, 'TDX'],
    [2, 'SEV-SNP'],
    [9, 'unknown hardware'],
  ])('of type %i is refused by name', (type, hardware) => {
    expect(azureHclReport(report(type))).toEqual({ hardware });
    const refusal = thrownBy(() => parseQuote(report(type)));
    expect(refusal).toMatchObject({ code: 'QUOTE_UNSUPPORTED', observed: expect.stringContaining(hardware) });
    expect(refusal).toMatchObject({ hint: expect.stringContaining('paravisor') });
  });

  it('is not seen in a quote', () => {
    expect(azureHclReport(quote)).toBeUndefined();
  });
});

describe('MRCONFIGID', () => {
  const document = Buffer.from('{"a":1}');
  const sha = (name: string): string => createHash(name).update(document).digest('hex');

  it('is the hash of a document, filled up with zeros', () => {
    expect(Buffer.from(mrConfigIdOf(document)).toString('hex')).toBe(sha('sha384'));
    expect(Buffer.from(mrConfigIdOf(document, 'sha256')).toString('hex')).toBe(
      `${sha('sha256')}${'00'.repeat(16)}`,
    );
  });

  it('of a quote is compared with it', () => {
    const { body } = parseQuote(plainQuote({ body: { mrConfigId: mrConfigIdOf(document) } }));
    expect(() => requireMrConfigId(body, document)).not.toThrow();
    expect(codeOf(() => requireMrConfigId(body, document, 'sha256'))).toBe('MR_CONFIG_ID_MISMATCH');
    expect(codeOf(() => requireMrConfigId(body, Buffer.from('{"a":2}')))).toBe('MR_CONFIG_ID_MISMATCH');
  });
});

describe('JSON.stringify', () => {
  /** Fails for a byte array that was printed as an object of indices. */
  const printed = (value: unknown): string => {
    const text = JSON.stringify(value);
    expect(text).not.toMatch(/\{"0":/);
    return text;
  };

  it('prints bytes of every result as hex', () => {
    const parsed = parseQuote(quote);
    const { mrTd } = parsed.body;
    const verified = verifyInWorld();
    const signed = new QuoteVerifier({ trustRoot }).verifyChainOnly(quote, { nowMs: worldNowMs });
    for (const value of [parsed, parsed.body, verified, signed])
      expect(printed(value)).toContain(Buffer.from(mrTd).toString('hex'));
    for (const value of [parsed.header, parsed.qe, parsed.certification, platformOf(parsed)]) printed(value);
    for (const value of [verified.platform, verified.collateral, signed.platform]) printed(value);
    expect(JSON.parse(printed(signed))).toMatchObject({ isIntelRooted: false });
    expect(JSON.parse(printed(parsed))).toMatchObject({ version: 4, trailingByteLength: 0 });
  });

  it('prints an error with its message, and without its cause', () => {
    const refusal = JSON.parse(printed(thrownBy(() => parseQuote(new Uint8Array(1)))));
    expect(refusal).toMatchObject({ name: 'EvidenceError', family: 'evidence', code: 'QUOTE_TRUNCATED' });
    expect(refusal.message).toContain('version');
    expect(Object.keys(refusal)).not.toContain('cause');
  });
});
