import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  readInput,
  readJsonInput,
  readNow,
  readQuote,
  requireServiceUrls,
  tryParseTime,
} from '../../../src/cli/quote/inputs.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { plainQuote } from '../../support/tdx-world.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

describe('times on the command line', () => {
  it.each([
    ['2026-01-31T00:00:00Z', Date.UTC(2026, 0, 31)],
    ['2026-01-31T12:30:15.250Z', Date.UTC(2026, 0, 31, 12, 30, 15, 250)],
    ['2026-01-31T01:00:00+02:00', Date.UTC(2026, 0, 30, 23)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ])('%s', (text, timeMs) => expect(tryParseTime(text)).toBe(timeMs));

  it.each([
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+99:00',
    '2026-01-01',
    '1767225600',
    '',
  ])('refuses %j', (text) => expect(tryParseTime(text)).toBeUndefined());
});

describe('files on the command line', () => {
  it('are read to their end, also those without a size', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'file');
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251);
    writeFileSync(path, bytes);
    expect(readInput(path)).toEqual(bytes);
    expect(readInput('/dev/null')).toEqual(new Uint8Array(0));
  });

  it('are refused as wrong input when they never end, are not files or are not JSON', async () => {
    await using folder = await tempFolder();
    for (const path of ['/dev/zero', folder.path, join(folder.path, 'missing')])
      expect(codeOf(() => readInput(path))).toBe('INPUT_UNREADABLE');
    const path = join(folder.path, 'file');
    writeFileSync(path, '{');
    expect(thrownBy(() => readJsonInput(path))).toMatchObject({ code: 'INPUT_UNREADABLE', field: path });
  });
});

describe('quotes on the command line', () => {
  const quote = plainQuote({ version: 5 });
  const written = {
    hex: toHex(quote),
    '0x hex': `0x${toHex(quote).toUpperCase()}\n`,
    base64: Buffer.from(quote).toString('base64').replaceAll(/.{64}/g, '$&\r\n'),
  };

  it.each(Object.entries(written))('as %s text are refused, and read with the option', async (kind, text) => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'quote.txt');
    writeFileSync(path, text);
    const encoding = kind === 'base64' ? 'base64' : 'hex';
    expect(thrownBy(() => readQuote(path))).toMatchObject({
      code: 'INPUT_UNREADABLE',
      observed: `a quote as ${encoding} text`,
      hint: `--encoding ${encoding} reads it`,
    });
    expect(readQuote(path, encoding).signedBytes).toEqual(parseQuote(quote).signedBytes);
    expect(codeOf(() => readQuote(path, encoding === 'hex' ? 'base64' : 'hex'))).toMatch(/^(INPUT|QUOTE)_/);
  });

  it('in binary are read as they are, with zero padding', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'quote.bin');
    writeFileSync(path, Buffer.concat([quote, Buffer.alloc(70)]));
    expect(readQuote(path)).toMatchObject({ version: 5, trailingByteLength: 70 });
    expect(thrownBy(() => readQuote(path, 'hex'))).toMatchObject({
      code: 'INPUT_UNREADABLE',
      expected: 'a quote as hex text',
    });
  });

  it('an empty file is reported as empty, and other text is not a quote', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, '');
    const observed = 'an empty file';
    for (const read of [() => readQuote(path), () => readQuote(path, 'hex')])
      expect(thrownBy(read)).toMatchObject({ code: 'QUOTE_TRUNCATED', observed });
    expect(thrownBy(() => readJsonInput(path))).toMatchObject({ code: 'INPUT_UNREADABLE', observed });
    for (const text of ['hello', '0400', '03000200', '{"quote":"04"}']) {
      writeFileSync(path, text);
      const code = codeOf(() => readQuote(path));
      expect(code, text).toBe(text === '0400' ? 'INPUT_UNREADABLE' : 'QUOTE_UNSUPPORTED');
    }
  });
});

it('--now is an ISO 8601 time; default: the present time', () => {
  expect(readNow('2026-01-31T00:00:00Z')).toBe(Date.UTC(2026, 0, 31));
  expect(Math.abs(readNow(undefined) - Date.now())).toBeLessThan(60_000);
  expect(thrownBy(() => readNow('yesterday'))).toMatchObject({ code: 'INPUT_UNREADABLE', field: '--now' });
});

it('services are http or https addresses', () => {
  const good = ['http://127.0.0.1:8081', 'https://pccs:8081/sgx/certification/v4/'];
  expect(requireServiceUrls(good)).toEqual(good);
  for (const url of ['pccs:8081', 'pccs', 'file:///etc', '', 'ftp://x'])
    expect(codeOf(() => requireServiceUrls([...good, url]))).toBe('INPUT_UNREADABLE');
});
