import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MockTdx, startMockTdx } from '../../../mock-tdx/server.ts';
import { ReportData } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import type { Fetch } from '../../../src/outbound/bounded-fetch.ts';
import { HttpQuoteSource } from '../../../src/quote-source/http-quote-source.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';

const reportData = ReportData.of(new Uint8Array(64).fill(3));
let mock: MockTdx;
beforeAll(async () => {
  mock = await startMockTdx();
});
afterAll(() => mock.close());

describe('a development quote', () => {
  it('comes from the chosen platform, with the chosen version and measurements', async () => {
    const rtMr2 = `0x${'22'.repeat(48)}`;
    const source = new HttpQuoteSource({
      url: `${mock.url}/`,
      platform: 4,
      version: 5,
      measurements: { rtMr2 },
    });
    const quote = parseQuote(await source.quote(reportData));
    expect([quote.version, `0x${toHex(quote.body.rtMr2)}`]).toEqual([5, rtMr2]);
    expect(toHex(quote.attestationKey)).toBe(toHex(mock.pki.platform(4).attestationKey.publicKey));
  });

  it('is refused by the service when the request is wrong', async () => {
    const source = new HttpQuoteSource({ url: mock.url, measurements: { mrTd: '0x00' } });
    await expect(source.quote(reportData)).rejects.toMatchObject({ code: 'QUOTE_SOURCE_FAILED' });
  });

  const answering =
    (body: string | ReadableStream, status = 200): Fetch =>
    async () =>
      new Response(body, { status });
  const quoteJson = (bytes: Uint8Array) => JSON.stringify({ quote: Buffer.from(bytes).toString('base64') });
  it.each<[string, () => Fetch, string]>([
    [
      'a service that is down',
      () => () => Promise.reject(new Error('ECONNREFUSED')),
      'QUOTE_SOURCE_UNAVAILABLE',
    ],
    ['a service that hangs', () => () => new Promise(() => undefined), 'QUOTE_SOURCE_UNAVAILABLE'],
    [
      'an endless body',
      () =>
        answering(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
      'QUOTE_SOURCE_UNAVAILABLE',
    ],
    ['an error status', () => answering('no', 500), 'QUOTE_SOURCE_FAILED'],
    ['no JSON', () => answering('<html>'), 'QUOTE_SOURCE_FAILED'],
    ['JSON null', () => answering('null'), 'QUOTE_SOURCE_FAILED'],
    ['no base64', () => answering('{"quote":"***"}'), 'QUOTE_SOURCE_FAILED'],
    ['no quote', () => answering(quoteJson(new Uint8Array(10))), 'QUOTE_SOURCE_FAILED'],
    [
      'a quote over other report data',
      () => answering(quoteJson(mock.pki.quote({ reportData: new Uint8Array(64) }))),
      'QUOTE_SOURCE_FAILED',
    ],
  ])('fails by %s', async (_, fetchLike, code) => {
    const source = new HttpQuoteSource({
      url: mock.url,
      fetch: fetchLike(),
      timeoutMs: code === 'QUOTE_SOURCE_UNAVAILABLE' ? 300 : 20_000,
    });
    await expect(source.quote(reportData)).rejects.toMatchObject({ code, family: 'problem' });
  });

  it('needs an http address', () => {
    expect(() => new HttpQuoteSource({ url: 'ftp://127.0.0.1' })).toThrow(TypeError);
  });
});
