import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../../../mock-tdx/server.ts';
import { tryFromBase64 } from '../../../src/bytes/base64.ts';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';

const seed = new Uint8Array(32).fill(1);
const reportData = `0x${'ab'.repeat(64)}`;
const mrConfigId = new Uint8Array(48).fill(9);
let pccs: MockTdx;
let pcs: MockTdx;

beforeAll(async () => {
  pccs = await startMockTdx({ seed, measurements: { mrConfigId } });
  pcs = await startMockTdx({ seed, style: 'pcs' });
});
afterAll(async () => {
  await pccs.close();
  await pcs.close();
});

const post = (body: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  fetch(`${pccs.url}/quote`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

async function quoteOf(body: unknown) {
  const response = await post(body);
  expect(response.status).toBe(200);
  const answer = (await response.json()) as { quote: string };
  return parseQuote(tryFromBase64(answer.quote) ?? new Uint8Array());
}

describe('POST /quote', () => {
  it('makes a version 4 quote over the report data, with the defaults given at the start', async () => {
    const quote = await quoteOf({ reportData });
    expect(quote.version).toBe(4);
    expect(toPrefixedHex(quote.body.reportData)).toBe(reportData);
    expect(toHex(quote.body.mrConfigId)).toBe(toHex(mrConfigId));
    expect(toHex(quote.body.mrTd)).toBe(toHex(developmentMeasurements.mrTd));
  });

  it('makes a version 5 quote with a TDX 1.5 body and the requested measurements', async () => {
    const rtMr3 = `0x${'33'.repeat(48)}`;
    const tdAttributes = '0x0100001000000000';
    const quote = await quoteOf({ reportData, version: 5, measurements: { rtMr3, tdAttributes } });
    expect([quote.version, quote.bodyType]).toEqual([5, 3]);
    expect(toPrefixedHex(quote.body.rtMr3)).toBe(rtMr3);
    expect(toPrefixedHex(quote.body.tdAttributes)).toBe(tdAttributes);
    expect(toHex(quote.body.mrConfigId)).toBe(toHex(mrConfigId));
  });

  it('uses the same attestation key and PCK chain for each request of a platform', async () => {
    const [first, again, other] = [
      await quoteOf({ reportData, platform: 1 }),
      await quoteOf({ reportData, platform: 1 }),
      await quoteOf({ reportData, platform: 2 }),
    ];
    expect(toHex(again.attestationKey)).toBe(toHex(first.attestationKey));
    expect(toHex(other.attestationKey)).not.toBe(toHex(first.attestationKey));
    expect(toHex(other.certificateChain)).not.toBe(toHex(first.certificateChain));
  });

  it.each([
    ['no report data', {}, 400, 'FIELD_INVALID', 'reportData'],
    ['report data of 63 bytes', { reportData: `0x${'00'.repeat(63)}` }, 400, 'FIELD_INVALID', 'reportData'],
    ['report data without 0x', { reportData: 'ab'.repeat(64) }, 400, 'FIELD_INVALID', 'reportData'],
    ['version 3', { reportData, version: 3 }, 400, 'FIELD_INVALID', 'version'],
    ['a negative platform', { reportData, platform: -1 }, 400, 'FIELD_INVALID', 'platform'],
    ['an unknown field', { reportData, extra: 1 }, 400, 'FIELD_INVALID', 'extra'],
    [
      'a short measurement',
      { reportData, measurements: { mrTd: '0x00' } },
      400,
      'FIELD_INVALID',
      'measurements.mrTd',
    ],
    [
      'an unknown measurement',
      { reportData, measurements: { mrSeam: reportData } },
      400,
      'FIELD_INVALID',
      'measurements.mrSeam',
    ],
    ['not JSON', '{', 400, 'BODY_NOT_JSON', undefined],
    ['a large body', { reportData, extra: 'x'.repeat(20_000) }, 413, 'BODY_TOO_LARGE', undefined],
  ])('refuses %s', async (_, body, status, code, field) => {
    const response = await post(body);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.status).toBe(status);
    const problem = (await response.json()) as { code: string; field?: string };
    expect(problem.code).toBe(code);
    expect(problem.field).toBe(field);
  });

  it('refuses another media type, another method, another path', async () => {
    const text = await post('{}', { 'content-type': 'text/plain' });
    const get = await fetch(`${pccs.url}/quote`);
    const nowhere = await fetch(`${pccs.url}/nowhere`);
    expect([text.status, get.status, nowhere.status]).toEqual([415, 405, 404]);
    expect(get.headers.get('allow')).toContain('POST');
    expect(((await get.json()) as { code: string }).code).toBe('METHOD_NOT_ALLOWED');
  });
});

describe('the certificate hierarchy', () => {
  it('has the same self-signed root for the same seed', async () => {
    const text = await (await fetch(`${pccs.url}/root.pem`)).text();
    expect(text).toBe(pcs.rootPem);
    const root = new X509Certificate(text);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.subject).toContain('CN=Intel SGX Root CA');
  });

  it('signs a PCK leaf that OpenSSL accepts below it', async () => {
    const quote = await quoteOf({ reportData });
    const chain = new TextDecoder()
      .decode(quote.certificateChain)
      .match(/-----BEGIN[\s\S]+?END CERTIFICATE-----/g);
    const [leaf, ca, root] = (chain ?? []).map((text) => new X509Certificate(text));
    if (leaf === undefined || ca === undefined || root === undefined) throw new Error('three certificates');
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect(ca.checkIssued(root) && ca.verify(root.publicKey)).toBe(true);
    expect([leaf.ca, ca.ca, root.ca]).toEqual([false, true, true]);
  });
});

describe('the collateral service', () => {
  const get = async (server: MockTdx, path: string) => fetch(`${server.url}${path}`);
  const fmspc = 'DE7E10000000';

  it('serves TCB info with its issuer chain, and the exact signed text', async () => {
    const response = await get(pcs, `/tdx/certification/v4/tcb?fmspc=${fmspc}`);
    const chain = decodeURIComponent(response.headers.get('TCB-Info-Issuer-Chain') ?? '');
    expect(chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const body = await response.text();
    expect(body).toMatch(/^\{"tcbInfo":\{"id":"TDX","version":3,.*\},"signature":"[0-9a-f]{128}"\}$/);
    expect(response.headers.get('Request-ID')).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each([
    ['/tdx/certification/v4/tcb', 400],
    ['/tdx/certification/v4/tcb?fmspc=zz', 400],
    ['/tdx/certification/v4/tcb?fmspc=000000000000', 404],
    [`/tdx/certification/v4/tcb?fmspc=${fmspc}&update=later`, 400],
    [`/tdx/certification/v4/tcb?fmspc=${fmspc}&update=early&tcbEvaluationDataNumber=20`, 400],
    [`/tdx/certification/v4/tcb?fmspc=${fmspc}&tcbEvaluationDataNumber=19`, 410],
    [`/tdx/certification/v4/tcb?fmspc=${fmspc}&tcbEvaluationDataNumber=22`, 404],
    [`/tdx/certification/v4/tcb?fmspc=${fmspc}&tcbEvaluationDataNumber=21`, 200],
    ['/tdx/certification/v4/qe/identity?update=early', 200],
    ['/sgx/certification/v4/pckcrl?ca=other', 400],
    ['/sgx/certification/v4/pckcert', 400],
    ['/sgx/certification/v4/fmspcs', 200],
    ['/tdx/certification/v4/tcbevaluationdatanumbers', 200],
  ])('answers %s with %i', async (path, status) => {
    expect((await get(pcs, path)).status).toBe(status);
  });

  it('answers CRLs in the formats of PCS and of PCCS', async () => {
    const der = new Uint8Array(
      await (await get(pcs, '/sgx/certification/v4/pckcrl?ca=processor&encoding=der')).arrayBuffer(),
    );
    const hex = await (await get(pccs, '/sgx/certification/v4/pckcrl?ca=processor')).text();
    const pem = await (await get(pcs, '/sgx/certification/v4/pckcrl?ca=processor')).text();
    expect(hex).toBe(toHex(der));
    expect(pem).toContain('-----BEGIN X509 CRL-----');
    const rootDer = new Uint8Array(await (await get(pcs, '/IntelSGXRootCA.der')).arrayBuffer());
    const rootHex = await (await get(pccs, '/sgx/certification/v4/rootcacrl')).text();
    expect(rootHex).toBe(toHex(rootDer));
    expect((await get(pcs, '/sgx/certification/v4/rootcacrl')).status).toBe(404);
  });

  it('serves PCK certificates by the platform that qeid names', async () => {
    const query = `encrypted_ppid=${'0'.repeat(768)}&cpusvn=${'0'.repeat(32)}&pcesvn=0d00&pceid=0000`;
    const [zero, one] = await Promise.all([
      get(pcs, `/sgx/certification/v4/pckcert?${query}`),
      get(pcs, `/sgx/certification/v4/pckcert?${query}&qeid=00000001`),
    ]);
    expect(zero.headers.get('SGX-FMSPC')).toBe(fmspc);
    expect(zero.headers.get('SGX-TCBm')).toMatch(/0D00$/);
    expect(zero.headers.get('SGX-PCK-Certificate-CA-Type')).toBe('platform');
    const serials = [await zero.text(), await one.text()].map(
      (text) => new X509Certificate(text).serialNumber,
    );
    expect(serials[0]).not.toBe(serials[1]);
  });
});
