import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatQuote } from '../../../src/cli/quote/inspect.ts';
import { describeQuote } from '../../../src/inspect/describe-quote.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { tdReport15Layout, tdReportLayout } from '../../../src/tdx/quote-layout.ts';
import { runLatchkey } from '../../support/run-latchkey.ts';
import { genuineQuote, quoteBytes, quoteIds } from '../../support/tdx-vectors.ts';
import { plainQuote, quoteWith } from '../../support/tdx-world.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { haveVectors } from '../../support/vectors.ts';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const HEADER_BYTES = 48;
const DESCRIPTOR_BYTES = 6;

describe.skipIf(!haveVectors)('inspecting genuine quotes', () => {
  const ids = haveVectors ? quoteIds() : [];

  it('the set has quotes of both versions', () => {
    expect(new Set(ids.map((id) => genuineQuote(id).version))).toEqual(new Set([4, 5]));
  });

  it.each(ids)('%s: every field of the TD report stands at its offset', (id) => {
    const bytes = quoteBytes(id);
    const quote = genuineQuote(id);
    const { header, tdReport, rest } = describeQuote(quote);
    const bodyAt = HEADER_BYTES + (quote.version === 5 ? DESCRIPTOR_BYTES : 0);
    const layout = { ...tdReportLayout, ...(quote.bodyType === 3 && tdReport15Layout) };
    for (const [name, [offset, length]] of Object.entries(layout)) {
      const expected = hexOf(bytes.subarray(bodyAt + offset, bodyAt + offset + length));
      expect(tdReport?.[name], name).toBe(expected);
    }
    expect(tdReport?.['mrServiceTd'] === undefined).toBe(quote.bodyType === 2);
    expect(header).toMatchObject({ version: bytes[0], teeType: '0x81 (TDX)' });
    expect(header?.['qeVendorId']).toBe('939a7233f79c4ca9940a0db3957f0607');
    const padding = bytes.length - bytes.findLastIndex((byte) => byte !== 0) - 1;
    // In most quotes the PEM chain ends in a NUL byte, which belongs to the chain.
    expect([padding, padding - 1]).toContain(rest?.['trailingZeroBytes']);
  });

  it.each(ids)('%s: enclave and PCK certificate', (id) => {
    const { quotingEnclave, pckCertificate } = describeQuote(genuineQuote(id));
    expect(quotingEnclave).toMatchObject({
      mrSigner: 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5',
      isvProdId: 2,
    });
    expect(pckCertificate).toMatchObject({
      subject: 'Intel SGX PCK Certificate',
      issuer: 'Intel SGX PCK Platform CA',
      ca: 'platform',
      fmspc: expect.stringMatching(/^[0-9a-f]{12}$/),
      ppid: expect.stringMatching(/^[0-9a-f]{32}$/),
      tcbComponents: expect.stringMatching(/^(\d+ ){15}\d+$/),
    });
  });

  it('a debug TD is shown as a debug TD, and the text states that nothing was verified', () => {
    const debug = ids.find((id) => ((genuineQuote(id).body.tdAttributes[0] ?? 0) & 1) === 1);
    const text = formatQuote(genuineQuote(debug ?? ''));
    expect(text).toMatch(/tdAttributesBits +DEBUG/);
    expect(text).toMatch(/Nothing of this is verified/);
  });
});

it('an unreadable PCK chain does not hide the other fields', () => {
  const quote = parseQuote(quoteWith(() => ({ certificationPem: 'no certificates\0' })));
  const { pckCertificate, tdReport } = describeQuote(quote);
  expect(pckCertificate?.['unreadable']).toMatch(/^CERTIFICATE_MALFORMED/);
  expect(tdReport?.['mrTd']).toHaveLength(96);
});

describe('latchkey quote inspect', { timeout: 60_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    folder = await tempFolder();
  });
  afterAll(async () => folder[Symbol.asyncDispose]());

  const inspect = (bytes: Uint8Array, ...flags: readonly string[]) => {
    const file = join(folder.path, 'quote.bin');
    writeFileSync(file, bytes);
    return runLatchkey(['quote', 'inspect', file, ...flags]);
  };

  it('prints JSON, padding included', async () => {
    const quote = plainQuote({ version: 5 });
    const done = await inspect(Buffer.concat([quote, new Uint8Array(70)]), '--json');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({
      header: { version: 5 },
      tdReport: { version: '1.5', mrServiceTd: '00'.repeat(48) },
      pckCertificate: { fmspc: 'de7e10000000' },
      rest: { trailingZeroBytes: 70 },
    });
  });

  it.each<[string, Uint8Array, string]>([
    ['a truncated quote', plainQuote().subarray(0, 2000), 'QUOTE_TRUNCATED'],
    ['an empty file', new Uint8Array(0), 'QUOTE_TRUNCATED'],
    ['a text', Buffer.from('not a quote, but long enough to be looked at for a while'), 'QUOTE_UNSUPPORTED'],
    ['an SGX quote', Uint8Array.from(plainQuote()).fill(3, 0, 1), 'QUOTE_UNSUPPORTED'],
    ['junk behind the quote', Buffer.concat([plainQuote(), Buffer.of(1)]), 'QUOTE_TRAILING_BYTES'],
  ])('exit 1: %s', async (_, bytes, code) => {
    const done = await inspect(bytes);
    expect(done).toMatchObject({ code: 1, stdout: '' });
    expect(done.stderr).toContain(code);
  });

  it('exit 2: a missing file', async () => {
    const done = await runLatchkey(['quote', 'inspect', join(folder.path, 'missing.bin')]);
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toContain('INPUT_UNREADABLE');
  });
});
