import { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { QuoteStream, runQuoteStream, type StreamDefaults } from '../../../src/cli/quote/stream.ts';
import { boundedLines } from '../../../src/cli/shared/bounded-lines.ts';
import { defaultPolicy } from '../../../src/tdx/policy.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { pki, plainCollateral, plainQuote, trustRoot, worldNowMs } from '../../support/tdx-world.ts';

const defaults: StreamDefaults = {
  verifier: new QuoteVerifier({ trustRoot }),
  policy: defaultPolicy,
  collateral: undefined,
  nowMs: () => worldNowMs,
  acceptsRootFromInput: false,
};
const quote = Buffer.from(plainQuote()).toString('base64');
const good = { id: 'a', quote, collateral: plainCollateral(), now: '2026-11-21T12:00:00Z' };
const answer = (line: unknown, changes: Partial<StreamDefaults> = {}) =>
  new QuoteStream({ ...defaults, ...changes }).answer({
    tooLong: false,
    bytes: Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)),
  });

async function linesOf(chunks: readonly string[], maxBytes: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of boundedLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), maxBytes)) {
    lines.push(line.tooLong ? 'TOO LONG' : Buffer.from(line.bytes).toString());
  }
  return lines;
}

describe('bounded lines', () => {
  it('are joined over chunks, and the last needs no newline', async () => {
    expect(await linesOf(['a', 'b\nc\n', '\n', 'd'], 10)).toEqual(['ab', 'c', '', 'd']);
    expect(await linesOf(['a\n'], 10)).toEqual(['a']);
    expect(await linesOf([], 10)).toEqual([]);
  });

  it('are skipped when they are too long, and not kept in memory', async () => {
    expect(await linesOf(['1234', '567', '8\nab\n', '123456'], 5)).toEqual(['TOO LONG', 'ab', 'TOO LONG']);
    expect(await linesOf(['12345\n'], 5)).toEqual(['12345']);
  });
});

describe('JSON lines', () => {
  it('give accepted and refused verdicts', () => {
    expect(answer(good)).toMatchObject({
      id: 'a',
      ok: true,
      tcbStatus: 'UpToDate',
      advisoryIds: [],
      root: 'insecure',
    });
    expect(answer({ ...good, quote: Buffer.from(plainQuote()).toString('hex') })).toMatchObject({ ok: true });
    expect(
      answer({ ...good, policy: { requireSeptVeDisable: true, acceptedTcbStatuses: [] } }),
    ).toMatchObject({
      ok: false,
      code: 'TCB_STATUS_REFUSED',
      tcbStatus: 'UpToDate',
    });
    const { collateral: _, now: __, ...bare } = good;
    expect(answer(bare, { collateral: plainCollateral() })).toMatchObject({ ok: true });
  });

  it.each([
    ['', 'LINE_INVALID'],
    ['{', 'LINE_INVALID'],
    ['[]', 'LINE_INVALID'],
    ['null', 'LINE_INVALID'],
    [{ ...good, quote: 5 }, 'LINE_INVALID'],
    [{ ...good, quote: '!' }, 'LINE_INVALID'],
    [{ ...good, quote: '' }, 'QUOTE_TRUNCATED'],
    [{ ...good, now: 'yesterday' }, 'LINE_INVALID'],
    [{ ...good, collateral: undefined }, 'LINE_INVALID'],
    [{ ...good, collateral: {} }, 'COLLATERAL_MALFORMED'],
    [{ ...good, policy: { x: 1 } }, 'POLICY_INVALID'],
    [{ ...good, root: pki.rootPem }, 'LINE_INVALID'],
  ])('%j gives %s', (line, code) => {
    const answered = answer(line);
    expect(answered).toMatchObject({ ok: false, code });
    expect(answered['id']).toBe(typeof line === 'string' ? null : 'a');
  });

  it('no content of a line can stop the stream, even deep or long JSON', async () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    const lines = [
      `{"id":${deep}}`,
      '{"id":{}}',
      `{"id":2,"policy":${deep}}`,
      `{"id":3,"policy":{"tcbGraceDays":${deep}}}`,
      `{"id":4,"policy":{"mrTd":[{"x":${deep}}]}}`,
      `{"id":5,"policy":{"${'x'.repeat(100_000)}":1}}`,
      `{"id":6,"collateral":${deep},"quote":"00"}`,
    ];
    const written: string[] = [];
    const output = new Writable({
      write(chunk, _, done) {
        written.push(String(chunk));
        done();
      },
    });
    await runQuoteStream(Readable.from([Buffer.from(lines.join('\n'))]), output, defaults);
    expect(written.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { id: null, code: 'LINE_INVALID', field: 'id' },
      { id: null, code: 'LINE_INVALID', field: 'id' },
      { id: 2, code: 'POLICY_INVALID', observed: 'a list' },
      { id: 3, code: 'POLICY_INVALID', observed: 'a list' },
      { id: 4, code: 'POLICY_INVALID', observed: 'an object' },
      { id: 5, code: 'POLICY_INVALID' },
      { id: 6, code: 'COLLATERAL_MALFORMED' },
    ]);
    expect(Math.max(...written.map(({ length }) => length))).toBeLessThan(1_000);
  });

  it('a root in a line is used only with the flag, and for that line only', () => {
    const underIntel = { verifier: new QuoteVerifier(), acceptsRootFromInput: true };
    const stream = new QuoteStream({ ...defaults, ...underIntel });
    const ask = (line: object) => stream.answer({ tooLong: false, bytes: Buffer.from(JSON.stringify(line)) });
    expect(ask({ ...good, root: pki.rootPem })).toMatchObject({ ok: true, root: 'insecure' });
    expect(ask(good)).toMatchObject({ ok: false, code: 'ROOT_NOT_TRUSTED' });
    expect(ask({ ...good, root: 'junk' })).toMatchObject({ ok: false, code: 'TRUST_ROOT_INVALID' });
    expect(ask({ ...good, root: 5 })).toMatchObject({ ok: false, code: 'LINE_INVALID' });
  });

  it('each line is answered in order, at the reader’s pace', async () => {
    const written: string[] = [];
    const output = new Writable({
      highWaterMark: 1,
      write(chunk, _, done) {
        written.push(String(chunk));
        setImmediate(done);
      },
    });
    const input = Readable.from([Buffer.from(`junk\n${JSON.stringify(good)}\n\n`), Buffer.from('{"id":7}')]);
    await runQuoteStream(input, output, defaults);
    const answers = written.map((line) => JSON.parse(line) as { id: unknown; ok: boolean; code?: string });
    expect(answers.map(({ id, ok }) => [id, ok])).toEqual([
      [null, false],
      ['a', true],
      [null, false],
      [7, false],
    ]);
  });

  it('stop with an error when the reader of the answers is gone', async () => {
    let writes = 0;
    const output = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        writes += 1;
        setImmediate(done, writes === 2 ? new Error('write EPIPE') : null);
      },
    });
    const input = Readable.from(Array.from({ length: 50 }, () => Buffer.from('{}\n')));
    const running = runQuoteStream(input, output, defaults);
    await expect(running).rejects.toMatchObject({ code: 'INPUT_UNREADABLE', field: 'standard output' });
    expect(writes).toBe(2);
  });
});
