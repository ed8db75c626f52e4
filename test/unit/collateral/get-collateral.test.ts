import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MockTdx, startMockTdx } from '../../../mock-tdx/server.ts';
import { getCollateral } from '../../../src/collateral/get-collateral.ts';
import { insecureTrustRoot, QuoteVerifier, verifyQuote } from '../../../src/tdx/verify-quote.ts';
import { plainQuote } from '../../support/tdx-world.ts';

let mock: MockTdx;
let quote: Uint8Array;
let verifier: QuoteVerifier;
beforeAll(async () => {
  mock = await startMockTdx({});
  verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(mock.rootPem) });
  const asked = await fetch(`${mock.url}/quote`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reportData: `0x${'00'.repeat(64)}` }),
  });
  // The route answers an object with the quote in base64.
  const { quote: base64 } = (await asked.json()) as { readonly quote: string };
  quote = new Uint8Array(Buffer.from(base64, 'base64'));
});
afterAll(() => mock.close());

it('takes the set of the first service that has one that verifies', async () => {
  const endpoints = ['http://127.0.0.1:1', mock.url];
  const collateral = await getCollateral(quote, { endpoints, verifier });
  expect(verifyQuote(quote, { collateral, nowMs: Date.now(), verifier }).tcbStatus).toBe('UpToDate');
});

it('refuses a set that does not verify under the root', async () => {
  const refused = getCollateral(quote, { endpoints: [mock.url] });
  await expect(refused).rejects.toMatchObject({
    code: 'COLLATERAL_UNAVAILABLE',
    message: expect.stringContaining(mock.url),
  });
});

it('refuses a set that does not hold at the given time', async () => {
  const wish = { endpoints: [mock.url], verifier, nowMs: Date.UTC(2050, 0) };
  await expect(getCollateral(quote, wish)).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE' });
});

it('asks for the evaluation that is wanted, and ends with the signal', async () => {
  const asked: string[] = [];
  const gone = new AbortController();
  const fetchLike = (url: string): Promise<Response> => {
    asked.push(url);
    gone.abort();
    return new Promise(() => undefined);
  };
  const wish = { endpoints: [mock.url], fetch: fetchLike, update: 17, signal: gone.signal } as const;
  await expect(getCollateral(quote, wish)).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE' });
  expect(asked.some((url) => url.includes('tcbEvaluationDataNumber=17'))).toBe(true);
});

it('reads the quote before it asks anybody, and wants http(s)', async () => {
  await expect(getCollateral(new Uint8Array(8), {})).rejects.toMatchObject({ code: 'QUOTE_UNSUPPORTED' });
  await expect(getCollateral(plainQuote(), { endpoints: ['file:///etc'] })).rejects.toThrow(TypeError);
});
