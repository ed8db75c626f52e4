import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getCollateral } from '../../src/collateral/get-collateral.ts';
import { insecureTrustRoot, parseBase64Quote, QuoteVerifier } from '../../src/tdx.ts';
import { genericBytesBelow } from '../support/generic-bytes.ts';
import { type InstalledPackage, installedPackage } from '../support/installed-package.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

let project: InstalledPackage;
let installed: string;
beforeAll(async () => {
  project = await installedPackage('mock-tdx');
  installed = project.installed;
}, 300_000);
afterAll(() => project[Symbol.asyncDispose]());

describe('the packed mock-tdx', () => {
  it('has a README without dead links and with its own command', async () => {
    const readme = await readFile(join(installed, 'README.md'), 'utf8');
    expect(readme).toContain('npx mock-tdx --tamper-kit');
    expect(readme).not.toContain('npm run');
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    const missing: string[] = [];
    for (const link of links) await stat(join(installed, link)).catch(() => missing.push(link));
    expect(missing).toEqual([]);
  });

  it('starts by its command, and makes a quote that verifies', async () => {
    const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    const args = [join(installed, bin['mock-tdx']), '--port', '0', '--json'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      const { url, rootPem } = JSON.parse(line);
      const body = JSON.stringify({ reportData: `0x${'00'.repeat(64)}` });
      const headers = { 'content-type': 'application/json' };
      const asked = await fetch(`${url}/quote`, { method: 'POST', headers, body });
      // The route answers an object with the quote in base64.
      const quote = parseBase64Quote(((await asked.json()) as { readonly quote: string }).quote);
      const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(rootPem) });
      const collateral = await getCollateral(quote, { endpoints: [url], verifier });
      expect(verifier.verify(quote, { collateral, nowMs: Date.now() }).tcbStatus).toBe('UpToDate');
    } finally {
      child.kill();
      await once(child, 'close');
    }
  });

  it('has types that TypeScript 5.4 reads: Uint8Array and Buffer have no type arguments before 5.7', async () => {
    expect(await genericBytesBelow([join(installed, 'dist/mock-tdx/mock-tdx.d.ts')])).toEqual([]);
  });

  it('is a library too, with types', async () => {
    const readme = await readFile(join(installed, 'README.md'), 'utf8');
    const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    await writeFile(
      join(project.path, 'example.ts'),
      `${example}console.log(quote.length, root.length, collateral);\n`,
    );
    const flags = [
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--lib',
      'es2023,dom,esnext.disposable',
      '--types',
      'node',
    ];
    const strict = ['--strict', '--skipLibCheck', 'false', '--typeRoots', join(root, 'node_modules/@types')];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const compiled = run(process.execPath, [tsc, ...flags, ...strict, 'example.ts'], { cwd: project.path });
    const failure: unknown = await compiled.then(
      () => '',
      (error) => error.stdout,
    );
    expect(failure).toBe('');
    const { stdout } = await run(process.execPath, ['example.js'], { cwd: project.path });
    expect(stdout).toMatch(/^\d{4} \d+ \{/);
  });
});
