import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { ReportData } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { ConfigfsQuoteSource } from '../../../src/quote-source/configfs-quote-source.ts';
import { FakeTsm, type FakeTsmBehaviour } from '../../support/fake-tsm.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32) });
const reportData = ReportData.of(new Uint8Array(64).fill(5));
const makeQuote = (data: Uint8Array) => pki.quote({ reportData: data, version: 5 });
const padded = (bytes: Uint8Array, padding: Uint8Array) => new Uint8Array(Buffer.concat([bytes, padding]));

function sourceOver(behaviour: Partial<FakeTsmBehaviour>, timeoutMs = 5_000) {
  const tsm = new FakeTsm({ quote: makeQuote, ...behaviour });
  return { tsm, source: new ConfigfsQuoteSource({ fileSystem: tsm, timeoutMs }) };
}

describe('a quote from configfs-tsm', () => {
  it('covers the report data, and leaves no entry behind', async () => {
    const { tsm, source } = sourceOver({});
    expect(toHex(await source.quote(reportData))).toBe(toHex(makeQuote(reportData)));
    expect(tsm.created[0]).toMatch(/^\/sys\/kernel\/config\/tsm\/report\/latchkey-[0-9a-f]{32}$/);
    expect(tsm.entries.size).toBe(0);
  });

  it('uses a separate entry for each of many concurrent requests', async () => {
    const { tsm, source } = sourceOver({});
    const all = Array.from({ length: 8 }, (_, index) => ReportData.of(new Uint8Array(64).fill(index)));
    const quotes = await Promise.all(all.map((data) => source.quote(data)));
    expect(quotes.map(toHex)).toEqual(all.map((data) => toHex(makeQuote(data))));
    expect(new Set(tsm.created).size).toBe(8);
    expect(tsm.entries.size).toBe(0);
  });

  it.each([
    ['zeros', new Uint8Array(3_065)],
    ['other bytes', new Uint8Array(39).fill(7)],
  ])('is returned without the %s that a provider appends', async (_, padding) => {
    const { source } = sourceOver({ quote: (data) => padded(makeQuote(data), padding) });
    expect(toHex(await source.quote(reportData))).toBe(toHex(makeQuote(reportData)));
  });

  it('is returned also when the entry cannot be removed', async () => {
    const { source } = sourceOver({ fail: { step: 'rmdir', code: 'EBUSY' } });
    expect(toHex(await source.quote(reportData))).toBe(toHex(makeQuote(reportData)));
  });
});

describe('a missing requirement is reported', () => {
  const missing = (...names: readonly string[]) => ({
    fail: { step: 'mkdir', code: 'ENOENT' },
    present: (path: string) => !names.some((name) => path.endsWith(name)),
  });
  it.each<[string, Partial<FakeTsmBehaviour>, string, RegExp]>([
    ['configfs', missing('config', 'tsm', 'report'), 'QUOTE_SOURCE_UNAVAILABLE', /not mounted/],
    ['the subsystem', missing('tsm', 'report'), 'QUOTE_SOURCE_UNAVAILABLE', /older than 6\.7/],
    ['the folder', missing('report'), 'QUOTE_SOURCE_UNAVAILABLE', /module is not loaded/],
    ['permission', { fail: { step: 'mkdir', code: 'EACCES' } }, 'QUOTE_SOURCE_UNAVAILABLE', /permission/],
    [
      'permission to write',
      { fail: { step: 'inblob', code: 'EPERM' } },
      'QUOTE_SOURCE_UNAVAILABLE',
      /permission/,
    ],
    ['a provider', { fail: { step: 'mkdir', code: 'ENXIO' } }, 'QUOTE_SOURCE_UNAVAILABLE', /no TD/],
    ['a TDX provider', { provider: 'sev_guest' }, 'QUOTE_SOURCE_UNAVAILABLE', /sev_guest/],
    [
      'an attribute',
      { fail: { step: 'provider', code: 'ENOENT' } },
      'QUOTE_SOURCE_UNAVAILABLE',
      /no provider/,
    ],
    ['an idle driver', { fail: { step: 'outblob', code: 'EBUSY' } }, 'QUOTE_SOURCE_FAILED', /EBUSY/],
    ['the host service', { fail: { step: 'outblob', code: 'EIO' } }, 'QUOTE_SOURCE_FAILED', /EIO/],
  ])('%s', async (_, behaviour, code, message) => {
    const { tsm, source } = sourceOver(behaviour);
    const failure = await source.quote(reportData).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, family: 'problem', message: expect.stringMatching(message) });
    expect(failure).toHaveProperty('hint', expect.stringMatching(/\w/));
    expect(tsm.entries.size).toBe(0);
  });
});

describe('an unreliable answer is refused', () => {
  it.each<[string, Partial<FakeTsmBehaviour>]>([
    [
      'the entry was written twice',
      {
        afterWrite: (entry) => {
          entry.generation += 1;
        },
      },
    ],
    [
      'another process put its own data',
      {
        afterWrite: (entry) => {
          entry.inblob = new Uint8Array(64);
        },
      },
    ],
    ['an empty outblob', { quote: () => new Uint8Array() }],
    ['garbage', { quote: () => new Uint8Array(5_000).fill(0x55) }],
    ['a truncated quote', { quote: (data) => makeQuote(data).slice(0, 1_000) }],
    ['far too many bytes', { quote: (data) => padded(makeQuote(data), new Uint8Array(100_000)) }],
  ])('%s', async (_, behaviour) => {
    const { tsm, source } = sourceOver(behaviour);
    await expect(source.quote(reportData)).rejects.toMatchObject({ code: 'QUOTE_SOURCE_FAILED' });
    expect(tsm.entries.size).toBe(0);
  });

  it('a quote that does not come', async () => {
    const { source } = sourceOver({ quote: () => new Promise<Uint8Array>(() => undefined) }, 20);
    await expect(source.quote(reportData)).rejects.toMatchObject({ code: 'QUOTE_SOURCE_FAILED' });
  });
});
