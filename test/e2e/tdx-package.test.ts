import { execFile, spawnSync } from 'node:child_process';
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { type TamperLine, tamperLines } from '../../mock-tdx/tamper-kit.ts';
import { bundleTdx, MAX_BUNDLE_BYTES } from '../../scripts/bundle-tdx.mjs';
import { genericBytesBelow } from '../support/generic-bytes.ts';
import { type InstalledPackage, installedPackage } from '../support/installed-package.ts';
import { quoteBytes, upToDatePairs } from '../support/tdx-vectors.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const judgeFile = fileURLToPath(new URL('../support/judge-tamper-kit.mjs', import.meta.url));

/** Debian's package of the same name. */
const chromium = ['chromium', 'chromium-browser'].find((name) => spawnSync(name, ['--version']).status === 0);

/** A project that has installed the packed tarball and its dependencies, and nothing else: no types of Node.js. */
let project: InstalledPackage;
let installed: string;
let bundle: Awaited<ReturnType<typeof bundleTdx>>;
let lines: readonly Omit<TamperLine, 'row' | 'about'>[];

beforeAll(async () => {
  project = await installedPackage('@latchkey/tdx');
  installed = project.installed;
  await cp(judgeFile, join(project.path, 'judge.mjs'));
  bundle = await bundleTdx(installed);
  await writeFile(join(project.path, 'bundle.mjs'), bundle.text);
  const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(4) });
  lines = [...tamperLines(pki, Date.UTC(2026, 10, 21, 12))];
  await writeFile(join(project.path, 'lines.json'), JSON.stringify(lines));
}, 300_000);
afterAll(() => project[Symbol.asyncDispose]());

const expectedVerdicts = () =>
  lines.map(({ id, expected }) => [id, expected.ok ? expected.tcbStatus : expected.code]);

/** Judges the tamper kit in a process of its own. */
async function verdictsOf(specifier: string, before = ''): Promise<readonly (readonly string[])[]> {
  const program = `import { readFileSync } from 'node:fs';
    import { judge } from './judge.mjs';
    const lines = JSON.parse(readFileSync('lines.json', 'utf8'));
    ${before}
    const verdicts = judge(await import('${specifier}'), lines);
    console.log(JSON.stringify(verdicts));`;
  await writeFile(join(project.path, 'main.mjs'), program);
  const { stdout } = await run(process.execPath, ['main.mjs'], { cwd: project.path });
  const verdicts: readonly string[] = JSON.parse(stdout);
  return lines.map(({ id }, index) => [id, verdicts[index] ?? '']);
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.map((name) => join(folder, name)).filter((path) => /\.[jt]s$/.test(path));
}

describe('the packed @latchkey/tdx', () => {
  it('depends on a portable P-256 and its hashes only, and has no side effects', async () => {
    const { dependencies, sideEffects, scripts } = JSON.parse(
      await readFile(join(installed, 'package.json'), 'utf8'),
    );
    expect(Object.keys(dependencies)).toEqual(['@noble/curves', '@noble/hashes']);
    expect(sideEffects).toBe(false);
    expect(scripts).toBeUndefined();
  });

  it('contains every file that its README links to, and that its modules import', async () => {
    const readme = await readFile(join(installed, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    const files = await filesBelow(join(installed, 'dist'));
    expect(files.length).toBeGreaterThan(100);
    const missing: string[] = [];
    for (const link of links) await stat(join(installed, link)).catch(() => missing.push(link));
    for (const file of files.filter((path) => path.endsWith('.js'))) {
      const text = await readFile(file, 'utf8');
      for (const [, specifier] of text.matchAll(/\bfrom '(\.[^']+)'/g))
        await stat(join(dirname(file), specifier ?? '')).catch(() => missing.push(`${file}: ${specifier}`));
    }
    expect(missing).toEqual([]);
  });

  it.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])(
    'has complete types under module %s and moduleResolution %s, with every library checked',
    async (module, moduleResolution) => {
      const compilerOptions = {
        module,
        moduleResolution,
        target: 'es2023',
        lib: ['es2023', 'dom'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
      };
      const readme = await readFile(join(installed, 'README.md'), 'utf8');
      const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1]?.replace(/^import .*node:fs.*\n/, '') ?? '';
      const declared = 'declare function readFileSync(path: string): Uint8Array;\n';
      await writeFile(join(project.path, 'example.ts'), declared + example);
      await writeFile(
        join(project.path, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, files: ['example.ts'] }),
      );
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const failure: unknown = await run(process.execPath, [tsc, '-p', project.path]).catch(
        (error) => error.stdout,
      );
      expect(typeof failure === 'string' ? failure : '').toBe('');
    },
  );

  it('has types that need neither the library dom nor those of Node.js', async () => {
    // With every library checked, a name such as AbortSignal that is not there is an error.
    const compilerOptions = {
      ...{ module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', lib: ['es2022'] },
      ...{ types: [], strict: true, exactOptionalPropertyTypes: true, noEmit: true },
    };
    const program = `import { getCollateral, parseQuote, type VerifiedQuote, verifyQuote } from '@latchkey/tdx';
      const quote = parseQuote(new Uint8Array(4));
      const collateral = await getCollateral(quote, { endpoints: ['https://pccs'], timeoutMs: 1 });
      const verified: VerifiedQuote = verifyQuote(quote, { collateral, nowMs: 1 });
      // @ts-expect-error: a text is no quote, so the types are there and are no \`any\`
      parseQuote('quote');
      export { verified };\n`;
    await writeFile(join(project.path, 'bare.ts'), program);
    await writeFile(
      join(project.path, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['bare.ts'] }),
    );
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const failure: unknown = await run(process.execPath, [tsc, '-p', project.path]).catch(
      (error) => error.stdout,
    );
    expect(typeof failure === 'string' ? failure : '').toBe('');
  });

  it('has types that TypeScript 5.4 reads: Uint8Array and Buffer have no type arguments before 5.7', async () => {
    expect(await genericBytesBelow([join(installed, 'dist/tdx.d.ts')])).toEqual([]);
  });

  it('gives the verdicts of the tamper kit in Node.js', async () => {
    expect(await verdictsOf('@latchkey/tdx')).toEqual(expectedVerdicts());
  });

  it('gives the same verdicts as a browser bundle, without Buffer and process', async () => {
    const before =
      'delete globalThis.Buffer; Object.defineProperty(globalThis, "process", { value: undefined });';
    expect(await verdictsOf('./bundle.mjs', before)).toEqual(expectedVerdicts());
  });

  it('is at most 60 kB compressed for a browser, and names neither Buffer nor modules of Node.js', () => {
    expect(MAX_BUNDLE_BYTES).toBe(60_000);
    expect(bundle.compressedBytes).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
    expect(project.printed).toContain(`browser bundle of ${bundle.compressedBytes} bytes compressed`);
    expect(bundle.text).not.toMatch(/\bBuffer\b|["']node:|\brequire\(/);
  });

  it.skipIf(!haveVectors)('accepts genuine quotes, from text and under Intel’s root', async () => {
    const genuine = upToDatePairs.map(({ quote, collateral, nowMs }) => ({
      id: quote,
      // Some files have zero bytes behind the quote; its own length is at offset 632 of a version 4 quote.
      quote: Buffer.from(quoteBytes(quote)).toString('base64'),
      collateral: vectorJson<object>(`tdx/collateral/${collateral}.json`),
      now: new Date(nowMs).toISOString(),
    }));
    const program = `import { readFileSync } from 'node:fs';
      const cases = JSON.parse(readFileSync('genuine.json', 'utf8'));
      for (const name of ['@latchkey/tdx', './bundle.mjs']) {
        const tdx = await import(name);
        for (const { quote, collateral, now } of cases) {
          const parsed = tdx.parsePaddedQuote(Uint8Array.from(Buffer.from(quote, 'base64')));
          const policy = tdx.parsePolicy({ requireSeptVeDisable: false });
          const options = { collateral: tdx.parseCollateralDocuments(collateral), nowMs: Date.parse(now), policy };
          const verified = tdx.verifyQuote(parsed, options);
          console.log(verified.tcbStatus, verified.isIntelRooted);
        }
      }`;
    await writeFile(join(project.path, 'genuine.json'), JSON.stringify(genuine));
    await writeFile(join(project.path, 'genuine.mjs'), program);
    const { stdout } = await run(process.execPath, ['genuine.mjs'], { cwd: project.path });
    expect(stdout).toBe('UpToDate true\n'.repeat(2 * genuine.length));
  });

  it.skipIf(chromium === undefined)('gives the same verdicts in Chromium', { timeout: 180_000 }, async () => {
    const page = `<!doctype html><body><script type="module">
      import * as tdx from './bundle.mjs';
      import { judge } from './judge.mjs';
      const lines = await (await fetch('./lines.json')).json();
      document.body.textContent = JSON.stringify(judge(tdx, lines));
      document.title = 'judged';
    </script>`;
    await writeFile(join(project.path, 'index.html'), page);
    const types: Readonly<Record<string, string>> = { html: 'text/html', mjs: 'text/javascript' };
    const server = createServer(async ({ url = '/' }, response) => {
      const name = url === '/' ? 'index.html' : url.slice(1);
      const isOwn = ['index.html', 'bundle.mjs', 'judge.mjs', 'lines.json'].includes(name);
      if (!isOwn) return response.writeHead(404).end();
      const type = types[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/json';
      return response.writeHead(200, { 'content-type': type }).end(await readFile(join(project.path, name)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      // A server on an IP port has an address of this kind.
      const { port } = server.address() as AddressInfo;
      const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
      const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
      const profile = `--user-data-dir=${join(project.path, 'profile')}`;
      const wait = '--virtual-time-budget=120000';
      const args = [...flags, ...quiet, profile, wait, '--dump-dom', `http://127.0.0.1:${port}/`];
      const { stdout } = await run(chromium ?? '', args, { maxBuffer: 16 * 1024 * 1024 });
      const verdicts: readonly string[] = JSON.parse(/\[.*\]/.exec(stdout)?.[0] ?? '[]');
      expect(lines.map(({ id }, index) => [id, verdicts[index]])).toEqual(expectedVerdicts());
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
