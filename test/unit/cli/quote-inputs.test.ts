import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readInput, readJsonInput, requireServiceUrls, tryParseTime } from '../../../src/cli/quote/inputs.ts';
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

  it('that never end, are no files or no JSON are problems of the input', async () => {
    await using folder = await tempFolder();
    for (const path of ['/dev/zero', folder.path, join(folder.path, 'missing')])
      expect(codeOf(() => readInput(path))).toBe('INPUT_UNREADABLE');
    const path = join(folder.path, 'file');
    writeFileSync(path, '{');
    expect(thrownBy(() => readJsonInput(path))).toMatchObject({ code: 'INPUT_UNREADABLE', field: path });
  });
});

it('services are http or https addresses', () => {
  const good = ['http://127.0.0.1:8081', 'https://pccs:8081/sgx/certification/v4/'];
  expect(requireServiceUrls(good)).toEqual(good);
  for (const url of ['pccs:8081', 'pccs', 'file:///etc', '', 'ftp://x'])
    expect(codeOf(() => requireServiceUrls([...good, url]))).toBe('INPUT_UNREADABLE');
});
