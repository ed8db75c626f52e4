import { readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MockTdx, startMockTdx } from '../../mock-tdx/server.ts';
import { type TamperLine, tamperLines } from '../../mock-tdx/tamper-kit.ts';
import { MAX_LINE_BYTES } from '../../src/cli/quote/stream.ts';
import { collateralRoute } from '../support/collateral-routes.ts';
import { type HttpService, startHttpService } from '../support/http-service.ts';
import { type Finished, runLatchkey } from '../support/run-latchkey.ts';
import { tempFolder } from '../support/temp-folder.ts';

const DEAD_URL = 'http://127.0.0.1:1';

/** `latchkey quote verify` as people run it: a process, files, a PCCS on a socket. */
describe('latchkey quote verify', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let mock: MockTdx;
  let lines: Map<string, TamperLine>;
  const services: HttpService[] = [];
  const fileOf = (name: string): string => join(folder.path, name);
  const write = (name: string, content: string | Uint8Array): string => {
    writeFileSync(fileOf(name), content);
    return fileOf(name);
  };

  beforeAll(async () => {
    folder = await tempFolder();
    mock = await startMockTdx();
    lines = new Map([...tamperLines(mock.pki, Date.now())].map((line) => [line.id, line]));
    const quote = mock.pki.quote({ reportData: new Uint8Array(64).fill(7), version: 5 });
    write('root.pem', mock.rootPem);
    write('quote.bin', quote);
    write('tampered.bin', quote.with(300, (quote[300] ?? 0) ^ 1));
    write('collateral.json', JSON.stringify(mock.pki.collateral({ nowMs: Date.now() })));
  });

  afterAll(async () => {
    for (const service of services) await service[Symbol.asyncDispose]();
    await mock?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  const verify = (quote: string, ...args: readonly string[]): Promise<Finished> =>
    runLatchkey(['quote', 'verify', fileOf(quote), '--insecure-trust-root', fileOf('root.pem'), ...args]);
  const answerOf = ({ stdout }: Finished) => JSON.parse(stdout) as Readonly<Record<string, unknown>>;

  async function serving(listener: RequestListener): Promise<HttpService> {
    const service = await startHttpService(listener);
    services.push(service);
    return service;
  }

  /** A PCCS that offers the set of one case of the tamper kit. */
  const servingCase = (name: string): Promise<HttpService> =>
    serving((request, response) => {
      const set = lines.get(name)?.collateral as Parameters<typeof collateralRoute>[0];
      const answer = collateralRoute(set, request.url ?? '');
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      void answer.text().then((text) => response.end(text));
    });

  describe('--pccs', () => {
    it('exit 0: accepted with the collateral of the service', async () => {
      const done = await verify('quote.bin', '--pccs', mock.url, '--json');
      expect(answerOf(done)).toMatchObject({
        ok: true,
        tcbStatus: 'UpToDate',
        advisoryIds: [],
        root: 'insecure',
        collateral: { state: 'fresh' },
        platform: { fmspc: 'de7e10000000', ca: 'platform' },
      });
      expect(done.code).toBe(0);
      expect(done.stderr).toContain('INSECURE');
    });

    it('exit 0: a service that does not answer is skipped', async () => {
      const lost = await serving((_, response) => response.writeHead(404).end());
      const done = await verify('quote.bin', '--pccs', DEAD_URL, lost.url, mock.url);
      expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('accepted: UpToDate') });
      expect(lost.requests.length).toBeGreaterThan(0);
    });

    it('exit 0: a service that lies is skipped', async () => {
      const liar = await servingCase('tcb-info-altered');
      expect(await verify('quote.bin', '--pccs', liar.url, mock.url)).toMatchObject({ code: 0 });
    });

    it('exit 1: a tampered quote, without a request to any service', async () => {
      const pccs = await serving((_, response) => response.writeHead(500).end());
      const done = await verify('tampered.bin', '--pccs', pccs.url, '--json');
      expect(answerOf(done)).toMatchObject({ ok: false, code: 'QUOTE_SIGNATURE_INVALID' });
      expect(done.code).toBe(1);
      expect(pccs.requests).toEqual([]);
    });

    it.each([
      ['pck-leaf-revoked', 'CERTIFICATE_REVOKED'],
      ['tcb-info-altered', 'TCB_INFO_SIGNATURE_INVALID'],
      ['pck-crl-expired', 'CRL_EXPIRED'],
    ])('exit 1: a service that offers the set of %s', async (name, code) => {
      expect(lines.get(name)?.expected).toMatchObject({ ok: false, code });
      write('case.bin', Buffer.from(lines.get(name)?.quote ?? '', 'base64'));
      const { url } = await servingCase(name);
      const done = await verify('case.bin', '--pccs', DEAD_URL, url);
      expect(done.code).toBe(1);
      expect(done.stdout).toContain(`refused: ${code}`);
    });

    it.each<[string, RequestListener]>([
      ['answers 404', (_, response) => response.writeHead(404).end()],
      ['answers garbage', (_, response) => response.end('<html>log in first</html>')],
      ['redirects', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
      [
        'answers without end',
        (_, response) => {
          const pour = (): void => {
            while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
          };
          response.on('drain', pour);
          pour();
        },
      ],
    ])('exit 2: undecided when the service %s', async (_, listener) => {
      const { url } = await serving(listener);
      const done = await verify('quote.bin', '--pccs', url, '--json');
      expect(answerOf(done)).toMatchObject({ ok: false, code: 'COLLATERAL_UNAVAILABLE' });
      expect(done.code).toBe(2);
      expect(answerOf(done)['detail']).toContain(url);
    });

    it('exit 2: undecided when no service can be reached; the message names each service', async () => {
      const done = await verify('quote.bin', '--pccs', DEAD_URL, 'http://127.0.0.1:2');
      expect(done.code).toBe(2);
      expect(done.stdout).toMatch(/undecided: COLLATERAL_UNAVAILABLE: .*127\.0\.0\.1:1.*127\.0\.0\.1:2/);
    });

    it('exit 2: a text that is not an address', async () => {
      const done = await verify('quote.bin', '--pccs', 'pccs.internal', '--json');
      expect(answerOf(done)).toMatchObject({ code: 'INPUT_UNREADABLE', field: '--pccs' });
      expect(done.code).toBe(2);
    });

    it('--update early and a given number: judged by that TCB evaluation', async () => {
      for (const choice of [
        ['--update', 'early'],
        ['--tcb-evaluation-data-number', '21'],
      ]) {
        const done = await verify('quote.bin', '--pccs', mock.url, '--json', ...choice);
        expect(answerOf(done)).toMatchObject({
          ok: true,
          tcbEvaluationDataNumber: 21,
          evaluationNumbers: { tcbInfo: 21, qeIdentity: 21 },
        });
      }
      const both = ['--update', 'early', '--tcb-evaluation-data-number', '21'];
      expect(await verify('quote.bin', '--pccs', mock.url, ...both)).toMatchObject({ code: 2 });
    });

    it('judges the collateral at the time of --now', async () => {
      const now = new Date(Date.now() + 60 * 86_400_000).toISOString();
      const done = await verify('quote.bin', '--pccs', mock.url, '--now', now, '--json');
      expect(answerOf(done)).toMatchObject({ ok: false, code: 'CRL_EXPIRED' });
      expect(done.code).toBe(1);
    });
  });

  describe('files', () => {
    const collateral = () => ['--collateral', fileOf('collateral.json')] as const;

    it('without Intel’s root the development root is refused', async () => {
      const done = await runLatchkey(['quote', 'verify', fileOf('quote.bin'), ...collateral(), '--json']);
      expect(answerOf(done)).toMatchObject({ ok: false, code: 'ROOT_NOT_TRUSTED' });
      expect(done).toMatchObject({ code: 1, stderr: '' });
    });

    it('a quote as text is recognized and refused, and read with --encoding', async () => {
      write('quote.hex', readFileSync(fileOf('quote.bin')).toString('hex'));
      const text = 'quote.hex';
      const named = await verify(text, ...collateral(), '--json');
      expect(answerOf(named)).toMatchObject({ code: 'INPUT_UNREADABLE', hint: '--encoding hex reads it' });
      expect(named.code).toBe(2);
      expect(await verify(text, ...collateral(), '--encoding', 'hex')).toMatchObject({ code: 0 });
    });

    it('--policy: the same quote under two policies', async () => {
      const reportData = '07'.repeat(64);
      const fitting = write('fitting.json', JSON.stringify({ reportData: [reportData] }));
      expect(await verify('quote.bin', ...collateral(), '--policy', fitting)).toMatchObject({ code: 0 });
      const other = write('other.json', JSON.stringify({ reportData: ['08'.repeat(64)] }));
      const refused = await verify('quote.bin', ...collateral(), '--policy', other, '--json');
      expect(answerOf(refused)).toMatchObject({
        ok: false,
        code: 'MEASUREMENT_REFUSED',
        tcbStatus: 'UpToDate',
        field: 'reportData',
        expected: '08'.repeat(64),
        observed: reportData,
      });
      expect(refused.code).toBe(1);
    });

    it.each<[string, readonly string[], string]>([
      ['a policy with an unknown field', ['--policy', 'unknown.json'], 'POLICY_INVALID'],
      ['a policy that is not JSON', ['--policy', 'root.pem'], 'INPUT_UNREADABLE'],
      ['no collateral at all', [], 'INPUT_UNREADABLE'],
    ])('exit 2: %s', async (_, [flag, name], code) => {
      write('unknown.json', '{"acceptEverything":true}');
      const args = flag === undefined || name === undefined ? [] : [...collateral(), flag, fileOf(name)];
      const done = await verify('quote.bin', ...args, '--json');
      expect(answerOf(done)).toMatchObject({ ok: false, code });
      expect(done.code).toBe(2);
    });
  });

  it('--jsonl: every line gets an answer, with any content, and the exit code is 0', async () => {
    const line = (id: string, changes: object = {}): string => {
      const { quote, collateral, now, root } = lines.get(id) ?? {};
      return JSON.stringify({ id, quote, collateral, now, root, ...changes });
    };
    const input = [
      line('good-v5'),
      line('td-debug'),
      line('microcode-out-of-date', { policy: { acceptedTcbStatuses: ['OutOfDate'] } }),
      '{"id":"broken",',
      '',
      `{"id":"huge","quote":"${'00'.repeat(MAX_LINE_BYTES / 2)}"}`,
      line('good-v4', { id: 4, unknown: 1 }),
      line('pck-leaf-revoked'),
    ].join('\n');
    const done = await runLatchkey(['quote', 'verify', '--jsonl', '--insecure-trust-root-from-input'], input);
    expect(done.code).toBe(0);
    expect(done.stderr).toContain('INSECURE');
    const answers = done.stdout.trimEnd().split('\n');
    expect(answers.map((text) => JSON.parse(text) as unknown)).toMatchObject([
      { id: 'good-v5', ok: true, tcbStatus: 'UpToDate', advisoryIds: [] },
      { id: 'td-debug', ok: false, code: 'TD_DEBUG', tcbStatus: 'UpToDate' },
      { id: 'microcode-out-of-date', ok: true, tcbStatus: 'OutOfDate' },
      { id: null, ok: false, code: 'LINE_INVALID' },
      { id: null, ok: false, code: 'LINE_INVALID' },
      { id: null, ok: false, code: 'LINE_TOO_LONG' },
      { id: 4, ok: true },
      { id: 'pck-leaf-revoked', ok: false, code: 'CERTIFICATE_REVOKED' },
    ]);
    expect(answers).toHaveLength(8);
  });

  it('--jsonl: a root in a line is used only with the flag', async () => {
    const done = await runLatchkey(['quote', 'verify', '--jsonl'], JSON.stringify(lines.get('good-v4')));
    expect(JSON.parse(done.stdout)).toMatchObject({ id: 'good-v4', ok: false, code: 'LINE_INVALID' });
    expect(done.code).toBe(0);
  });
});
