import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { assembleCollateral } from '../../../mock-tdx/collateral/collateral-parts.ts';
import { type MockTdx, startMockTdx } from '../../../mock-tdx/server.ts';
import { collateralCommand } from '../../../src/cli/commands/collateral.ts';
import {
  insecureTrustRoot,
  parseCollateralDocuments,
  QuoteVerifier,
  verifyQuote,
} from '../../../src/tdx/verify-quote.ts';

let mock: MockTdx;
let folder: string;
let root: string;
beforeAll(async () => {
  mock = await startMockTdx({ style: 'pcs' });
  folder = mkdtempSync(join(tmpdir(), 'latchkey-collateral-'));
  root = join(folder, 'root.pem');
  writeFileSync(root, mock.rootPem);
});
afterAll(async () => {
  await mock.close();
  rmSync(folder, { recursive: true });
});

/** Runs the command; returns what it wrote. */
async function run(...args: readonly string[]): Promise<{ readonly out: string; readonly err: string }> {
  const written = { out: '', err: '' };
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.err += String(text);
    return true;
  });
  try {
    await collateralCommand().parseAsync([...args], { from: 'user' });
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  return written;
}

const trust = () => ['--insecure-trust-root', root] as const;

describe('latchkey collateral', () => {
  it('fetches a set over HTTP that verifies a quote offline', async () => {
    const file = join(folder, 'set.json');
    const { err } = await run(
      'fetch',
      ...['--fmspc', 'DE7E10000000', '--pccs', 'http://127.0.0.1:1', mock.url],
      ...['--out', file, '--json', ...trust()],
    );
    expect(err).toContain('INSECURE');
    expect(err).toContain('"tcbEvaluationDataNumber":20');
    const collateral = parseCollateralDocuments(JSON.parse(readFileSync(file, 'utf8')));
    const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(mock.rootPem) });
    const quote = mock.pki.quote({ reportData: new Uint8Array(64), version: 5 });
    expect(verifyQuote(quote, { collateral, nowMs: Date.now(), verifier }).tcbStatus).toBe('UpToDate');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect((await run('check', file, ...trust())).out).toContain('DE7E10000000');
  });

  it('asks for another TCB evaluation, by kind or by number', async () => {
    const fetchWith = (...args: readonly string[]) =>
      run(
        'fetch',
        ...['--fmspc', 'DE7E10000000', '--pccs', mock.url, '--out', join(folder, 'other.json')],
        ...['--json', ...trust(), ...args],
      );
    expect((await fetchWith('--update', 'early')).err).toContain('"tcbEvaluationDataNumber":21');
    expect((await fetchWith('--update', 'standard')).err).toContain('"tcbEvaluationDataNumber":20');
    expect((await fetchWith('--tcb-evaluation-data-number', '21')).err).toContain(
      '"evaluationNumbers":{"tcbInfo":21,"qeIdentity":21}',
    );
    // Intel's service has dropped old numbers, and does not have those to come.
    await expect(fetchWith('--tcb-evaluation-data-number', '19')).rejects.toThrow(/status 410/);
    await expect(fetchWith('--tcb-evaluation-data-number', '22')).rejects.toThrow(/status 404/);
  });

  it('checks a set at another time', async () => {
    const file = join(folder, 'dated.json');
    writeFileSync(file, JSON.stringify(mock.pki.collateral({ nowMs: Date.UTC(2025, 5, 1) })));
    expect((await run('check', file, '--now', '2025-06-02T00:00:00Z', ...trust())).out).toContain(
      '2025-06-30',
    );
    await expect(run('check', file, ...trust())).rejects.toMatchObject({ code: 'CRL_EXPIRED' });
    await expect(run('check', file, '--now', 'soon', ...trust())).rejects.toMatchObject({
      code: 'INPUT_UNREADABLE',
      field: '--now',
    });
  });

  it('prints both evaluation numbers when they differ', async () => {
    const file = join(folder, 'two-numbers.json');
    const parts = mock.pki.collateralParts({ nowMs: Date.now() });
    const { qeIdentity } = parts;
    const content = { ...qeIdentity.content, tcbEvaluationDataNumber: 19 };
    writeFileSync(
      file,
      JSON.stringify(assembleCollateral({ ...parts, qeIdentity: { ...qeIdentity, content } })),
    );
    expect((await run('check', file, ...trust())).out).toContain('20 (TCB info) and 19 (QE identity)');
  });

  it('takes the platform from a quote, and prints the set to standard output', async () => {
    const file = join(folder, 'quote.bin');
    writeFileSync(file, mock.pki.quote({ reportData: new Uint8Array(64), ca: 'processor' }));
    const { out } = await run('fetch', '--quote', file, '--pccs', mock.url, '--out', '-', ...trust());
    const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(mock.rootPem) });
    const facts = verifier.checkCollateral(parseCollateralDocuments(JSON.parse(out)), { nowMs: Date.now() });
    expect(facts.ca).toBe('processor');
  });

  it.each<[string, readonly string[], string]>([
    ['an unknown platform', ['--fmspc', '000000000000'], 'COLLATERAL_UNAVAILABLE'],
    ['no platform', [], 'INPUT_UNREADABLE'],
    [
      'a root that is not trusted',
      ['--fmspc', 'DE7E10000000', '--insecure-trust-root', ''],
      'INPUT_UNREADABLE',
    ],
  ])('ends with an error code for %s', async (_, args, code) => {
    const common = ['fetch', '--pccs', mock.url, '--out', join(folder, 'none.json'), ...trust()];
    await expect(run(...common, ...args)).rejects.toMatchObject({ code });
  });

  it('reports a path that cannot be written', async () => {
    const out = join(folder, 'missing', 'set.json');
    await expect(
      run('fetch', '--fmspc', 'DE7E10000000', '--pccs', mock.url, '--out', out, ...trust()),
    ).rejects.toMatchObject({ code: 'INPUT_UNREADABLE', field: '--out' });
  });

  it('refuses the development root without the flag', async () => {
    const file = join(folder, 'set.json');
    await expect(run('check', file)).rejects.toMatchObject({ code: 'ROOT_NOT_TRUSTED' });
  });
});
